"""Clients that take their time: a few connections each, for as long as the run may last. A real attack has thousands."""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable
from typing import NamedTuple

from enfilade.doctor import http2
from enfilade.doctor.answers import Answer, Ending, read_answers
from enfilade.doctor.probe import Needs, Probe, Usual, Verdict, bad, good, skipped, unclear
from enfilade.doctor.requests import HEAD, LAST, ORDINARY
from enfilade.doctor.target import Target
from enfilade.wire.http2 import frames
from enfilade.wire.http2.states import Setting

CONNECTIONS = 4
EARLY = 1.0
"""Seconds within which an answer means that the slow part was not waited for."""
LARGE = 8 * 1024 * 1024
"""Bytes that certainly do not fit into what kernels keep for a client that reads nothing."""
MOST_REQUESTS = 400


class Held(NamedTuple):
    """`after`: seconds until the last of the connections was ended by the server, None where some are still open after `seconds`;
    `first`: what the server answered on one of them; `served`: whether an ordinary client was answered meanwhile."""

    after: float | None
    seconds: float
    first: Answer | None = None
    served: bool = True


def held(state: Held | None, usual: Usual) -> Verdict:
    if state is None:
        return skipped("the answer is too small to be read slowly: name a URL with a large one (1 MB)")
    if not state.served:
        return bad("an ordinary client was not answered meanwhile")
    if state.after is None:
        return unclear(f"still open after {state.seconds:.0f} s: is there a limit?")
    if state.first and state.after < EARLY:
        return skipped(f"answered with {state.first.status} before it could be slow")
    return good(f"ended after {state.after:.0f} s" + (f" with {state.first.status}" if state.first else ""))


def served(target: Target) -> bool:
    return bool(target.ask(LAST).answers)


def trickle(
    begin: bytes, drip: bytes, connect: Callable[[Target], socket.socket] = Target.connect
) -> Callable[[Target], Held]:
    """Sends `begin`, then `drip` once a second, on CONNECTIONS connections."""

    def look(target: Target) -> Held:
        socks = [connect(target) for _ in range(CONNECTIONS)]
        try:
            for sock in socks:
                sock.sendall(target.fill(begin))
            return _drip(target, socks, drip)
        finally:
            for sock in socks:
                sock.close()

    return look


def _drip(target: Target, socks: list[socket.socket], drip: bytes) -> Held:
    began = time.monotonic()
    last, first, open_ones = 0.0, None, list(socks)
    while open_ones and time.monotonic() - began < target.slow:
        tick = time.monotonic() + 1
        while open_ones and (left := tick - time.monotonic()) > 0:
            for sock in select.select(open_ones, [], [], left)[0]:
                came = _take(sock)
                first = first or next(iter(read_answers(came or b"", at_end=True).answers), None)
                if came == b"":
                    open_ones.remove(sock)
                    last = time.monotonic() - began
        for sock in open_ones:
            try:
                sock.sendall(drip)
            except OSError:
                continue  # select tells
    after = None if open_ones else last
    return Held(after, time.monotonic() - began, first, served(target))


def _take(sock: socket.socket) -> bytes | None:
    """What is there; b"" at the end, None if there is nothing now."""
    sock.settimeout(0.2)
    try:
        return sock.recv(65536)
    except (TimeoutError, ssl.SSLWantReadError):
        return None
    except OSError:
        return b""


def unread(target: Target) -> Held | None:
    """Asks for much more than the kernels keep, reads nothing for as long as may be, and sees whether all of it still comes."""
    first = target.ask(LAST)
    size = len(first.answers[0].body) if first.answers else 0
    times = -(-LARGE // max(1, size))
    if times > MOST_REQUESTS:
        return None
    began = time.monotonic()
    with target.connect(receive=4096) as sock:
        sock.sendall(target.fill(ORDINARY) * times)
        time.sleep(max(0.0, target.left(target.slow)))
        waited, got = time.monotonic() - began, 0
        sock.settimeout(target.left(3))
        try:
            while got < LARGE and (piece := sock.recv(1 << 20)):
                got += len(piece)
        except OSError:
            pass
    return Held(waited if got < LARGE else None, waited, None, served(target))


def no_window(target: Target) -> Held:
    """Asks over HTTP/2 and allows no byte of the answer to be sent (RFC 9113 section 6.9)."""

    def connect(target: Target) -> socket.socket:
        sock = http2.connect(target)
        sock.sendall(
            frames.PREFACE
            + frames.settings([(Setting.INITIAL_WINDOW_SIZE, 0)])
            + frames.headers(1, http2.block(http2.head(target)), end=True)
        )
        return sock

    return http2_held(target, connect(target))


def http2_held(target: Target, sock: socket.socket) -> Held:
    """Reads frames until the stream or the connection is ended."""
    began, reader = time.monotonic(), http2.Reader()
    with sock:
        while time.monotonic() - began < target.slow:
            came = _take(sock) if select.select([sock], [], [], 1.0)[0] else None
            reader.feed(came or b"")
            if came == b"" or reader.signals or reader.ended_streams:
                seen = reader.seen(Ending.OPEN, 1.0, 0.0)
                return Held(time.monotonic() - began, 0, next(iter(seen.answers), None), served(target))
    return Held(None, time.monotonic() - began, None, served(target))


HEADS = "Limit the time for a whole head (10 s), not only between two bytes."
BODIES = "Ask for a least rate of request bodies (240 bytes a second), or a longest time."
READS = "Drop clients that take nothing of their answer (30 s), or too little."
POST = HEAD.replace(b"GET", b"POST") + b"Content-Length: 100000\r\n\r\n"
PROBES = (
    Probe(
        "silent",
        11,
        f"{CONNECTIONS} connections that never say a word",
        trickle(b"", b"", Target.connect_tcp),
        held,
        HEADS,
        slow=True,
    ),
    Probe(
        "slow-head",
        11,
        f"{CONNECTIONS} heads, a byte a second",
        trickle(HEAD + b"X-Doctor: ", b"a"),
        held,
        HEADS,
        slow=True,
    ),
    Probe(
        "slow-fields",
        11,
        f"{CONNECTIONS} heads, a field line a second",
        trickle(HEAD, b"X-Doctor: a\r\n"),
        held,
        HEADS,
        slow=True,
    ),
    Probe("slow-body", 11, f"{CONNECTIONS} POST bodies, a byte a second", trickle(POST, b"a"), held, BODIES, slow=True),
    Probe("unread", 11, "answers of 8 MB that nobody reads", unread, held, READS, slow=True),
    Probe("h2-no-window", 11, "HTTP/2 with a window of 0", no_window, held, READS, Needs.H2, slow=True),
)
