"""What every store of the cache must do, as checks that anybody who writes a store can run on it.

    @pytest.mark.parametrize("check", CHECKS, ids=name_of)
    def test_the_contract(check: Check) -> None:
        asyncio.run(check(MyBacking()))

Each check wants a `Backing` that is empty. A store that takes bodies as they come passes `STREAMING_CHECKS` too.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar, cast

from enfilade.cache.stored import Flag, Store, Stored, StreamingStore, Terms, Whole
from enfilade.exchange.response import FileSlice
from enfilade.http.fields import Fields, Pair

T = TypeVar("T")

SIZES = (0, 1, 1000, 65_535, 65_536, 300_000)
"""Bytes of the bodies that are tried, besides the longest that the store takes."""
LONGEST = 16 * 1024 * 1024
"""A store that takes longer bodies is not asked to show it."""
KEYS = (
    b"\0",
    bytes(range(256)),
    b"a b\r\nc",
    b"a",
    b"ab",
    b"../../x",
    b"/",
    b"k" * 4000,
    "schlüssel".encode(),
    b"a\n",
    b"*",
)


class Backing(Protocol):
    """What a store's author tells the checks about it.

    `same`: a handle gives the same object for the same answer. `budget`: bytes that it holds at most; None: somebody else sees
    to that. `losable`: what it stands on can be taken away from it.
    """

    same: bool
    budget: int | None
    losable: bool

    def open(self) -> Store:
        """A handle on the store, as each worker has one. All handles are on the same store."""

    def held(self) -> int:
        """Bytes that it holds now. Only asked where there is a budget."""

    def lose(self) -> None:
        """Take away what it stands on: kill the server, remove the directory. Only asked where it is losable."""


Check = Callable[[Backing], Coroutine[Any, Any, None]]


def name_of(check: Check) -> str:
    return getattr(check, "__name__", repr(check))


def an_answer(
    key: bytes = b"http\0example.com\0/\0",
    body: bytes = b"hello",
    pairs: tuple[Pair, ...] = ((b"content-type", b"text/plain"), (b"etag", b'"1"')),
    status: int = 200,
) -> Stored:
    """An answer that is fresh for a minute."""
    now = time.time()
    terms = Terms(now - 1.5, now + 60, now + 90, now + 120.25, Flag.STRICT | Flag.GUESSED)
    return Stored(key, status, Fields(pairs), terms, (3, 70_000), 12, Whole(body))


async def settled(value: T | Awaitable[T]) -> T:
    """What a store answered, waited for where it says so."""
    return await value if isinstance(value, Awaitable) else value


async def found(store: Store, key: bytes) -> Stored | None:
    return await settled(store.get(key))


def part(answer: Stored, start: int, stop: int) -> bytes | None:
    """A part of its body; that of a file is read and closed."""
    data = answer.content.read(start, stop)
    if not isinstance(data, FileSlice):
        return data
    try:
        return os.pread(data.fd, data.length, data.offset)
    finally:
        data.close()


def body_of(answer: Stored | None) -> bytes | None:
    return None if answer is None else part(answer, 0, answer.content.size)


@contextmanager
def warnings() -> Iterator[list[str]]:
    """The lines in the log from "warning" on, of all of the server."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    handler = Lines(logging.WARNING)
    logging.getLogger("enfilade").addHandler(handler)
    try:
        yield lines
    finally:
        logging.getLogger("enfilade").removeHandler(handler)


# -- Every store


