"""The cache with real clients and origins, through two workers: what is used, for whom, and what is asked of the origin."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import eventually
from tests.e2e.origins import APPS, Origin, ask, pattern, said, speaking
from tests.e2e.processes import command, metrics

pytest_plugins = ["tests.e2e.origin_fixtures"]

CONFIG = """
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
[sites."*"]
tls = "internal"
log = {{ format = ["target", "status", "response.cache-status"], to = "log" }}
"/proxy/*" = {{ proxy = "{origin}", cache = true }}
"/isolated/*" = {{ app = "isolated", cache = true }}
"/inline/*" = {{ app = "inline", cache = true }}
"/wsgi/*" = {{ app = "wsgi", cache = true }}
"/graceful/*" = {{ proxy = "{origin}", cache = {{ grace = "1h" }} }}
"/cookies/*" = {{ proxy = "{origin}", cache = {{ key = ["cookie tier"] }} }}
"/ttl/*" = {{ proxy = "{origin}", cache = "1h" }}
"/packed/*" = {{ proxy = "{origin}", cache = true, compress = true }}
"/nobody/*" = {{ proxy = "http://127.0.0.1:1", cache = {{ ttl = "1h", negative = "1h" }} }}
"/*" = {{ respond = "hi" }}
[apps.isolated]
target = "origin:app"
path = "{apps}"
workers = 1
[apps.inline]
target = "origin:app"
path = "{apps}"
inline = true
[apps.wsgi]
target = "origin:wsgi"
path = "{apps}"
workers = 1
"""


@pytest.fixture(scope="module")
def server(start_once: Start, origin: Origin) -> Server:
    return start_once(CONFIG.format(origin=origin.url, apps=APPS))


@pytest.fixture(params=["http1", "http2"])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with speaking(server, request.param) as made:
        yield made


# -- used again


@pytest.mark.parametrize("where", ["proxy", "isolated", "inline", "wsgi"])
def test_an_answer_is_used_again_and_says_so(client: httpx.Client, name: str, where: str) -> None:
    first = client.get(f"/{where}/{name}?cc=max-age=600")
    assert (first.status_code, first.text) == (200, f"{name} 1") and "age" not in first.headers
    assert said(first) == "enfilade; fwd=uri-miss; stored"
    again = client.get(f"/{where}/{name}?cc=max-age=600")
    assert again.text == f"{name} 1" and again.headers["content-type"] == first.headers["content-type"]
    assert said(again).startswith("enfilade; hit; ttl=") and int(again.headers["age"]) < 600


def test_workers_share_what_is_stored(server: Server, origin: Origin, name: str) -> None:
    pids = set()
    with httpx.Client(base_url=server.url()) as first:
        first.get(f"/proxy/{name}?cc=max-age=600")

    def asked() -> bool:
        with httpx.Client(base_url=server.url(), timeout=PATIENCE) as other:
            pids.add(other.get("/inline/pid").text)
            assert "hit" in said(other.get(f"/proxy/{name}?cc=max-age=600"))
        return len(pids) == 2

    eventually(asked, "both workers were asked")
    assert origin.count(name) == 1


def test_curl_sees_a_hit(server: Server, name: str) -> None:
    command = ["curl", "-sSkD", "-", "--http2", f"{server.url('https')}/proxy/{name}?cc=max-age=600"]
    for _ in range(2):
        out = subprocess.run(command, capture_output=True, check=True, timeout=PATIENCE).stdout
    assert b"cache-status: enfilade; hit" in out and out.endswith(f"{name} 1".encode())


def test_the_same_address_over_tls_is_another_one(server: Server, origin: Origin, name: str) -> None:
    """FAILURES 27: the scheme is part of the key."""
    host = {"host": "shop.example.com"}
    with httpx.Client(verify=False, timeout=PATIENCE) as client:
        for _ in range(2):
            for scheme in ("http", "https"):
                client.get(f"{server.url(scheme)}/proxy/{name}?cc=max-age=600", headers=host)
    assert origin.count(name) == 2


def test_a_lifetime_of_the_configuration(client: httpx.Client, name: str) -> None:
    client.get(f"/ttl/{name}")
    assert client.get(f"/ttl/{name}").text == f"{name} 1"
    client.get(f"/ttl/{name}?cc=no-store")
    assert client.get(f"/ttl/{name}?cc=no-store").text == f"{name} 3", "what an answer says goes before"


def test_head_is_answered_by_what_get_stored(client: httpx.Client, origin: Origin, name: str) -> None:
    size = len(client.get(f"/proxy/{name}?cc=max-age=600").content)
    head = client.head(f"/proxy/{name}?cc=max-age=600")
    assert "hit" in said(head) and head.content == b"" and int(head.headers["content-length"]) == size
    assert client.get(f"/proxy/{name}?cc=max-age=600").content, "the connection is in order"
    assert origin.count(name) == 1


def test_parts_of_what_is_stored(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/proxy/{name}?cc=max-age=600&size=200000"
    assert client.get(target).content == pattern(0, 200_000)
    for wanted, start, stop in (("1000-1999", 1000, 2000), ("199990-", 199_990, 200_000), ("-7", 199_993, 200_000)):
        part = client.get(target, headers={"range": f"bytes={wanted}"})
        assert (part.status_code, part.content) == (206, pattern(start, stop))
        assert part.headers["content-range"] == f"bytes {start}-{stop - 1}/200000"
    several = client.get(target, headers={"range": "bytes=0-9,100-109"})
    assert several.status_code == 206 and several.headers["content-type"].startswith("multipart/byteranges")
    beyond = client.get(target, headers={"range": "bytes=200000-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */200000")
    assert origin.count(name) == 1


def test_who_asks_for_a_part_first_gets_it_and_all_is_stored(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/proxy/{name}?cc=max-age=600&size=200000"
    part = client.get(target, headers={"range": "bytes=0-6"})
    assert (part.status_code, part.content) == (206, pattern(0, 7))
    eventually(lambda: "hit" in said(client.get(target)), "it is stored")
    assert client.get(target).content == pattern(0, 200_000) and origin.count(name) == 1


def test_parts_are_stored_put_together_and_completed(client: httpx.Client, origin: Origin, name: str) -> None:
    """RFC 9111 sections 3.3 and 3.4."""
    target = f"/proxy/{name}?cc=max-age=600&size=200000&etag=v1&ranges=1"

    def part(start: int, stop: int) -> str:
        got = client.get(target, headers={"range": f"bytes={start}-{stop - 1}"})
        assert (got.status_code, got.content) == (206, pattern(start, stop))
        assert got.headers["content-range"] == f"bytes {start}-{stop - 1}/200000"
        return said(got)

    assert part(50_000, 150_000) == "enfilade; fwd=uri-miss; stored"
    eventually(lambda: "hit" in part(70_000, 70_010), "it is stored")
    assert part(150_000, 200_000) == "enfilade; fwd=partial; stored"
    eventually(lambda: "hit" in part(149_000, 200_000), "they are one")
    whole = client.get(target)
    assert (whole.status_code, whole.content) == (200, pattern(0, 200_000)) and "fwd=partial" in said(whole)
    assert "hit" in said(client.get(target))


def test_who_has_it_is_told_so(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/proxy/{name}?cc=max-age=600&etag=v1"
    first = client.get(target, headers={"if-none-match": '"v1"'})
    assert first.status_code == 304, "the origin has not heard the condition"
    for tag in ('"v1"', 'W/"v1"', '"v0", "v1"', "*"):
        again = client.get(target, headers={"if-none-match": tag})
        assert (again.status_code, again.headers["etag"], again.content) == (304, '"v1"', b"") and "hit" in said(again)
    other = client.get(target, headers={"if-none-match": '"v2"'})
    assert (other.status_code, other.text) == (200, f"{name} 1")
    assert origin.count(name) == 1


def test_what_is_stale_is_confirmed(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/proxy/{name}?cc=no-cache&etag=v1"
    answers = [client.get(target) for _ in range(3)]
    assert [a.text for a in answers] == [f"{name} 1"] * 3 and origin.count(name) == 3
    assert "revalidated" in said(answers[-1])
    origin.move(name)
    assert client.get(target).headers["etag"] == '"v1-moved"'


# -- for whom


def test_answers_that_vary(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/proxy/{name}?cc=max-age=600&h=vary:x-color&echo=x-color"
    for _ in range(2):
        assert client.get(target, headers={"x-color": "red"}).text == "red"
        assert client.get(target, headers={"x-color": "blue"}).text == "blue"
        assert client.get(target).text == "-"
    assert origin.count(name) == 3


def test_cookies_get_only_what_says_that_it_is_for_everybody(client: httpx.Client, origin: Origin, name: str) -> None:
    for cookie in ("a=1", "a=2"):
        assert client.get(f"/ttl/{name}?echo=cookie", headers={"cookie": cookie}).text == cookie
    assert client.get(f"/ttl/{name}?echo=cookie").text == "-"
    assert client.get(f"/ttl/{name}?echo=cookie", headers={"cookie": "a=3"}).text == "a=3"
    target = f"/proxy/{name}?cc=max-age=600"
    assert client.get(target, headers={"cookie": "a=1"}).text == client.get(target, headers={"cookie": "a=2"}).text


def test_cookies_that_are_part_of_the_key(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/cookies/{name}?cc=max-age=600&echo=cookie"
    for cookie in ("tier=gold; session=1", "tier=silver; session=2"):
        for session in ("session=3", "session=4"):
            tier = cookie.partition(";")[0]
            assert client.get(target, headers={"cookie": f"{tier}; {session}"}).text.startswith(tier)
    assert origin.count(name) == 2


@pytest.mark.parametrize(
    "more", ["h=set-cookie:a=1", "cc=private, max-age=600", "cc=no-store", "status=206", "h=vary:*"]
)
def test_what_is_nobody_elses_is_not_stored(client: httpx.Client, origin: Origin, name: str, more: str) -> None:
    target = f"/proxy/{name}?{more}" if more.startswith("cc") else f"/proxy/{name}?cc=max-age=600&{more}"
    assert [client.get(target).text for _ in range(2)] == [f"{name} 1", f"{name} 2"]


def test_only_if_cached(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/proxy/{name}?cc=max-age=600"
    only = {"cache-control": "only-if-cached"}
    assert client.get(target, headers=only).status_code == 504 and origin.count(name) == 0
    client.get(target)
    assert client.get(target, headers=only).status_code == 200


def test_no_cache_asks_the_origin(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/proxy/{name}?cc=max-age=600"
    client.get(target)
    assert client.get(target, headers={"cache-control": "no-cache"}).text == f"{name} 2"
    assert client.get(target).text == f"{name} 2", "what came is stored"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_an_unsafe_method_invalidates(client: httpx.Client, name: str, method: str) -> None:
    target = f"/proxy/{name}?cc=max-age=600"
    assert client.get(target).text == f"{name} 1"
    assert client.request(method, target, content=b"x").text == f"{name} 2"
    assert client.get(target).text == f"{name} 3"


# -- when the origin fails


def test_what_a_dead_peer_leads_to_is_not_stored(client: httpx.Client, server: Server, name: str) -> None:
    """FAILURES 27: errors of our own are nobody's answer."""
    for _ in range(2):
        response = client.get(f"/nobody/{name}")
        assert response.status_code in (502, 503) and "hit" not in said(response) and "stored" not in said(response)


