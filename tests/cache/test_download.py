"""A body that several clients take while it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.cache.download import WINDOW, Download
from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

CUT = reason("upstream_gone")
GONE = reason("client_gone")


class Paper:
    """A writer in memory; `slow`: it asks to be waited for."""

    def __init__(self, slow: bool = False) -> None:
        self.data = b""
        self.slow = slow
        self.busy: list[asyncio.Future[None]] = []
        self.lost = False

    def write(self, chunk: bytes) -> Awaitable[None] | None:
        self.data += chunk
        if not self.slow:
            return None
        self.busy.append(asyncio.get_running_loop().create_future())
        return self.busy[-1]

    @property
    def readable(self) -> int:
        return len(self.data)

    def read(self, start: int, stop: int) -> bytes:
        return self.data[start:stop]

    async def commit(self) -> None:
        raise AssertionError("a download commits nothing")

    def abort(self) -> None:
        assert self.lost, "a download aborts what has failed, and nothing else"


def drain(stream: Stream) -> bytes:
    """All that can be had now."""
    pieces = []
    while piece := stream.take():
        pieces.append(piece)
    return b"".join(pieces)


class Case:
    def __init__(self, most: int = 1 << 20, writer: Paper | None = None) -> None:
        self.source = Stream()
        self.over: list[Download] = []
        self.download = Download(self.source, most, writer, self.over.append)


def test_readers_get_what_comes_as_it_comes() -> None:
    case = Case()
    first = case.download.read()
    case.source.write(b"one")
    assert drain(first) == b"one"
    late = case.download.read()
    assert drain(late) == b"one"
    case.source.write(b"two")
    case.source.end(Fields([(b"x-sum", b"1")]))
    assert (drain(first), drain(late)) == (b"two", b"two")
    assert first.ended and late.ended and late.trailers.get(b"x-sum") == b"1"
    assert case.over == [case.download] and case.download.whole() == b"onetwo"


def test_what_was_there_before_is_taken() -> None:
    case = Case()
    source = Stream.of(b"all")
    download = Download(source, 10, None, case.over.append)
    reader = download.read()
    download.begin()
    assert drain(reader) == b"all" and reader.ended and case.over == [download]


def test_a_part_is_taken_and_the_rest_goes_on() -> None:
    case = Case()
    part = case.download.read(2, 5)
    for piece in (b"ab", b"c", b"defg"):
        case.source.write(piece)
    assert drain(part) == b"cde" and part.ended
    assert case.download.size == 7 and not case.over


def test_a_slow_reader_holds_up_nobody_while_it_is_kept() -> None:
    case = Case(most=10 << 20)
    slow, quick = case.download.read(), case.download.read()
    for _ in range(40):
        case.source.write(b"x" * 65536)
        assert len(drain(quick)) == 65536
    assert slow.size <= slow.limit + 65536
    got = 0
    while piece := slow.take():
        got += len(piece)
    assert got == 40 * 65536


def test_what_grows_too_large_goes_on_at_the_pace_of_the_slowest() -> None:
    case = Case(most=100_000)
    slow, quick = case.download.read(), case.download.read()
    fed = 0
    while case.source.size < case.source.limit:
        case.source.write(b"x" * 65536)
        fed += 65536
        drain(quick)
    assert not case.download.kept and not case.download.joinable
    assert case.download.size <= WINDOW + 65536 + slow.limit
    assert len(drain(slow)) > 0
    drain(quick)
    assert case.source.size < case.source.limit
    case.source.end()
    while not (slow.ended and quick.ended):
        drain(slow)
        drain(quick)
    assert case.download.size == fed


def test_what_is_not_kept_and_wanted_by_nobody_is_cancelled() -> None:
    case = Case(most=10)
    reader = case.download.read()
    case.source.write(b"x" * 100)
    reader.cancel(GONE)
    assert case.download.failure is GONE
    with pytest.raises(BodyAborted):
        case.source.write(b"z")
    assert case.over == [case.download]


def test_what_is_kept_comes_to_its_end_without_readers() -> None:
    case = Case()
    reader = case.download.read()
    case.source.write(b"x")
    reader.cancel(GONE)
    case.source.write(b"y")
    case.source.end()
    assert case.download.whole() == b"xy" and case.download.failure is None and case.over == [case.download]


def test_a_cut_body_is_cut_for_everybody_behind_what_came() -> None:
    case = Case()
    first, second = case.download.read(), case.download.read()
    case.source.write(b"part")
    case.source.fail(CUT)
    for reader in (first, second):
        assert reader.take() == b"part"
        with pytest.raises(BodyAborted):
            reader.take()
    assert case.over == [case.download] and case.download.failure is CUT and not case.download.joinable


def test_a_writer_keeps_what_memory_does_not() -> None:
    case = Case(most=10, writer=Paper())
    slow, quick = case.download.read(), case.download.read()
    for i in range(60):
        case.source.write(bytes((i,)) * 65536)
        drain(quick)
    late = case.download.read()
    case.source.end()
    for reader in (slow, late):
        body = b""
        while not reader.ended or reader.size:
            body += drain(reader)
        assert body == b"".join(bytes((i,)) * 65536 for i in range(60))
    assert len(case.download.whole()) <= WINDOW + 65536


def test_a_writer_that_fails_at_once_leaves_it_to_memory() -> None:
    paper = Paper()
    paper.lost = True
    case = Case(most=100, writer=paper)
    reader = case.download.read()
    case.source.write(b"small")
    case.source.end()
    assert drain(reader) == b"small" and case.download.kept and case.download.whole() == b"small"
    assert case.download.writer is None


def test_a_writer_that_fails_late_takes_what_only_it_had_and_memory_stays_bounded() -> None:
    paper = Paper()
    case = Case(most=100, writer=paper)
    slow, quick = case.download.read(), case.download.read()
    for _ in range(40):
        case.source.write(b"x" * 65536)
        drain(quick)
    paper.lost = True
    for _ in range(40):
        if case.source.size < case.source.limit:
            case.source.write(b"x" * 65536)
        drain(quick)
    assert not case.download.kept and len(case.download.whole()) <= WINDOW + 2 * 65536 + slow.limit
    with pytest.raises(BodyAborted):
        drain(slow)
    case.source.end()
    drain(quick)
    assert quick.ended


def test_a_writer_that_is_busy_is_waited_for() -> None:
    async def run() -> None:
        paper = Paper(slow=True)
        case = Case(writer=paper)
        reader = case.download.read()
        case.source.write(b"one")
        case.source.write(b"two")
        assert drain(reader) == b"one" and paper.data == b"one"
        paper.busy[0].set_result(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert drain(reader) == b"two"

    asyncio.run(run())


@given(st.lists(st.binary(min_size=1, max_size=9)), st.integers(0, 20), st.integers(0, 20))
def test_every_reader_gets_its_part_whatever_the_pieces(pieces: list[bytes], start: int, length: int) -> None:
    case = Case(most=1 << 20)
    body = b"".join(pieces)
    readers = []
    for i, piece in enumerate(pieces):
        if i % 2:
            readers.append(case.download.read(start, start + length))
        case.source.write(piece)
    case.source.end()
    readers.append(case.download.read(start, start + length))
    for reader in readers:
        assert drain(reader) == body[start : start + length] and reader.ended


def sent(stream: Stream) -> list[bytes]:
    """What a connection sends of it, from now on: all that it can, each time that it is told."""
    out: list[bytes] = []

    def pump() -> None:
        while (piece := stream.take()) is not None:
            out.append(piece)
            if not piece:
                return

    stream.on_data = pump
    pump()
    return out


@pytest.mark.parametrize("most", [1 << 20, 1], ids=["kept", "not kept"])
def test_pieces_come_in_order_to_who_takes_as_soon_as_it_is_told(most: int) -> None:
    """Long ones, of which a stream holds one at a time, also where they are there before it."""
    source = Stream()
    download = Download(source, most, None, lambda _: None)
    early = sent(download.read())
    pieces = [bytes([i]) * 70_000 for i in range(4)]
    download.begin()
    source.write(pieces[0])
    late = sent(download.read()) if most > 1 else None
    for piece in pieces[1:]:
        source.write(piece)
    later = sent(download.read()) if most > 1 else None
    source.end()
    for got in (early, late, later):
        assert got is None or (b"".join(got) == b"".join(pieces) and got.index(b"") == len(got) - 1)


def test_the_end_of_a_part_comes_behind_it() -> None:
    source = Stream()
    download = Download(source, 1 << 20, None, lambda _: None)
    got = sent(download.read(2, 7))
    download.begin()
    source.write(b"0123456789")
    assert got == [b"23456", b""]
