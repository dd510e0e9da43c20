"""WSGI without a framework: one function a path."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

MB = bytes(1 << 20)
FILE = __file__


def say(text: str) -> None:
    print(text, flush=True)


class Pieces:
    """The answer of a generator that says when it is closed."""

    def __init__(self, pieces: Iterator[bytes], name: str) -> None:
        self._pieces = pieces
        self._name = name

    def __iter__(self) -> Iterator[bytes]:
        return self._pieces

    def close(self) -> None:
        say(f"closed {self._name}")


def gigabyte(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])

    def pieces() -> Iterator[bytes]:
        for i in range(1024):
            if i == 1:
                say(f"first megabyte is out {environ['QUERY_STRING']}")
            yield MB

    return Pieces(pieces(), environ["QUERY_STRING"])


def ticks(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/event-stream")])

    def pieces() -> Iterator[bytes]:
        while True:
            yield b"data: tick\n\n"
            time.sleep(0.02)

    return Pieces(pieces(), environ["QUERY_STRING"])


def slow_reader(environ: Any, start_response: Any) -> Iterable[bytes]:
    size = 0
    while piece := environ["wsgi.input"].read(65536):
        size += len(piece)
        if size < 1 << 20:
            time.sleep(0.02)
    start_response("200 OK", [])
    return [str(size).encode()]


def file(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [])
    return environ["wsgi.file_wrapper"](open(environ["QUERY_STRING"], "rb"))


def raises(environ: Any, start_response: Any) -> Iterable[bytes]:
    raise ZeroDivisionError("before the answer")


def raises_midstream(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [])
    yield b"half of it"
    raise ZeroDivisionError("in the middle")


def too_short(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "100")])
    yield b"short"


def too_long(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Length", "3")])
    return [b"much too long"]


def says_nothing(environ: Any, start_response: Any) -> Iterable[bytes]:
    return []


def bad_fields(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("X-Split", "a\r\nSet-Cookie: evil=1")])
    return []


_lock = threading.Lock()
_meeting = threading.Barrier(2, timeout=10)
_at_once = most_at_once = 0


def meets(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Answers when two are here at once; with two threads there are never more."""
    global _at_once, most_at_once
    with _lock:
        _at_once += 1
        most_at_once = max(_at_once, most_at_once)
    _meeting.wait()
    with _lock:
        _at_once -= 1
    start_response("200 OK", [])
    return [str(most_at_once).encode()]


PAGES = {
    "/" + page.__name__: page
    for page in (
        gigabyte, ticks, slow_reader, file, raises, raises_midstream, too_short, too_long, says_nothing, bad_fields, meets,
    )
}  # fmt: skip


def app(environ: Any, start_response: Any) -> Iterable[bytes]:
    return PAGES[environ["PATH_INFO"]](environ, start_response)