@pytest.mark.parametrize("where", ["isolated", "inline"])
def test_an_application_that_raises(client: httpx.Client, name: str, where: str) -> None:
    response = client.get(f"/{where}/{name}?cc=max-age=600&fail=before")
    assert response.status_code == 500 and "stored" not in said(response)
    assert client.get(f"/{where}/{name}?cc=max-age=600&fail=before").status_code == 500


def test_grace_while_the_origin_fails(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/graceful/{name}?cc=max-age=0"
    assert client.get(target).text == f"{name} 1"
    assert client.get(target).text == f"{name} 2"
    origin.fail(name)
    stale = client.get(target)
    assert (stale.status_code, stale.text) == (200, f"{name} 2") and "detail=stale_error" in said(stale)


def test_must_revalidate_is_never_served_stale(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/graceful/{name}?cc=max-age=0, must-revalidate&etag=v1"
    assert client.get(target).status_code == 200
    origin.fail(name)
    assert client.get(target).status_code == 503


def test_a_stale_answer_is_served_while_it_is_refreshed(client: httpx.Client, origin: Origin, name: str) -> None:
    """RFC 5861 section 3: the one who finds it stale does not wait."""
    target = f"/proxy/{name}?cc=max-age=0, stale-while-revalidate=600"
    assert client.get(target).text == f"{name} 1"
    stale = client.get(target)
    assert stale.text == f"{name} 1" and "hit" in said(stale)
    eventually(lambda: client.get(target).text != f"{name} 1", "it was refreshed")


# -- with a coding


def test_each_coding_is_stored_once(client: httpx.Client, server: Server, origin: Origin, name: str) -> None:
    target = f"/packed/{name}?cc=max-age=600&etag=v1&size=20000"
    tags = {}
    for _ in range(2):
        for coding in ("gzip", "br", "zstd", "identity"):
            response = client.get(target, headers={"accept-encoding": coding})
            assert response.content == pattern(0, 20_000)
            assert response.headers.get("content-encoding", "identity") == coding
            tags[coding] = response.headers["etag"]
    assert origin.count(name) == 4 and len(set(tags.values())) == 4
    for coding, tag in tags.items():
        response = client.get(target, headers={"accept-encoding": coding, "if-none-match": tag})
        assert (response.status_code, response.headers["etag"]) == (304, tag) and "hit" in said(response)
    assert origin.count(name) == 4


def test_curl_takes_what_is_stored_with_a_coding(server: Server, name: str) -> None:
    target = f"{server.url()}/packed/{name}?cc=max-age=600&size=20000"
    for _ in range(2):
        out = subprocess.run(
            ["curl", "-sSgD", "-", "--compressed", target], capture_output=True, timeout=PATIENCE
        ).stdout
    head, _, body = out.partition(b"\r\n\r\n")
    assert b"enfilade; hit" in head and b"content-encoding" in head and body == pattern(0, 20_000)


# -- what it tells


def test_metrics_count_by_route(server: Server, name: str) -> None:
    def counts() -> dict[str, float]:
        return {
            key.split('result="')[1].partition('"')[0]: value
            for key, value in metrics(server).items()
            if key.startswith("enfilade_cache_requests_total") and 'route="/graceful/*"' in key
        }

    before = counts()
    target = f"/graceful/{name}?cc=max-age=600"
    for method in ("GET", "GET", "GET", "POST"):
        ask(server, target, method)
    eventually(lambda: sum(counts().values()) == sum(before.values()) + 4, "all are counted")
    after = counts()
    assert {result: after[result] - before.get(result, 0) for result in after} == {
        "hit": 2, "stale": 0, "miss": 1, "bypass": 1,
    }  # fmt: skip


def test_explain_shows_the_cache(server: Server) -> None:
    shown = command(server, "explain", "-c", "enfilade.toml", "GET", "http://localhost/cookies/x").stdout
    assert "Cache" in shown and "cookie tier" in shown
    shown = command(server, "explain", "-c", "enfilade.toml", "GET", "http://localhost/x").stdout
    assert "Cache" not in shown


def test_the_log_has_it(server: Server, name: str) -> None:
    for _ in range(2):
        ask(server, f"/proxy/{name}?cc=max-age=600")
    line = server.logged("log", lambda line: line if name in line and "hit" in line else None)
    assert "enfilade; hit; ttl=" in line, json.dumps(line)


def test_a_port_of_its_own_is_another_host(server: Server, origin: Origin, name: str, tmp_path: Path) -> None:
    for host in ("a.example:81", "a.example", "a.example:80", "A.EXAMPLE", "b.example"):
        ask(server, f"/proxy/{name}?cc=max-age=600", host=host)
    assert origin.count(name) == 3
