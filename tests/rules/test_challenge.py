"""A browser that has worked for a moment comes in; nothing else does."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256

import pytest
from tests.rules.kit import Ruled, at, rule

from enfilade.exchange.response import Response
from enfilade.rules.challenge import BITS, LIFETIME

CHALLENGE = rule(at("path", finds="^/dear"), action="challenge")
BROWSER = [("accept", "text/html,*/*;q=0.8"), ("sec-fetch-mode", "navigate")]


def page_of(answer: Response) -> str:
    assert isinstance(answer.body, bytes)
    return answer.body.decode()


def data_of(answer: Response) -> dict[str, str]:
    return dict(re.findall(r'data-(\w+)="([^"]*)"', page_of(answer)))


def proof_of(answer: Response) -> str:
    """What the page's script would find."""
    data = data_of(answer)
    nonce = next(n for n in range(10_000_000) if sha256(f"{data['seal']}.{n}".encode()).digest()[:2] == b"\0\0")
    return f"{data['cookie']}={data['expiry']}.{data['seal']}.{nonce}"


@pytest.fixture(scope="module")
def proof() -> str:
    return proof_of(Ruled(CHALLENGE).ask("GET", "/dear", *BROWSER))


def test_a_browser_gets_a_page_of_its_own() -> None:
    route = Ruled(CHALLENGE)
    answer = route.ask("GET", "/dear", *BROWSER)
    assert (answer.status, answer.fields.get(b"cache-control")) == (403, b"no-store")
    assert answer.reason is not None and answer.reason.name == "rule_challenged"
    assert not route.seen
    assert route.counted == [("challenged", False, {"own"})]
    assert not re.search(r"(?:src|href|action)=|//\w", page_of(answer)), "nothing of a third party"