async def gives_what_was_put(backing: Backing) -> None:
    store = backing.open()
    sizes = [size for size in SIZES if size <= store.largest]
    if store.largest <= LONGEST:
        sizes.append(store.largest)
    for size in sizes:
        key = b"size %d" % size
        body = bytes(range(256)) * (size // 256 + 1)
        await settled(store.put(an_answer(key, body[:size])))
        answer = await found(store, key)
        assert answer is not None, f"a body of {size} bytes is gone"
        assert answer.content.size == size
        assert body_of(answer) == body[:size], f"a body of {size} bytes comes back as another"


async def keeps_all_of_an_answer(backing: Backing) -> None:
    store = backing.open()
    pairs = (
        (b"set-cookie", b"a=1"),
        (b"x-text", bytes(range(0x80, 0x100))),
        (b"set-cookie", b"b=2"),
        (b"x-empty", b""),
    )
    put = an_answer(pairs=pairs, status=404)
    await settled(store.put(put))
    answer = await found(store, put.key)
    assert answer is not None
    for name in ("key", "status", "fields", "terms", "names", "generation"):
        assert getattr(answer, name) == getattr(put, name), name


async def keeps_a_signpost(backing: Backing) -> None:
    store = backing.open()
    put = Stored(b"k", 0, Fields([(b"vary", b"accept")]), Terms(0.0, 2e9, 2e9, 2e9), (), 0, Whole(b""))
    await settled(store.put(put))
    answer = await found(store, b"k")
    assert answer is not None
    assert (answer.status, answer.fields, answer.names, answer.content.size) == (0, put.fields, (), 0)


async def gives_the_same_object(backing: Backing) -> None:
    if backing.same:
        store = backing.open()
        await settled(store.put(an_answer(b"k")))
        answer = await found(store, b"k")
        assert answer is not None
        assert await found(store, b"k") is answer


async def does_not_know_what_was_not_put(backing: Backing) -> None:
    store = backing.open()
    assert await found(store, b"unknown") is None
    await settled(store.remove(b"unknown"))
    assert await found(store, b"unknown") is None


async def replaces(backing: Backing) -> None:
    store = backing.open()
    for body in (b"long" * 50_000, b"first", b"second", b""):
        await settled(store.put(an_answer(b"k", body)))
        assert body_of(await found(store, b"k")) == body


async def replaces_the_head_of_a_body(backing: Backing) -> None:
    """As when the origin says that it still holds."""
    store, other = backing.open(), backing.open()
    for body in (b"short", os.urandom(300_000)):
        for size in (10, 10, 40, 5000, 1):
            put = an_answer(b"k", body, ((b"x-long", b"x" * size),))
            await settled(store.put(put))
            for handle in (store, other):
                answer = await found(handle, b"k")
                assert answer is not None
                assert (answer.fields, answer.terms) == (put.fields, put.terms)
                assert body_of(answer) == body


async def removes(backing: Backing) -> None:
    store = backing.open()
    await settled(store.put(an_answer(b"k")))
    await settled(store.put(an_answer(b"other")))
    await settled(store.remove(b"k"))
    assert await found(store, b"k") is None
    assert body_of(await found(store, b"other")) == b"hello"


async def keeps_nothing_that_is_too_long(backing: Backing) -> None:
    """And not what was there before either: it is not what was put last."""
    store = backing.open()
    if store.largest > LONGEST:
        return
    too_long = bytes(store.largest + 1)
    await settled(store.put(an_answer(b"replaced")))
    await settled(store.put(an_answer(b"other")))
    for key in (b"new", b"replaced"):
        await settled(store.put(an_answer(key, too_long)))
        assert await found(store, key) is None
    assert body_of(await found(store, b"other")) == b"hello"


async def takes_any_bytes_as_a_key(backing: Backing) -> None:
    store = backing.open()
    for key in KEYS:
        await settled(store.put(an_answer(key, b"body of " + key)))
    for key in KEYS:
        answer = await found(store, key)
        assert answer is not None, key
        assert answer.key == key
        assert body_of(answer) == b"body of " + key
    for key in KEYS:
        await settled(store.remove(key))
        assert await found(store, key) is None, key


async def gives_parts_of_bodies(backing: Backing) -> None:
    store = backing.open()
    for size in (100, 300_000):
        body = os.urandom(size)
        await settled(store.put(an_answer(b"k", body)))
        answer = await found(store, b"k")
        assert answer is not None
        for start, stop in ((0, 10), (size - 10, size), (7, 7), (20, 90), (0, size), (0, 10)):
            assert part(answer, start, stop) == body[start:stop], (start, stop)


async def is_one_store_for_all_handles(backing: Backing) -> None:
    one, other = backing.open(), backing.open()
    await settled(one.put(an_answer(b"k", b"of one")))
    assert body_of(await found(other, b"k")) == b"of one"
    await settled(other.put(an_answer(b"k", b"of the other")))
    assert body_of(await found(one, b"k")) == b"of the other"
    await settled(one.remove(b"k"))
    assert await found(other, b"k") is None


async def holds_no_more_than_its_budget(backing: Backing) -> None:
    if backing.budget is None:
        return
    store = backing.open()
    size = min(store.largest, backing.budget // 40)
    for i in range(3 * backing.budget // size):
        await settled(store.put(an_answer(b"%d" % i, os.urandom(size))))
        assert backing.held() <= backing.budget
    assert backing.held() >= backing.budget // 4, "it is bounded by keeping next to nothing"


async def misses_where_its_backing_is_lost(backing: Backing) -> None:
    """Nothing raises, and the log has one line, not one for each request."""
    if not backing.losable:
        return
    store = backing.open()
    await settled(store.put(an_answer(b"k")))
    with warnings() as lines:
        backing.lose()
        for _ in range(20):
            await settled(store.put(an_answer(b"k")))
            assert await found(store, b"k") is None
            await settled(store.remove(b"k"))
    assert len(lines) == 1, lines


CHECKS: tuple[Check, ...] = (
    gives_what_was_put,
    keeps_all_of_an_answer,
    keeps_a_signpost,
    gives_the_same_object,
    does_not_know_what_was_not_put,
    replaces,
    replaces_the_head_of_a_body,
    removes,
    keeps_nothing_that_is_too_long,
    takes_any_bytes_as_a_key,
    gives_parts_of_bodies,
    is_one_store_for_all_handles,
    holds_no_more_than_its_budget,
    misses_where_its_backing_is_lost,
)


# -- Stores that take bodies as they come


def _streaming(backing: Backing) -> StreamingStore:
    return cast(StreamingStore, backing.open())


async def _write(store: StreamingStore, key: bytes, pieces: list[bytes]) -> Stored | None:
    writer = store.writer(an_answer(key, b"not looked at"))
    for piece in pieces:
        await settled(writer.write(piece))
    return await writer.commit()


async def makes_one_answer_of_pieces(backing: Backing) -> None:
    store, other = _streaming(backing), backing.open()
    for pieces in ([], [b"one"], [b"a", b"", b"bc"], [os.urandom(100_000) for _ in range(20)], [b"x"] * 3000):
        put = await _write(store, b"k", pieces)
        body = b"".join(pieces)
        for answer in (put, await found(store, b"k"), await found(other, b"k")):
            assert answer is not None
            assert answer.content.size == len(body)
            assert body_of(answer) == body
            assert answer.fields == an_answer().fields


async def shows_no_half_of_an_answer(backing: Backing) -> None:
    store, other = _streaming(backing), backing.open()
    writer = store.writer(an_answer(b"k"))
    for _ in range(10):
        await settled(writer.write(os.urandom(100_000)))
        assert await found(store, b"k") is None
        assert await found(other, b"k") is None
    assert await writer.commit() is not None
    assert await found(other, b"k") is not None


async def gives_back_what_is_readable(backing: Backing) -> None:
    writer = _streaming(backing).writer(an_answer(b"k"))
    body = b""
    for size in (10, 100_000, 400_000, 1, 900_000):
        piece = os.urandom(size)
        body += piece
        await settled(writer.write(piece))
        readable = writer.readable
        assert readable <= len(body)
        assert writer.read(0, readable) == body[:readable]
        assert writer.read(readable // 3, readable // 2) == body[readable // 3 : readable // 2]
    assert await writer.commit() is not None
    assert writer.readable >= readable
    assert writer.read(0, readable) == body[:readable]


async def leaves_nothing_of_what_is_aborted(backing: Backing) -> None:
    store = _streaming(backing)
    for before in (b"", b"old"):
        if before:
            await settled(store.put(an_answer(b"k", before)))
        for size in (0, 10, 1_000_000):
            writer = store.writer(an_answer(b"k"))
            await settled(writer.write(bytes(size)))
            writer.abort()
            answer = await found(store, b"k")
            assert body_of(answer) == (before or None), "an answer that was not finished changed what was there"
    await settled(store.remove(b"k"))  # whatever abort left to be done is done before
    if backing.budget is not None:
        assert backing.held() == 0


async def writes_side_by_side(backing: Backing) -> None:
    store = _streaming(backing)
    bodies = {b"%d" % i: [os.urandom(50_000) for _ in range(5)] for i in range(4)}
    await asyncio.gather(*(_write(store, key, pieces) for key, pieces in bodies.items()))
    for key, pieces in bodies.items():
        assert body_of(await found(store, key)) == b"".join(pieces)


async def ends_by_none_where_its_backing_is_lost(backing: Backing) -> None:
    if not backing.losable:
        return
    store = _streaming(backing)
    writers = [store.writer(an_answer(b"k")) for _ in range(3)]
    for writer in writers[:2]:  # one has begun, one is well on its way, one has not begun
        await settled(writer.write(b"x" * (10 if writer is writers[0] else 1_000_000)))
    with warnings() as lines:
        backing.lose()
        for writer in writers:
            await settled(writer.write(b"y" * 1_000_000))
            assert await writer.commit() is None
    assert len(lines) == 1, lines
    assert await found(store, b"k") is None


STREAMING_CHECKS: tuple[Check, ...] = (
    makes_one_answer_of_pieces,
    shows_no_half_of_an_answer,
    gives_back_what_is_readable,
    leaves_nothing_of_what_is_aborted,
    writes_side_by_side,
    ends_by_none_where_its_backing_is_lost,
)
