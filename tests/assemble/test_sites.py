"""Sites as they are compiled: which route a request meets, which filters, and what they are counted as."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assemble.kit import FakeParts, ask, config_of, write_pem
from tests.passwords import cheap_line

from enfilade.assemble import sites as sites_module
from enfilade.assemble.explain import explain
from enfilade.assemble.filters import Place, body_limit, engine_body_limit, filters_of
from enfilade.assemble.sites import KNOWN_KEY, REJECTED, Sites, route_names
from enfilade.config import ConfigError
from enfilade.exchange.exchange import Match
from enfilade.testing.exchange import make_request

TEXT = """
[sites."*"]
request_id = true
"/" = { respond = "any" }
"/api/*" = { app = "main" }
"/api/{id}" = { respond = "one" }
"/at/*" = { app = "main", mount = "/elsewhere" }
"/nowhere/*" = { app = "main", mount = false }
"GET /only" = { respond = "got", request_id = false, log = false }
[sites."a.example"]
timing = true
"/" = { respond = "a" }
[apps.main]
target = "m:app"
"""


@pytest.mark.parametrize(
    ("method", "target", "host", "status", "body"),
    [
        ("GET", "/", "x", 200, b"any"),
        ("GET", "/", "a.example", 200, b"a"),
        ("GET", "/api/x/y", "x", 200, b"main at /api"),
        ("GET", "/api/x", "x", 200, b"one"),
        ("GET", "/at/x", "x", 200, b"main at /elsewhere"),
        ("GET", "/nowhere/x", "x", 200, b"main at "),
        ("GET", "/none", "x", 404, None),
        ("POST", "/only", "x", 405, None),
        ("TRACE", "/", "x", 405, None),
        ("BREW", "/only", "x", 501, None),
    ],
)
def test_which_route_answers(method: str, target: str, host: str, status: int, body: bytes | None) -> None:
    answer, _ = ask(config_of(TEXT), method, target, authority=host)
    assert answer.status == status
    assert body is None or answer.body == body


def test_a_host_that_is_no_site_is_misdirected() -> None:
    """RFC 9110 section 15.5.20."""
    answer, x = ask(config_of('[sites."a"]\n"/" = { respond = 200 }\n'), "GET", "/", authority="b")
    assert (answer.status, (x.match.route.site, x.match.route.pattern)) == (421, REJECTED)


def test_a_route_says_it_before_its_site_and_that_before_the_default() -> None:
    config = config_of(TEXT)

    def filters(site: str, pattern: str) -> list[str]:
        return [standing.name for standing in filters_of(Place(config, site, pattern, FakeParts()))]

    assert filters("*", "/") == ["RequestId", "AccessLog"]
    assert filters("*", "GET /only") == []
    assert filters("a.example", "/") == ["Timing", "AccessLog"]
    assert filters("a.example", "") == ["Timing", "AccessLog"], "what no route takes is logged as well"


def test_every_route_is_counted_under_its_name_and_has_a_row_on_the_board() -> None:
    config, parts = config_of(TEXT), FakeParts()
    Sites(config, parts)
    assert set(parts.meters) == set(route_names(config))
    assert ("*", "/api/*") in parts.meters and ("*", "") in parts.meters and REJECTED in parts.meters


@pytest.mark.parametrize(
    ("server", "route", "engine", "own"),
    [(100, None, 100, 0), (100, 10, 100, 10), (100, 1000, 1000, 0), (100, 0, 0, 0), (0, 10, 0, 10)],
)
def test_the_engine_lets_through_what_the_largest_route_takes(
    server: int, route: int | None, engine: int, own: int
) -> None:
    """Routes with a smaller limit have a filter for it; 0 is no limit."""
    extra = "" if route is None else f", body_limit = {route}"
    config = config_of(f'[server.limits]\nbody = {server}\n[sites."*"]\n"/" = {{ respond = 200{extra} }}\n')
    assert engine_body_limit(config) == engine
    assert body_limit(config, config.sites["*"], config.sites["*"].routes["/"]) == own
    if engine > server or (engine == 0 and server):
        assert body_limit(config, config.sites["*"], None) == server, "what no route takes keeps the server's own limit"


def test_a_route_that_decodes_bodies_counts_them_itself() -> None:
    """The engine can count only what is sent."""
    routes = '"/" = { respond = 200 }\n"/off" = { respond = 200, decompress = false }\n'
    config = config_of(f'[server.limits]\nbody = 100\n[sites."*"]\ndecompress = true\n{routes}')
    site = config.sites["*"]
    assert [body_limit(config, site, site.routes[pattern]) for pattern in ("/", "/off")] == [100, 0]


def test_what_is_refused_before_it_has_a_site_goes_to_the_default_sites_log() -> None:
    text = '[sites."a"]\nlog = { to = "stderr" }\n"/" = { respond = 200 }\n[sites."*"]\nlog = %s\n"/" = { respond = 200 }\n'
    for log, sinks in (('{ to = "stdout" }', {"stdout", "stderr"}), ("false", {"stderr"})):
        parts = FakeParts()
        sites = Sites(config_of(text % log), parts)
        assert set(parts.sinks) == sinks
        assert len(sites.rejected.route.done) == (log != "false")


def test_what_was_found_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sites_module, "KNOWN_MATCHES", 3)
    site = Sites(config_of('[sites."*"]\n"/{name}" = { respond = 200 }\n'), FakeParts()).find("x")
    assert site is not None

    def match(path: str, method: str = "GET") -> Match:
        return site.match(make_request(method, path))

    first = match("/a")
    assert match("/a") is first and match("/b").params == {"name": "b"}
    assert match("/a", "BREW").params == {"name": "a"}
    long = "/" + "x" * KNOWN_KEY
    assert match(long) is not match(long) and match("/a") is first
    match("/d")
    assert match("/a") is not first, "what strangers fill is emptied when it is full"


@pytest.mark.parametrize(
    ("token", "target", "status"),
    [
        ('purge_token = "t"', "/any", 200),
        ('purge_token = "t"', "/read", 200),
        ('purge_token = "t"', "/uncached", 501),
        ("", "/any", 501),
        ("", "/read", 501),
    ],
)
def test_purge_is_a_method_of_routes_that_cache_where_there_is_a_token(token: str, target: str, status: int) -> None:
    config = config_of(f"""
