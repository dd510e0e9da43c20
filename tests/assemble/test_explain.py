"""`explain` says what was compiled, in its order, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assemble.kit import config_of, write_pem
from tests.passwords import cheap_line

from enfilade.assemble.explain import explain
from enfilade.filters import ORDER

TEXT = """
[server]
trace = true
[sites."*"]
request_id = true
headers = { X-A = "1" }
"/" = { respond = 204 }
"/old/{name}" = { redirect = "/new/{name}", log = false }
"/api/*" = { app = "main", mount = "/v1", body_limit = "1KB" }
[sites."*.a.example"]
tls = "off"
"GET /x" = { files = "." }
[sites."limited.example"]
limit = ["9/s", { rate = "5/m", by = ["address", "route"] }, { rate = "7/d", by = [] }]
"/" = { respond = 204 }
"/own" = { respond = 204, limit = "1/h", body_limit = 9, concurrency = { limit = 9, by = "address", queue = 3 } }
[sites."ruled.example"]
rules = true
"/" = { respond = 204 }
"/watched" = { respond = 204, rules = { detect = true, exclude = ["shipped"] } }
[rules.mine]
when = [{ at = "path", matches = "watch" }]
[apps.main]
target = "m:app"
"""


@pytest.mark.parametrize(
    ("method", "url", "lines"),
    [
        (
            "GET", "http://limited.example/none",
            ["site limited.example its name", "route 404 Not Found no pattern takes /none", "filter AccessLog the default",
             "filter Limit the site says so: 9/s by address, 5/m by address and route, 7/d in all"],
        ),
        (
            "GET", "http://limited.example/own",
            ["site limited.example its name", "route /own the most specific of 2 patterns", "filter AccessLog the default",
             "filter Limit the route says so: 1/h by address",
             "filter Concurrency the route says so: 9 by address; 3 may wait, this one as normal",
             "filter BodyLimit bodies of at most 9 bytes",
             "handler Respond always 204"],
        ),
        (
            "GET", "http://ruled.example/none?a=<script>",
            ["site ruled.example its name", "route 404 Not Found no pattern takes /none", "filter AccessLog the default",
             "filter Rules the site says so: of 46 rules hit: xss-script at argument a '<script>' "
             "(A script for somebody else's browser); score 5 of 5: denied"],
        ),
        (
            "GET", "http://ruled.example/",
            ["site ruled.example its name", "route / the most specific of 2 patterns", "filter AccessLog the default",
             "filter Rules the site says so: of 46 rules hit: none of them; score 0 of 5: passed", "handler Respond always 204"],
        ),
        (
            "GET", "http://ruled.example/watched",
            ["site ruled.example its name", "route /watched the most specific of 2 patterns", "filter AccessLog the default",
             "filter Rules the route says so: of 1 rules hit: mine at path '/watched'; score 0 of 5: would be denied",
             "handler Respond always 204"],
        ),
        (
            "GET", "http://h/old/a%20b",
            ["site * the default site, as no other is called h",
             "route /old/{name} the most specific of 3 patterns; name = 'a b'",
             "filter RequestId the site says so", "filter Headers the site says so", "handler Redirect to /new/{name}"],
        ),
        (
            "POST", "http://h/api/x?q",
            ["site * the default site, as no other is called h", "route /api/* the most specific of 3 patterns",
             "filter RequestId the site says so", "filter AccessLog the default", "filter Headers the site says so",
             "filter BodyLimit bodies of at most 1024 bytes", "handler app main = m:app, mounted at /v1"],
        ),
        (
            "PUT", "http://b.a.example/x",
            ["site *.a.example b.a.example is one of its names", "route 405 Method Not Allowed /x takes GET, HEAD",
             "filter AccessLog the default"],
        ),
        ("GET", "http://b.a.example/none",
            ["site *.a.example b.a.example is one of its names", "route 404 Not Found no pattern takes /none",
             "filter AccessLog the default"]),
        ("GET", "https://b.a.example/x", ['site 421 Misdirected Request the site "*.a.example" is not served over TLS']),
        ("TRACE", "http://b.a.example/x",
            ["site *.a.example b.a.example is one of its names", "route TRACE echoed, as trace is on",
             "filter AccessLog the default"]),
    ],
)  # fmt: skip
def test_the_way_of_a_request(method: str, url: str, lines: list[str]) -> None:
    text = TEXT.replace("[server]", "[server.limits]\nbody = 4096\n[server]")
    assert [" ".join(step_) for step_ in map(_words, explain(config_of(text), method, url))] == lines


def _words(step: object) -> tuple[str, str, str]:
    return step.room, step.name, step.reason  # type: ignore[attr-defined]


@pytest.mark.parametrize("url", ["nonsense", "/x", "ftp://h/", "http://h/%zz", "http://h:port/"])
def test_what_no_client_could_ask_for(url: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        explain(config_of(TEXT), "GET", url)


def test_what_is_put_around_the_handler_is_shown_and_the_limit_that_counts_what_was_decoded() -> None:
    text = '[sites."*"]\ncompress = true\nlog = false\n"/" = { respond = 204, decompress = true, body_limit = "1KB" }\n'
    lines = [" ".join(step_) for step_ in map(_words, explain(config_of(text), "POST", "http://h/"))]
    assert lines[2:-1] == [
        "filter Decompress the route says so",
        "filter BodyLimit bodies of at most 1024 bytes",
        "filter Compress the site says so",
    ]


def test_what_stands_in_front_of_the_handler_is_in_the_order_of_the_chain() -> None:
    text = TEXT.replace('[sites."*"]', '[sites."*"]\ncache = true\ncompress = true', 1)
    steps = [step.name for step in explain(config_of(text), "GET", "http://h/api/x")]
    assert steps[-4:] == ["BodyLimit", "Cache", "Compress", "app"]


@pytest.mark.parametrize(
    ("client", "lines"),
    [
        ("10.1.2.3", ["firewall refused deny has 10.0.0.0/8"]),
        ("10.1.1.3", ["firewall let in allow has 10.1.1.0/24", "site"]),
        ("192.0.2.1", ["firewall let in 192.0.2.1 is in neither list; the default", "site"]),
    ],
)
def test_what_becomes_of_a_client_at_the_door(client: str, lines: list[str]) -> None:
    config = config_of(TEXT + '[firewall]\ndeny = ["10.0.0.0/8"]\nallow = ["10.1.1.0/24"]\n')
    steps = [" ".join(_words(step)) for step in explain(config, "GET", "http://h/", client)]
    assert [step if step.startswith("firewall") else step.split()[0] for step in steps[:2]] == lines
    with pytest.raises(ValueError, match="localhost"):
        explain(config, "GET", "http://h/", "localhost")


def test_behind_trusted_proxies_the_firewall_looks_at_requests_too() -> None:
    wall = '[firewall]\ndeny = ["10.0.0.0/8"]\n'
    for server, lines, shown in (
        ("", wall, False),
        ('trusted_proxies = ["::1"]', "", False),
        ('trusted_proxies = ["::1"]', wall, True),
    ):
        config = config_of(TEXT.replace("[server]", f"[server]\n{server}") + lines)
        assert ("Firewall" in [step.name for step in explain(config, "GET", "http://h/")]) is shown


def test_every_filter_is_explained(tmp_path: Path) -> None:
    """Whatever can stand in front of a route is shown where it stands, in the order of the chain, and with a reason."""
    write_pem(tmp_path, "own", "h")
    (tmp_path / "users").write_text(cheap_line("a", "password"))
    (tmp_path / "secret").write_text("s" * 64)
    text = """