def test_its_policy_lets_just_its_own_script_and_style_run() -> None:
    answer = Ruled(CHALLENGE).ask("GET", "/dear", *BROWSER)
    policy = answer.fields.get(b"content-security-policy") or b""
    for tag in ("script", "style"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", page_of(answer), re.DOTALL)
        source = b"%s-src 'sha256-%s'" % (tag.encode(), b64encode(sha256(text.encode()).digest()))
        assert source in policy
    assert policy.startswith(b"default-src 'none';")


def test_who_has_the_proof_comes_in_and_hits_nothing(proof: str) -> None:
    route = Ruled(CHALLENGE)
    for method, fields in (("GET", BROWSER), ("GET", []), ("POST", [])):
        assert route.ask(method, "/dear", *fields, ("cookie", f"a=b; {proof}")).status == 200
    assert not route.counted


def test_a_proof_excuses_nothing_else(proof: str) -> None:
    deny = rule(at("argument *", finds="evil"), id="no-evil")
    assert Ruled(CHALLENGE, deny).ask("GET", "/dear?a=evil", ("cookie", proof)).status == 403


@pytest.mark.parametrize(
    ("method", "fields", "more"),
    [
        ("POST", BROWSER, {}),
        ("HEAD", BROWSER, {}),
        ("GET", [], {}),
        ("GET", [("accept", "*/*")], {}),
        ("GET", [("accept", "application/json")], {}),
        ("GET", [("accept", "text/html"), ("sec-fetch-mode", "cors")], {}),
        ("GET", BROWSER, {"protocol": "websocket"}),
    ],
)
def test_what_is_no_browser_that_opens_a_page_is_refused(
    method: str, fields: list[tuple[str, str]], more: dict[str, str]
) -> None:
    answer = Ruled(CHALLENGE).ask(method, "/dear", *fields, **more)
    assert answer.status == 403
    assert "data-seal" not in page_of(answer)


def test_a_proof_is_for_one_address_and_one_host_and_an_hour(proof: str) -> None:
    cookie = ("cookie", proof)
    route = Ruled(CHALLENGE)
    assert route.ask("GET", "/dear", cookie).status == 200
    assert route.ask("GET", "/dear", cookie, client=("192.0.2.2", 1)).status == 403
    assert route.ask("GET", "/dear", cookie, authority="other.example").status == 403
    route.time += LIFETIME
    assert route.ask("GET", "/dear", cookie).status == 200
    route.time += 1
    assert route.ask("GET", "/dear", cookie).status == 403


def test_of_ipv6_it_is_for_the_network() -> None:
    route = Ruled(CHALLENGE)
    cookie = ("cookie", proof_of(route.ask("GET", "/dear", *BROWSER, client=("2001:db8::1", 1))))
    assert route.ask("GET", "/dear", cookie, client=("2001:db8::2", 1)).status == 200
    assert route.ask("GET", "/dear", cookie, client=("2001:db8:0:1::1", 1)).status == 403


def test_a_proof_that_was_tampered_with_is_none(proof: str) -> None:
    name, _, value = proof.partition("=")
    expiry, seal, nonce = value.split(".")
    tampered = [
        "", ".", "..", "...", f"{expiry}.{seal}", f"{expiry}.{seal}.", f"{expiry}.{seal}.{nonce}x",
        f"{int(expiry) + 1}.{seal}.{nonce}", f"{expiry}.{'0' * 32}.{nonce}", f"{expiry}.{seal[:-1]}.{nonce}",
        f"{expiry}.é.{nonce}", f"²{expiry[1:]}.{seal}.{nonce}", f"{'9' * 5000}.{seal}.{nonce}",
        f"{expiry}.{seal}.{'9' * 5000}", f"-1.{seal}.{nonce}",
    ]  # fmt: skip
    for text in tampered:
        assert Ruled(CHALLENGE).ask("GET", "/dear", ("cookie", f"{name}={text}")).status == 403, text


def test_a_number_longer_than_any_browser_finds_is_not_looked_at(proof: str) -> None:
    """It would be hashed, however long it is."""
    start, seal, _ = proof.rsplit(".", 2)
    nonce = next(
        n for n in range(10**10, 10**10 + 10_000_000) if sha256(f"{seal}.{n}".encode()).digest()[:2] == b"\0\0"
    )
    assert Ruled(CHALLENGE).ask("GET", "/dear", ("cookie", f"{start}.{seal}.{nonce}")).status == 403


def test_with_detect_nobody_is_asked_to_work() -> None:
    route = Ruled(CHALLENGE, detect=True)
    assert route.ask("GET", "/dear", *BROWSER).status == 200
    assert route.counted == [("challenged", True, {"own"})]


def test_what_is_denied_is_not_challenged() -> None:
    deny = rule(at("argument *", finds="evil"), id="no-evil")
    answer = Ruled(CHALLENGE, deny).ask("GET", "/dear?a=evil", *BROWSER)
    assert answer.reason is not None and answer.reason.name == "rule_denied"


def test_the_script_finds_a_proof() -> None:
    """In a real engine for JavaScript, with a page around it that does as browsers do."""
    node = shutil.which("node")
    assert node is not None, "node is needed"
    route = Ruled(CHALLENGE)
    page = route.ask("GET", "/dear", *BROWSER)
    (script,) = re.findall(r"<script>(.*?)</script>", page_of(page), re.DOTALL)
    program = f"""
    const jar = [];
    const document = {{
      documentElement: {{ dataset: {json.dumps(data_of(page))} }},
      get cookie() {{ return jar.map((text) => text.split(";")[0]).join("; "); }},
      set cookie(text) {{ jar.push(text); }},
    }};
    const location = {{ protocol: "https:", reload() {{ console.log(jar[0]); }} }};
    (() => {{ {script} }})();
    """
    done = subprocess.run([node, "-e", program], capture_output=True, text=True, check=True, timeout=50)
    cookie, _, attributes = done.stdout.strip().partition("; ")
    assert attributes == f"path=/; max-age={LIFETIME}; samesite=lax; secure"
    assert BITS == 16
    assert route.ask("GET", "/dear", ("cookie", cookie)).status == 200
