"""Rules on requests over real sockets: several workers, both protocols, what is told to whom, reloads."""

from __future__ import annotations

import re
import signal
import subprocess
from collections.abc import Iterator
from hashlib import sha256

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import eventually, rejects
from tests.e2e.processes import get, metrics, status, until, write

APP = """
async def app(scope, receive, send):
    tags = [value for name, value in scope["headers"] if name == b"rule-tags"]
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"tags: " + b", ".join(tags)})
"""
CONFIG = """
[server]
http = "localhost:0"
https = "localhost:0"
admin = "127.0.0.1:0"
workers = 2

[rules.no-php]
when = [{{ at = "path", matches = '\\.{suffix}$' }}]

[rules.prove-it]
when = [{{ at = "path", matches = "^/dear" }}]
action = "challenge"

[rules.crawler]
when = [{{ at = "field user-agent", contains = "bot", transform = ["lowercase"] }}]
action = "tag"

[sites."*"]
tls = "internal"
headers = {{ X-Frame-Options = "DENY" }}
rules = true
"/*" = {{ app = "main" }}
"/sql" = {{ respond = "x", rules = {{ exclude = ["sql-*"], exclude_arguments = ["note"] }} }}
"/watched" = {{ respond = "x", rules = {{ detect = true }} }}
"/free" = {{ respond = "x", rules = false }}

[apps.main]
target = "app:app"
"""
SQL = "/?id=1'+or+1=1--"


@pytest.fixture(scope="module")
def server(start_once: Start) -> Iterator[Server]:
    server = start_once(CONFIG.format(suffix="php"), files={"app.py": APP})
    server.url("https")
    yield server
    assert "Traceback" not in server.output


def curl(server: Server, path: str, *options: str, scheme: str = "https") -> str:
    said = ["curl", "-sSki", "--path-as-is", "--globoff", *options, server.url(scheme) + path]
    return subprocess.run(said, capture_output=True, text=True, check=True).stdout.lower()


@pytest.mark.parametrize("protocol", ["--http1.1", "--http2"])
def test_curl_is_refused_what_looks_like_an_attack(server: Server, protocol: str) -> None:
    assert " 200" in curl(server, "/fine?q=rock+'n'+roll", protocol).partition("\n")[0]
    for path in (SQL, "/.git/config", "/%252e%252e/%252e%252e/x", "/?a=${jndi:ldap://x}", "/x.php"):
        answer = curl(server, path, protocol)
        assert " 403" in answer.partition("\n")[0], path
        assert "x-frame-options: deny" in answer
        assert "looks like an attack" in answer
        assert "tags:" not in answer
    assert " 403" in curl(server, "/", protocol, "-H", "User-Agent: sqlmap/1.8").partition("\n")[0]
    assert " 403" in curl(server, "/", protocol, "-H", "X-Any: ${jndi:ldap://x}").partition("\n")[0]
    assert " 403" in curl(server, "/", protocol, "-b", "lang=../../../../etc/passwd").partition("\n")[0]


def test_the_log_says_why_and_what_is_refused_is_counted(server: Server, client: httpx.Client) -> None:
    before = rejects(server).get("rule_denied", 0)
    assert client.get(SQL + "&mine").status_code == 403
    server.wait_for(
        r"rules: GET /\?id=1'\+or\+1=1--&mine of (127.0.0.1|::1) denied, score \d+: sql-always at argument id"
    )
    server.wait_for(r'"GET /\?id=1\'\+or\+1=1--&mine HTTP/1.1" 403')
    eventually(lambda: rejects(server).get("rule_denied", 0) > before)
    assert metrics(server)['enfilade_rule_hits_total{group="sql"}'] >= 1
    assert metrics(server)['enfilade_rule_verdicts_total{verdict="denied",detect="false"}'] >= 1


def test_what_is_excluded_for_a_route_passes_there_alone(server: Server) -> None:
    def ask(path: str) -> int:
        return get(server, path)[0]

    assert [ask("/sql" + SQL[1:]), ask(SQL)] == [200, 403]
    assert [ask("/sql?note=<script>"), ask("/sql?other=<script>"), ask("/free?other=<script>")] == [200, 403, 200]


