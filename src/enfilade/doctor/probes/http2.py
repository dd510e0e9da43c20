"""HTTP/2: requests that would be something else in HTTP/1.1, and frames that cost their sender nothing (RFC 9113)."""

from __future__ import annotations

from collections.abc import Callable

from enfilade.doctor.answers import Seen
from enfilade.doctor.http2 import block, head, speak
from enfilade.doctor.judges import Judge, allowed, costs, ended, refused
from enfilade.doctor.probe import Needs, Probe
from enfilade.doctor.requests import Look
from enfilade.doctor.target import Target
from enfilade.http.fields import Pair
from enfilade.wire.hpack.encoder import integer
from enfilade.wire.http2.frames import frame, headers, ping, rst_stream, window_update
from enfilade.wire.http2.states import Error, Flag, Frame

Pairs = Callable[[Target], list[Pair]]


def request(*more: Pair, without: bytes = b"", data: bytes | None = None) -> Look:
    """One request with fields that it should not have, or without one that it should; `data`: its body."""

    def look(target: Target) -> Seen:
        start = headers(1, block(head(target, *more, without=without)), end=data is None)
        return speak(target, start + (b"" if data is None else frame(Frame.DATA, Flag.END_STREAM, 1, data)))

    return look


def late(target: Target) -> Seen:
    """A pseudo-field behind an ordinary one (section 8.3)."""
    pairs = head(target, without=b":path")
    return speak(target, headers(1, block([*pairs, (b"x-doctor", b"a"), (b":path", target.path.encode())]), end=True))


def many(times: int, make: Callable[[int, bytes], bytes]) -> Look:
    """`make` with the numbers of `times` streams, and the field block of an ordinary request."""

    def look(target: Target) -> Seen:
        ordinary = block(head(target))
        return speak(target, b"".join([make(2 * n + 1, ordinary) for n in range(times)]), wanted=times + 1)

    return look


def rapid_reset(stream: int, ordinary: bytes) -> bytes:
    return headers(stream, ordinary, end=True) + rst_stream(stream, Error.CANCEL)


def made_you_reset(stream: int, ordinary: bytes) -> bytes:
    """The server has to reset the stream itself: an update of nothing is a stream error (section 6.9)."""
    return headers(stream, ordinary, end=True) + window_update(stream, 0)


def continuations(size: int, times: int) -> Look:
    """A block that does not end (section 6.10)."""

    def look(target: Target) -> Seen:
        start = frame(Frame.HEADERS, Flag.END_STREAM, 1, block(head(target)))
        piece = block([(b"x-doctor", b"a" * size)]) if size else b""
        return speak(target, start + frame(Frame.CONTINUATION, 0, 1, piece) * times)

    return look


def bomb(target: Target) -> Seen:
    """One entry of nearly the whole table, named 4,000 times: 16 MB of fields in 8 KB (RFC 7541 section 2.3)."""
    value = b"a" * 3900
    literal = b"\x40" + integer(8, 0x7F, 0) + b"x-doctor" + integer(len(value), 0x7F, 0) + value
    return speak(target, headers(1, block(head(target)) + literal + integer(62, 0x7F, 0x80) * 4000, end=True))


def empty_data(target: Target) -> Seen:
    pairs = head(target, method=b"POST")
    return speak(target, headers(1, block(pairs), end=False) + frame(Frame.DATA, 0, 1) * 5000, wanted=2)


def flood(piece: bytes, times: int) -> Look:
    return lambda target: speak(target, piece * times)


EXTRA = "Update the server: what reaches the next one in HTTP/1.1 may be two requests."
FLOOD = "Update the server; every flood has to be paid from a budget of its connection."
either = allowed(refused, "RFC 9113 section 8.3.1 lets :authority win")


def _probe(name: str, row: int, tries: str, look: Look, judge: Judge, advice: str) -> Probe:
    return Probe(name, row, tries, look, judge, advice, Needs.H2)


PROBES = (
    *(
        _probe(name, 6, tries, look, judge, EXTRA)
        for name, tries, look, judge in (
            ("h2-uppercase", "a field name in upper case", request((b"X-Doctor", b"a")), refused),
            ("h2-newline", "CR and LF in a field's value", request((b"x-doctor", b"a\r\nx-more: b")), refused),
            ("h2-nul", "NUL in a field's value", request((b"x-doctor", b"a\0b")), refused),
            ("h2-name", "CR and LF in a field's name", request((b"x-doctor: a\r\nx", b"b")), refused),
            ("h2-colon", "a colon in a field's name", request((b"x:doctor", b"a")), refused),
            ("h2-connection", "the field connection", request((b"connection", b"close")), refused),
            ("h2-te", "transfer-encoding: chunked", request((b"transfer-encoding", b"chunked")), refused),
            ("h2-late", "a pseudo-field behind an ordinary one", late, refused),
            ("h2-pseudo-twice", ":path twice", request((b":path", b"/doctor")), refused),
            ("h2-pseudo-unknown", "a pseudo-field that there is not", request((b":doctor", b"a")), refused),
            ("h2-no-path", "no :path", request(without=b":path"), refused),
            (
                "h2-path-space",
                "a :path with a space and another version in it",
                request((b":path", b"/ HTTP/1.1\r\nx: y"), without=b":path"),
                refused,
            ),
            (
                "h2-method-space",
                "a :method with a space in it",
                request((b":method", b"GET / HTTP/1.1"), without=b":method"),
                refused,
            ),
            ("h2-hosts", ":authority, and another name in host", request((b"host", b"doctor.invalid")), either),
            ("h2-length", "content-length: 5 and 6 bytes", request((b"content-length", b"5"), data=b"hello!"), refused),
            ("h2-length-end", "content-length: 5 and no body", request((b"content-length", b"5")), refused),
        )
    ),
    _probe(
        "h2-rapid-reset",
        9,
        "2,000 streams, opened and reset at once (Rapid Reset)",
        many(2000, rapid_reset),
        costs,
        FLOOD,
    ),
    _probe(
        "h2-made-reset",
        9,
        "2,000 streams that the server has to reset (MadeYouReset)",
        many(2000, made_you_reset),
        costs,
        FLOOD,
    ),
    _probe("h2-continuation", 9, "8 MB of CONTINUATION for one head", continuations(16000, 500), ended, FLOOD),
    _probe("h2-continuation-0", 9, "10,000 empty CONTINUATION", continuations(0, 10_000), costs, FLOOD),
    _probe("h2-settings", 9, "10,000 SETTINGS", flood(frame(Frame.SETTINGS, 0, 0), 10_000), costs, FLOOD),
    _probe("h2-ping", 9, "20,000 PING", flood(ping(b"doctor..", ack=False), 20_000), costs, FLOOD),
    _probe("h2-empty-data", 9, "5,000 empty DATA", empty_data, costs, FLOOD),
    _probe(
        "h2-bomb",
        10,
        "16 MB of fields in 8 KB of HPACK",
        bomb,
        refused,
        "Limit the fields as they are decoded (64 KB).",
    ),
    _probe(
        "h2-fields",
        10,
        "2,000 fields over HTTP/2",
        request(*[(b"x-%d" % n, b"a") for n in range(2000)]),
        allowed(refused, "is there a limit?"),
        "Limit the number of fields (100).",
    ),
)