[server]
trusted_proxies = ["::1"]
[bans]
on = { 404 = 1 }
[sites."*"]
tls = { certificate = "own.pem", key = "own.key", clients = { authority = "own.pem" } }
timing = true
request_id = true
headers = { set = { x-a = "1" } }
security_headers = true
rules = true
limit = ["9/s", { rate = "5/m", by = "user" }]
concurrency = 9
cors = { origins = ["https://a.example"] }
csrf = true
auth.basic.file = "users"
auth.jwt = { secret = "secret", issuer = [], audience = [] }
auth.forward = { to = "http://127.0.0.1:9", path = "/" }
decompress = true
cache = true
compress = true
"/" = { proxy = "http://127.0.0.1:9", body_limit = "1KB" }
"""
    steps = [step for step in explain(config_of(text, tmp_path), "GET", "https://h/") if step.room == "filter"]
    assert tuple(step.name for step in steps) == ORDER
    assert all(step.reason for step in steps)


@pytest.mark.parametrize(("dry_run", "shown"), [("false", True), ("true", False)])
def test_whom_a_trusted_proxy_brings_may_be_banned(dry_run: str, shown: bool) -> None:
    text = TEXT.replace("[server]", '[server]\ntrusted_proxies = ["::1"]') + f"[bans]\ndry_run = {dry_run}\n"
    assert ("Firewall" in [step.name for step in explain(config_of(text), "GET", "http://h/")]) is shown
