"""Stream: the one channel for bodies, and its rule of backpressure."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

import pytest

from enfilade.exchange.bodies import BodyAborted, Stream, empty_body
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

GONE = reason("client_gone")


def test_what_is_written_is_taken_in_order() -> None:
    s = Stream()
    assert s.write(b"a") is None
    assert s.write(b"b") is None
    s.end(Fields([(b"x", b"y")]))
    assert [s.take(), s.take(), s.take(), s.take()] == [b"a", b"b", b"", b""]
    assert s.trailers.get(b"x") == b"y"


def test_an_empty_stream_says_none_until_it_ends() -> None:
    s = Stream()
    assert s.take() is None
    s.end()
    assert s.take() == b""


def test_empty_chunks_are_not_an_end() -> None:
    s = Stream()
    s.write(b"")
    assert s.take() is None


def test_the_writer_waits_at_the_limit_and_goes_on_below_it() -> None:
    async def scenario() -> None:
        s = Stream(limit=4)
        assert s.write(b"abc") is None
        wait = s.write(b"def")
        assert wait is not None
        waiting = asyncio.ensure_future(wait)
        await asyncio.sleep(0)
        assert not waiting.done()
        assert s.take() == b"abc"
        await waiting

    asyncio.run(scenario())


def test_a_reader_that_waits_is_told_that_somebody_else_ended_its_reading() -> None:
    async def scenario() -> None:
        s = Stream()
        reading = asyncio.ensure_future(s.read())
        await asyncio.sleep(0)
        s.cancel(GONE)
        with pytest.raises(BodyAborted):
            await reading

    asyncio.run(scenario())


def test_a_writer_that_is_cancelled_cancels_no_other() -> None:
    async def scenario() -> None:
        s = Stream(limit=2)
        one, two, three = (asyncio.ensure_future(waits(s.write(piece))) for piece in (b"ab", b"cd", b"ef"))
        await asyncio.sleep(0)
        one.cancel()
        await asyncio.wait([one])
        assert one.cancelled() and not two.done() and not three.done()
        s.take()
        s.take()
        await asyncio.sleep(0)
        assert not two.done()  # still as much as may be held
        s.take()
        await asyncio.gather(two, three)

    asyncio.run(scenario())


def test_room_that_came_before_it_was_awaited_need_not_be_waited_for() -> None:
    async def scenario() -> None:
        s = Stream(limit=1)
        room = s.write(b"a")
        s.take()
        waiting = asyncio.ensure_future(waits(room))
        await asyncio.sleep(0)
        assert waiting.done()

    asyncio.run(scenario())


async def waits(room: Awaitable[None] | None) -> None:
    assert room is not None
    await room


def test_the_reader_is_woken_by_data_end_and_failure() -> None:
    async def scenario() -> None:
        for wake in (lambda s: s.write(b"x"), lambda s: s.end(), lambda s: s.fail(GONE)):
            s = Stream()
            waiting = asyncio.ensure_future(s.more())
            await asyncio.sleep(0)
            assert not waiting.done()
            wake(s)
            await waiting

    asyncio.run(scenario())


def test_read_all_joins_what_comes() -> None:
    async def scenario() -> None:
        s = Stream()
        reading = asyncio.ensure_future(s.read_all())
        for chunk in (b"a", b"b", b"c"):
            s.write(chunk)
            await asyncio.sleep(0)
        s.end()
        assert await reading == b"abc"

    asyncio.run(scenario())


def test_a_cut_body_gives_what_is_there_and_then_raises() -> None:
    s = Stream()
    s.write(b"a")
    s.fail(GONE)
    assert s.take() == b"a"
    with pytest.raises(BodyAborted) as caught:
        s.take()
    assert caught.value.reason is GONE


def test_a_reader_that_left_frees_the_writer_and_stops_it() -> None:
    async def scenario() -> None:
        taken: list[int] = []
        s = Stream(limit=1, on_taken=taken.append)
        wait = s.write(b"abc")
        assert wait is not None
        s.cancel(GONE)
        await wait
        assert taken == [3]
        with pytest.raises(BodyAborted):
            s.write(b"more")

    asyncio.run(scenario())


def test_on_data_sees_every_write_and_the_end() -> None:
    s = Stream()
    seen: list[bytes | None] = []
    s.on_data = lambda: seen.append(s.take())
    s.write(b"a")
    s.write(b"b")
    s.end()
    assert seen == [b"a", b"b", b""]


def test_on_taken_counts_bytes_and_says_when_the_reader_waits() -> None:
    taken: list[int] = []
    s = Stream(on_taken=taken.append)
    s.take()
    s.write(b"abc")
    s.take()
    s.end()
    s.take()
    assert taken == [0, 3]


def test_the_shared_empty_body_has_ended_and_stays_so() -> None:
    s = empty_body()
    s.end()
    s.fail(GONE)
    s.cancel(GONE)
    assert s.take() == b"" and s.whole == b"" and s is empty_body()
