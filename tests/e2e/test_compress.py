"""Content codings through real sockets: curl and httpx, applications in the worker, in a process of their own, and behind the
proxy, over HTTP/1.1 and HTTP/2."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import httpx
import pytest
from tests.e2e.apps import coded
from tests.e2e.conftest import Server, Start

from enfilade.filters.coders import load
from enfilade.http.codings import CODINGS

APPS = Path(__file__).parent / "apps"
PAGE = coded.PAGE
BEHIND = f"""
[server]
http = "127.0.0.1:0"
workers = 1
[sites."*"]
"/*" = {{ app = "coded" }}
[apps.coded]
target = "coded:app"
path = "{APPS}"
workers = 1
"""
CONFIG = """
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
workers = 1
[server.limits]
body = "4MB"
[sites."*"]
tls = "internal"
compress = true
decompress = true
log = {{ format = ["target", "bytes", "reason"], to = "log" }}
"/inline/*" = {{ app = "inline" }}
"/isolated/*" = {{ app = "isolated" }}
"/proxy/*" = {{ proxy = {{ to = "{behind}", strip = true }} }}
"/files/*" = {{ files = "." }}
"/cached/*" = {{ app = "inline", cache = true }}
"/off/*" = {{ app = "inline", compress = false, decompress = false }}
"/wsgi/*" = {{ app = "wsgi" }}
[apps.inline]
target = "coded:app"
path = "{apps}"
inline = true
[apps.isolated]
target = "coded:app"
path = "{apps}"
workers = 1
[apps.wsgi]
target = "coded:wsgi"
path = "{apps}"
workers = 1
"""


@pytest.fixture(scope="module")
def behind(start_once: Start) -> Server:
    return start_once(BEHIND)


@pytest.fixture(scope="module")
def server(start_once: Start, behind: Server) -> Server:
    return start_once(CONFIG.format(behind=behind.url(), apps=APPS))


@pytest.fixture(params=["http1", "http2"])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    http2 = request.param == "http2"
    with httpx.Client(
        base_url=server.url("https" if http2 else "http"), http2=http2, verify=False, timeout=20
    ) as client:
        yield client


@pytest.fixture(params=["inline", "isolated", "proxy"])
def where(request: pytest.FixtureRequest) -> str:
    """Where the application is."""
    return str(request.param)


each_coding = pytest.mark.parametrize("coding", CODINGS)


@cache
def too_much(coding: str) -> tuple[bytes, bytes]:
    """By its ratio, and by its size alone."""
    encode = load(coding).encode
    return encode(bytes(4_000_000)), encode(b"".join([b"%8d" % i for i in range(600_000)]))


_names = map("name-{}".format, itertools.count())


@each_coding
def test_a_page(client: httpx.Client, where: str, coding: str) -> None:
    r = client.get(f"/{where}/page", headers={"accept-encoding": coding})
    assert r.headers["content-encoding"] == coding and r.headers["vary"] == "accept-encoding"
    assert r.headers["etag"] == f'W/"v1-{coding}"'
    assert r.content == PAGE and int(r.headers["content-length"]) < len(PAGE) / 5
    head = client.head(f"/{where}/page", headers={"accept-encoding": coding})
    assert head.headers["content-encoding"] == coding and head.headers["etag"] == r.headers["etag"]
    assert "content-length" not in head.headers


@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_curl_reads_it(server: Server, coding: str) -> None:
    url = f"{server.url()}/inline/page"
    command = ["curl", "-sS", "--compressed", "-H", f"Accept-Encoding: {coding}", "-D", "-", url]
    out = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
    head, _, body = out.partition(b"\r\n\r\n")
    assert f"content-encoding: {coding}".encode() in head and body == PAGE


def test_conditional_requests_go_through_to_the_application(client: httpx.Client, where: str) -> None:
    tag = client.get(f"/{where}/page").headers["etag"]
    r = client.get(f"/{where}/page", headers={"if-none-match": tag})
    assert (r.status_code, r.headers["etag"], r.content) == (304, tag, b"")
    assert client.put(f"/{where}/page", headers={"if-match": tag}).status_code == 204
    assert client.put(f"/{where}/page", headers={"if-match": 'W/"v2-gzip"'}).status_code == 412


@each_coding
def test_events_come_one_by_one(client: httpx.Client, where: str, coding: str) -> None:
    """FAILURES 24: each is read before the next one is made."""
    with client.stream("GET", f"/{where}/events", headers={"accept-encoding": coding}) as r:
        assert r.headers["content-encoding"] == coding
        pieces = r.iter_bytes()
        assert next(pieces) == b"data: open\n\n"
        for i in range(5):
            client.post(f"/{where}/next?{i}")
            assert next(pieces) == b"data: %d\n\n" % i
        client.post(f"/{where}/end")
        assert b"".join(pieces) == b""


def test_a_client_that_leaves_ends_the_application(server: Server, behind: Server, where: str) -> None:
    name = next(_names)
    with server.connect() as sock:
        sock.sendall(
            b"GET /%s/events?%s HTTP/1.1\r\nHost: a\r\nAccept-Encoding: br\r\n\r\n" % (where.encode(), name.encode())
        )
        assert b"content-encoding: br" in sock.recv(65536)
    (behind if where == "proxy" else server).wait_for(f"left {name}")


@each_coding
def test_a_long_body_in_small_pieces_comes_whole_and_small(
    server: Server, client: httpx.Client, where: str, coding: str
) -> None:
    """Many writes in one turn are not as many blocks."""
    expected = b"".join(coded.SECTION)
    with client.stream("GET", f"/{where}/long", headers={"accept-encoding": coding}) as r:
        raw = b"".join(r.iter_raw())
    assert len(raw) < len(expected) / 3
    decoder, got = load(coding).decoder(), []
    while piece := decoder.decode(raw, 1 << 20):
        got.append(piece)
        raw = b""
    assert b"".join(got) == expected and decoder.complete


def test_a_file_and_a_part_of_it(server: Server, client: httpx.Client) -> None:
    for name, size in (("small.txt", 10_000), ("middle.txt", 500_000), ("large.txt", 2_000_000)):
        (server.directory / name).write_bytes(b"0123456789" * (size // 10))
        r = client.get(f"/files/{name}", headers={"accept-encoding": "gzip"})
        assert len(r.content) == size
        assert r.headers.get("content-encoding") == (None if name == "large.txt" else "gzip")
        r = client.get(f"/files/{name}", headers={"accept-encoding": "gzip", "range": "bytes=5-7"})
        assert (r.status_code, r.content) == (206, b"567") and "content-encoding" not in r.headers


def test_where_identity_is_forbidden(client: httpx.Client, where: str) -> None:
    r = client.get(f"/{where}/page", headers={"accept-encoding": "*;q=0"})
    assert r.status_code == 406


def test_off_is_off(client: httpx.Client) -> None:
    r = client.get("/off/page", headers={"accept-encoding": "gzip"})
    assert r.content == PAGE and "content-encoding" not in r.headers and "vary" not in r.headers
    body = load("gzip").encode(PAGE)
    r = client.post("/off/echo", content=body, headers={"content-encoding": "gzip"})
    assert r.text == f"{len(body)} gzip {len(body)}"


# -- request bodies


@each_coding
def test_a_request_body_is_decoded(client: httpx.Client, where: str, coding: str) -> None:
    body = load(coding).encode(PAGE)
    r = client.post(f"/{where}/echo", content=body, headers={"content-encoding": coding})
    assert r.text == f"{len(PAGE)} - {len(PAGE)}"
    pieces = [body[i : i + 50] for i in range(0, len(body), 50)]
    r = client.post(f"/{where}/echo", content=iter(pieces), headers={"content-encoding": coding})
    assert r.text.startswith(f"{len(PAGE)} -")


def test_wsgi_reads_it_by_its_length_and_is_coded_too(client: httpx.Client) -> None:
    body = load("gzip").encode(PAGE)
    r = client.post("/wsgi/", content=body, headers={"content-encoding": "gzip", "accept-encoding": "br"})
    assert r.headers["content-encoding"] == "br"
    assert r.text == f"{len(PAGE)} -\n" * 200


@each_coding
def test_a_bomb_is_refused(server: Server, client: httpx.Client, where: str, coding: str) -> None:
    """FAILURES 29: by its ratio, and by the size that it may have."""
    bomb, large = too_much(coding)
    r = client.post(f"/{where}/echo?bomb-{coding}", content=bomb, headers={"content-encoding": coding})
    assert r.status_code == 413
    assert server.logged("log", lambda line: f"bomb-{coding}" in line and "body_bomb" in line)
    r = client.post(f"/{where}/echo?large-{coding}", content=large, headers={"content-encoding": coding})
    assert r.status_code == 413
    assert server.logged("log", lambda line: f"large-{coding}" in line and "body_too_large" in line)


def test_broken_and_unknown_codings(client: httpx.Client, where: str) -> None:
    r = client.post(f"/{where}/echo", content=b"hello", headers={"content-encoding": "gzip"})
    assert r.status_code == 400
    r = client.post(f"/{where}/echo", content=b"hello", headers={"content-encoding": "lzma"})
    assert r.status_code == 415 and r.headers["accept-encoding"] == "zstd, br, gzip"


def test_an_interim_answer_goes_before(server: Server) -> None:
    """100 (Continue) is asked for only when somebody reads."""
    body = load("gzip").encode(PAGE)
    with server.connect() as sock:
        sock.sendall(
            b"POST /inline/echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        )
        assert sock.recv(65536).startswith(b"HTTP/1.1 100")
        sock.sendall(body)
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 200") and f"{len(PAGE)} - {len(PAGE)}".encode() in answer


# -- behind the cache


def test_a_cache_in_front_keeps_each_coding_once(client: httpx.Client, request: pytest.FixtureRequest) -> None:
    path = f"/cached/page?max-age=600, x={request.node.callspec.id}"
    calls = []
    for coding in ("gzip", "br", "identity", "gzip", "br", "identity"):
        r = client.get(path, headers={"accept-encoding": coding})
        assert r.content == PAGE and r.headers.get("content-encoding", "identity") == coding
        assert r.headers["vary"] == "accept-encoding"
        assert r.headers["etag"] == ('"v1"' if coding == "identity" else f'W/"v1-{coding}"')
        calls.append(r.headers["x-calls"])
    assert calls[:3] == calls[3:] and len(set(calls)) == 3
    r = client.get(path, headers={"accept-encoding": "br", "if-none-match": 'W/"v1-br"'})
    assert (r.status_code, r.headers["etag"]) == (304, 'W/"v1-br"') and "hit" in r.headers["cache-status"]


@pytest.mark.parametrize("coding", ["gzip", "br", "identity"])
def test_a_cache_in_front_asks_the_application_by_its_own_tag(client: httpx.Client, coding: str) -> None:
    """RFC 9111 section 4.3: it is told 304, and so keeps what was coded."""
    answers = [client.get("/cached/page?no-cache", headers={"accept-encoding": coding}) for _ in range(3)]
    assert [r.status_code for r in answers] == [200, 200, 200]
    assert all(r.content == PAGE and r.headers.get("content-encoding", "identity") == coding for r in answers)
    assert "detail=revalidated" in answers[-1].headers["cache-status"]