[cache]
{token}
[sites."*"]
"/any" = {{ respond = "x", cache = true }}
"GET /read" = {{ respond = "x", cache = true }}
"/uncached" = {{ respond = "x" }}
""")
    response, x = ask(config, "PURGE", target, fields=[(b"authorization", b"Bearer t")])
    assert response.status == status
    if status == 200:
        assert x.match.route.pattern.endswith(target)


@pytest.mark.parametrize(
    ("https", "tls", "http", "location"),
    [
        (":443", '{ certificate = "a.pem", key = "a.key" }', "", b"https://a.example/x%2Fy?z"),
        (
            '"unix:/s", "127.0.0.1:8443"',
            '{ certificate = "a.pem", key = "a.key" }',
            "",
            b"https://a.example:8443/x%2Fy?z",
        ),
        (":8443", '"internal"', 'http = "redirect"', b"https://a.example:8443/x%2Fy?z"),
        (":443", '"internal"', "", None),
        (":443", '{ certificate = "a.pem", key = "a.key" }', 'http = "serve"', None),
    ],
)
def test_what_plain_http_gets(tmp_path: Path, https: str, tls: str, http: str, location: bytes | None) -> None:
    write_pem(tmp_path, "a", "a.example")
    https = f"[{https}]" if '"' in https else f'"{https}"'
    config = config_of(
        f'[server]\nhttps = {https}\n[sites."*"]\ntls = {tls}\n{http}\n"/*" = {{ respond = "here" }}\n', tmp_path
    )
    response, _ = ask(config, "GET", "/x%2Fy?z", authority="a.example")
    assert (response.status, response.fields.get(b"location")) == ((200, None) if location is None else (308, location))


def test_plain_http_that_leads_to_https_asks_for_no_password(tmp_path: Path) -> None:
    """It would be sent in the clear."""
    write_pem(tmp_path, "a", "a.example")
    (tmp_path / "users").write_text(cheap_line("ada", "secret"))
    config = config_of(
        '[server]\nhttps = ":443"\n[sites."*"]\ntls = { certificate = "a.pem", key = "a.key" }\n'
        'auth = { basic = { file = "users" }, forward = { to = "http://a:1", path = "/" } }\n"/*" = { respond = "here" }\n',
        tmp_path,
    )
    response, _ = ask(config, "GET", "/", authority="a.example")
    assert response.status == 308
    assert not {"BasicAuth", "ForwardAuth"} & {step.name for step in explain(config, "GET", "http://a.example/")}
    assert {"BasicAuth", "ForwardAuth"} <= {step.name for step in explain(config, "GET", "https://a.example/")}


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ('http = "redirect"', "this site is not served over TLS"),
        ('tls = "off"\nhttp = "redirect"', "this site is not served over TLS"),
        (
            'http = "serve"\ntls = { certificate = "a.pem", key = "a.key", clients = { authority = "a.pem" } }',
            "over plain HTTP nobody shows the certificate",
        ),
        (
            'tls = { certificate = "a.pem", key = "a.key" }\n"/x" = { respond = 200, client_certificate = true }',
            "this site asks nobody for one",
        ),
    ],
)
def test_what_tls_does_not_allow(tmp_path: Path, lines: str, why: str) -> None:
    write_pem(tmp_path, "a", "a.example")
    with pytest.raises(ConfigError, match=why):
        config_of(f'[server]\nhttps = ":443"\n[sites."*"]\n{lines}\n"/*" = {{ respond = "here" }}\n', tmp_path)
