"""The cache while answers are on their way: many who ask at once, bodies that come slowly, clients and origins that leave."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, Server, Start
from tests.e2e.kit import connected, eventually
from tests.e2e.origins import APPS, Origin, ask, pattern, said, speaking
from tests.e2e.processes import metrics

from enfilade.cache import claims

pytest_plugins = ["tests.e2e.origin_fixtures"]

CONFIG = """
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = {workers}
[sites."*"]
tls = "internal"
"/*" = {{ proxy = "{origin}", cache = {{ grace = "1h" }}, log = {{ format = ["target", "status", "reason"], to = "log" }} }}
"/isolated/*" = {{ app = "isolated", cache = true }}
[apps.isolated]
target = "origin:app"
path = "{apps}"
workers = 1
"""
PIECE = 65536
"""The first piece of a body that waits in the middle."""


@pytest.fixture(scope="module")
def server(start_once: Start, origin: Origin) -> Server:
    return start_once(CONFIG.format(origin=origin.url, apps=APPS, workers=2))


@pytest.fixture(scope="module")
def alone(start_once: Start, origin: Origin) -> Server:
    """One with a single worker: a body that comes is followed in the worker that fetches it."""
    return start_once(CONFIG.format(origin=origin.url, apps=APPS, workers=1))


@pytest.fixture(params=["http1", "http2"])
def client(alone: Server, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    with speaking(alone, request.param) as made:
        yield made


@contextmanager
def asking(server: Server, target: str) -> Iterator[socket.socket]:
    """A connection on which `target` was asked for."""
    with server.connect() as sock:
        sock.settimeout(PATIENCE)
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n".encode())
        yield sock


def read(sock: socket.socket, size: int) -> bytes:
    """What comes behind the head: at least `size` bytes, or all that there are."""
    data = b""
    while b"\r\n\r\n" not in data or len(data.partition(b"\r\n\r\n")[2]) < size:
        piece = sock.recv(65536)
        if not piece:
            break
        data += piece
    return data.partition(b"\r\n\r\n")[2]


def connections(server: Server) -> float:
    return sum(value for name, value in metrics(server).items() if name.startswith("enfilade_connections_open{"))


# -- many at once


def test_many_at_once_are_one_request_to_the_origin(server: Server, origin: Origin, name: str) -> None:
    """Through both workers."""
    target = f"/{name}?cc=max-age=600&gate=before"
    socks = []
    try:
        for _ in range(200):
            sock = server.connect()
            sock.settimeout(PATIENCE)
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n".encode())
            socks.append(sock)
        eventually(lambda: origin.count(name), "somebody asks the origin")
        eventually(lambda: connections(server) >= 200, "all of them are there")
        origin.open(name)
        assert {read(sock, 1 << 20) for sock in socks} == {f"{name} 1".encode()}
    finally:
        for sock in socks:
            sock.close()
    assert origin.count(name) == 1


def test_a_worker_that_is_killed_is_not_waited_for(start: Start, origin: Origin, name: str) -> None:
    """By those who wait at another one for what it fetches: as soon as it is buried, one of them asks the origin."""
    server = start(CONFIG.format(origin=origin.url, apps=APPS, workers=2))
    target = f"/{name}?cc=max-age=600&gate=before"
    with ExitStack() as stack:
        socks = [stack.enter_context(asking(server, target))]
        eventually(lambda: origin.count(name), "somebody asks the origin")
        (fetching,) = connected(server, origin.port)
        socks += [stack.enter_context(asking(server, target)) for _ in range(20)]
        eventually(lambda: connections(server) >= 21, "all of them are there")
        killed = time.monotonic()
        os.kill(fetching, signal.SIGKILL)
        eventually(lambda: origin.count(name) == 2, "another worker asks the origin")
        assert time.monotonic() - killed < claims.PATIENCE / 2
        origin.open(name)
        bodies = {read_or_nothing(sock) for sock in socks}
    assert bodies == {b"", f"{name} 2".encode()}


def read_or_nothing(sock: socket.socket) -> bytes:
    """Nothing, where the worker is gone."""
    try:
        return read(sock, 1 << 20)
    except ConnectionError:
        return b""


@pytest.mark.parametrize("cc", ["no-store", "private"])
def test_what_is_not_for_all_releases_those_who_wait(server: Server, origin: Origin, name: str, cc: str) -> None:
    """FAILURES 28: each gets an answer of its own."""
    target = f"/{name}?cc={cc}&gate=before"
    with ThreadPoolExecutor(20) as pool:
        answers = [pool.submit(ask, server, target) for _ in range(20)]
        eventually(lambda: origin.count(name), "somebody asks the origin")
        origin.open(name)
        bodies = [a.result()[2] for a in answers]
    assert len(set(bodies)) == 20 == origin.count(name)


def test_those_who_wait_get_the_variant_that_is_theirs(server: Server, origin: Origin, name: str) -> None:
    target = f"/{name}?cc=max-age=600&gate=before&h=vary:x-user&echo=x-user"
    with ThreadPoolExecutor(20) as pool:
        answers = {i: pool.submit(ask, server, target, x_user=f"user{i % 4}") for i in range(20)}
        eventually(lambda: origin.count(name), "somebody asks the origin")
        origin.open(name)
        for i, answer in answers.items():
            assert answer.result()[2] == f"user{i % 4}".encode()


def test_who_has_credentials_waits_for_nobody(server: Server, origin: Origin, name: str) -> None:
    """FAILURES 28: and nobody gets what was for them."""
    target = f"/{name}?cc=max-age=600&gate=before&echo=authorization"
    with ThreadPoolExecutor(10) as pool:
        answers = [pool.submit(ask, server, target, authorization=f"Basic {i}") for i in range(10)]
        eventually(lambda: origin.count(name) == 10, "each asks for itself")
        origin.open(name)
        assert [a.result()[2] for a in answers] == [b"Basic %d" % i for i in range(10)]
    assert ask(server, target)[2] == b"-"


# -- bodies that come slowly


@pytest.mark.parametrize("more", ["", "&chunked=1"])
def test_a_body_is_handed_on_while_it_comes(client: httpx.Client, origin: Origin, name: str, more: str) -> None:
    """FAILURES 24; to those who come later, too."""
    target = f"/{name}?cc=max-age=600&gate=middle&size=200000{more}"
    with client.stream("GET", target) as first:
        pieces = first.iter_bytes()
        got = b""
        while len(got) < PIECE:
            got += next(pieces)
        with client.stream("GET", target) as second:
            assert "collapsed" in said(second)
            others = second.iter_bytes()
            seen = b""
            while len(seen) < PIECE:
                seen += next(others)
            origin.open(name)
            assert got + b"".join(pieces) == seen + b"".join(others) == pattern(0, 200_000)
    assert origin.count(name) == 1
    eventually(lambda: "hit" in said(client.get(target)), "it is stored")
    assert client.get(target).content == pattern(0, 200_000) and origin.count(name) == 1


def test_a_follower_wants_only_a_part(client: httpx.Client, origin: Origin, name: str) -> None:
    target = f"/{name}?cc=max-age=600&gate=middle&size=200000"
    with client.stream("GET", target) as first:
        next(pieces := first.iter_raw())
        part = client.get(target, headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, pattern(10, 20)), "it does not wait for the rest"
        origin.open(name)
        for _ in pieces:
            pass
    assert origin.count(name) == 1


def test_the_first_leaves_in_the_middle_and_others_get_all(alone: Server, origin: Origin, name: str) -> None:
    target = f"/{name}?cc=max-age=600&gate=middle&size=200000"
    with asking(alone, target) as first:
        assert read(first, PIECE)[:PIECE] == pattern(0, PIECE)
        with ThreadPoolExecutor(5) as pool:
            others = [pool.submit(ask, alone, target, host="a.example") for _ in range(5)]
            first.close()
            origin.open(name)
            assert {o.result()[2] for o in others} == {pattern(0, 200_000)}
    assert origin.left(name) == 0 and origin.count(name) == 1


def test_all_leave_in_the_middle_and_it_is_stored_all_the_same(alone: Server, origin: Origin, name: str) -> None:
    target = f"/{name}?cc=max-age=600&gate=middle&size=200000"
    with asking(alone, target) as only:
        read(only, PIECE)
    origin.open(name)
    eventually(lambda: "hit" in ask(alone, target, host="a.example")[1]["cache-status"], "it is stored")
    assert ask(alone, target, host="a.example")[2] == pattern(0, 200_000)


def test_all_leave_before_the_answer_and_the_origin_is_left_alone(alone: Server, origin: Origin, name: str) -> None:
    """FAILURES 20: the request to it is cancelled."""
    with asking(alone, f"/{name}?cc=max-age=600&gate=before"):
        eventually(lambda: origin.count(name), "the origin is asked")
    eventually(lambda: origin.left(name), "it hears that nobody waits")


@pytest.mark.parametrize("more", ["", "&chunked=1"])
def test_a_body_that_the_origin_cuts_is_not_stored(alone: Server, origin: Origin, name: str, more: str) -> None:
    """Nor told to be whole."""
    target = f"/{name}?cc=max-age=600&fail=middle&size=200000{more}"
    for i in range(2):
        with pytest.raises(httpx.RemoteProtocolError), httpx.Client(base_url=alone.url(), timeout=PATIENCE) as client:
            client.get(target)
        assert origin.count(name) == i + 1


@pytest.mark.parametrize("more", ["", "&chunked=1"])
def test_nor_is_one_that_an_application_cuts(alone: Server, name: str, more: str) -> None:
    target = f"/isolated/{name}?cc=max-age=600&fail=middle&size=200000{more}"
    for i in range(2):
        with pytest.raises(httpx.RemoteProtocolError), httpx.Client(base_url=alone.url(), timeout=PATIENCE) as client:
            client.get(target)
        assert ask(alone, f"/isolated/count/{name}", "POST")[2] == b"%d" % (i + 1)


def test_events_are_one_clients_own(client: httpx.Client, origin: Origin, name: str) -> None:
    """Each has a stream of its own, from its first event on."""
    target = f"/{name}?cc=max-age=600&gate=middle&h=content-type:text/event-stream"
    with client.stream("GET", target) as one, client.stream("GET", target) as other:
        pieces, others = one.iter_raw(), other.iter_raw()
        assert next(pieces) and next(others)
        assert origin.count(name) == 2 and "collapsed" not in said(other)
        origin.open(name)
        assert sum(map(len, pieces)) and sum(map(len, others))
    client.get(target)
    assert origin.count(name) == 3