def test_detect_refuses_nothing(server: Server) -> None:
    assert get(server, "/watched?a=<script>")[0] == 200
    server.wait_for(
        r"rules: GET /watched\?a=<script> of \S+ would be denied, score 5: xss-script at argument a '<script>'"
    )
    eventually(lambda: metrics(server)['enfilade_rule_verdicts_total{verdict="denied",detect="true"}'] >= 1)


def test_the_application_reads_the_tags_of_rules_and_nobody_elses(server: Server, client: httpx.Client) -> None:
    def ask(**fields: str) -> str:
        return client.get("/", headers={name.replace("_", "-"): value for name, value in fields.items()}).text

    assert ask(user_agent="A Bot/1.0") == "tags: crawler"
    assert ask(user_agent="A Bot/1.0", rule_tags="friend") == "tags: crawler"
    assert ask(rule_tags="friend") == "tags: "


BROWSER = {"accept": "text/html,*/*;q=0.8", "sec-fetch-mode": "navigate"}


def proof_of(page: str) -> str:
    """The cookie that the script of the page would set."""
    data = dict(re.findall(r'data-(\w+)="([^"]*)"', page))
    nonce = next(n for n in range(10_000_000) if sha256(f"{data['seal']}.{n}".encode()).digest()[:2] == b"\0\0")
    return f"{data['cookie']}={data['expiry']}.{data['seal']}.{nonce}"


def test_a_browser_proves_itself_once_for_all_workers_and_reloads(start: Start) -> None:
    server = start(CONFIG.format(suffix="php"), files={"app.py": APP})

    def ask(fields: dict[str, str]) -> httpx.Response:  # on a connection of its own, so that any worker may get it
        return httpx.get(server.url("http") + "/dear", headers=fields, timeout=PATIENCE)

    page = ask(BROWSER)
    assert (page.status_code, page.headers["cache-control"]) == (403, "no-store")
    assert ask({}).status_code == 403
    proof = {"cookie": proof_of(page.text)}
    assert [ask(proof).status_code for _ in range(8)] == [200] * 8
    assert ask({"cookie": proof["cookie"] + "x"}).status_code == 403
    eventually(lambda: rejects(server).get("rule_challenged", 0) >= 2)
    write(server, CONFIG.format(suffix="asp"))
    server.signal(signal.SIGHUP)
    until(lambda: status(server)["generation"] == 2)
    assert ask(proof).status_code == 200


def test_an_upgrade_is_looked_at_too(server: Server) -> None:
    answer = curl(
        server, "/chat?a=<script>", "-H", "Upgrade: websocket", "-H", "Connection: Upgrade", "-H", "Sec-WebSocket-Version: 13",
        "-H", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", scheme="http",
    )  # fmt: skip
    assert " 403" in answer.partition("\n")[0]


def test_a_reload_takes_rules_over_and_refuses_what_cannot_be_read(start: Start) -> None:
    server = start(CONFIG.format(suffix="php"), files={"app.py": APP})
    assert get(server, "/x.php")[0] == 403
    write(server, CONFIG.format(suffix="(asp"))
    server.signal(signal.SIGHUP)
    server.wait_for(r"enfilade.toml:9:\d+: rules.no-php.when\[0\].matches: not an expression that RE2 reads")
    until(lambda: status(server)["reloads_refused"] == 1)
    assert get(server, "/x.php")[0] == 403
    write(server, CONFIG.format(suffix="asp"))
    server.signal(signal.SIGHUP)
    until(lambda: status(server)["generation"] == 2)
    # The workers of the first generation accept until they have heard that they should not.
    until(lambda: [get(server, path)[0] for path in ("/x.php", "/x.asp")] == [200, 403])


def test_rules_that_cannot_be_read_refuse_the_start(start: Start) -> None:
    text = CONFIG.format(suffix="php").replace('"sql-*"', '"sqli-*"')
    server = start(text, files={"app.py": APP}, wait=False)
    server.wait_for(r'enfilade.toml:\d+:\d+: .*exclude\[0\]: no rule and no tag is called "sqli-\*"')
    assert server.process.wait(PATIENCE) != 0
