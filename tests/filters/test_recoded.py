"""Bodies that flow through a coding: what comes out when, backpressure, failures and cancellation both ways, bombs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.exchange.bodies import HIGH_WATER, BodyAborted, Stream
from enfilade.filters.coders import load
from enfilade.filters.recoded import FREE, OFF_LOOP, RATIO, Decoded, Encoded
from enfilade.http.codings import CODINGS
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

GONE, CUT, TOO_LARGE = reason("client_gone"), reason("upstream_gone"), reason("body_too_large")
TRAILERS = Fields([(b"x-end", b"1")])
each_coding = pytest.mark.parametrize("coding", CODINGS)


class Plain:
    """An encoder that keeps all until it is told to flush, and notes how it was used."""

    def __init__(self) -> None:
        self.held = b""
        self.log: list[str] = []

    def encode(self, data: bytes) -> bytes:
        self.held += data
        self.log.append(f"+{len(data)}")
        return b""

    def flush(self) -> bytes:
        self.log.append("flush")
        held, self.held = self.held, b""
        return held

    def finish(self) -> bytes:
        self.log.append("finish")
        held, self.held = self.held, b""
        return held + b"$"


async def turns(n: int = 5) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


def test_what_is_written_in_one_turn_goes_out_together_and_at_once() -> None:
    """FAILURES 24: nothing waits for more to come; and a chunk is not a flush."""

    async def run() -> None:
        source, encoder = Stream(), Plain()
        out = Encoded(source, encoder)
        heard: list[bytes] = []
        out.on_data = lambda: heard.append(out.take() or b"")
        assert out.take() is None
        for i in range(3):
            for piece in (b"a", b"b", b"c"):
                source.write(piece)
            await turns()
            assert heard == [b"abc"] * (i + 1)
        source.end(TRAILERS)
        await turns()
        assert heard == [b"abc"] * 3 + [b"$", b""] and out.trailers is TRAILERS
        assert encoder.log == ["+3", "flush"] * 3 + ["finish"]

    asyncio.run(run())


def test_data_is_never_told_of_within_a_take() -> None:
    """The rule of `Stream.on_data`."""

    async def run() -> None:
        source = Stream()
        out = Encoded(source, Plain())
        taking = False

        def told() -> None:
            assert not taking

        def take() -> bytes | None:
            nonlocal taking
            taking = True
            chunk = out.take()
            taking = False
            return chunk

        out.on_data = told
        source.write(b"x" * 10)
        assert take() is None
        await turns()
        source.write(b"y" * 10)
        assert take() == b"x" * 10
        await turns()
        assert take() == b"y" * 10

    asyncio.run(run())


def test_nothing_is_taken_before_the_reader_asks() -> None:
    """A request body must not be let through (100-continue) before somebody wants it."""

    async def run() -> None:
        asked: list[int] = []
        out = Decoded(Stream(on_taken=asked.append), load("gzip").decoder())
        await turns()
        assert asked == []
        assert out.take() is None
        await turns()
        assert asked == [0]

    asyncio.run(run())


@each_coding
def test_backpressure_reaches_the_writer_and_memory_stays_bounded(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.filters.recoded.OFF_LOOP", 1 << 30)  # so that turns of the loop are all that counts
    random = Random(1)

    async def run() -> None:
        source = Stream()
        out = Encoded(source, load(coding).encoder())
        out.take()
        written = 0

        async def write() -> None:
            nonlocal written
            while True:
                waiting = source.write(random.randbytes(16 * 1024))
                written += 16 * 1024
                if waiting is not None:
                    await waiting

        writer = asyncio.create_task(write())
        await turns(100)
        before = written
        await turns(100)
        assert written == before, "the writer waits"
        # zstd gives all at once that it has gathered: two of its windows.
        assert out.size <= out.limit + 4 * HIGH_WATER and source.size <= source.limit + 16 * 1024
        while out.size >= out.limit:
            out.take()
        await turns(100)
        assert written > before, "the writer goes on"
        writer.cancel()

    asyncio.run(run())


def test_a_writer_that_never_waits_does_not_keep_the_loop_from_others() -> None:
    """However small the body becomes: a turn takes only so much."""

    async def run() -> None:
        source = Stream()
        out = Encoded(source, load("zstd").encoder())
        out.take()
        other = False

        def hear() -> None:
            nonlocal other
            other = True

        asyncio.get_running_loop().call_later(0, hear)
        size = 0
        while not other:
            assert size < 1_000_000_000
            waiting = source.write(bytes(16 * 1024))
            size += 16 * 1024
            if waiting is not None:
                await waiting

    asyncio.run(run())


@each_coding
@pytest.mark.parametrize("size", [10, OFF_LOOP + 1])
def test_a_source_that_is_cut_gives_what_there_was_and_then_its_reason(coding: str, size: int) -> None:
    async def run() -> None:
        source = Stream()
        coder = load(coding)
        out, decoder = Encoded(source, coder.encoder()), coder.decoder()
        source.write(b"x" * size)
        source.fail(CUT)
        got: list[bytes] = []

        async def read() -> None:
            while True:
                got.append(decoder.decode(await out.read(), 1 << 20))
                while piece := decoder.decode(b"", 1 << 20):
                    got.append(piece)

        with pytest.raises(BodyAborted) as raised:
            await read()
        assert raised.value.reason is CUT and b"".join(got) == b"x" * size

    asyncio.run(run())


@pytest.mark.parametrize("make", [lambda s: Encoded(s, Plain()), lambda s: Decoded(s, load("gzip").decoder())])
def test_a_reader_that_leaves_is_told_to_the_writer_at_once(make: Callable[[Stream], Stream]) -> None:
    """FAILURES 24: also one that waits for room, and where nothing flows just now."""

    async def run() -> None:
        source = Stream(limit=1)
        out = make(source)
        room = source.write(b"x" * 10)
        assert room is not None
        out.cancel(GONE)
        await room
        with pytest.raises(BodyAborted) as raised:
            source.write(b"y")
        assert raised.value.reason is GONE
        await turns()
        assert out.size == 0

    asyncio.run(run())


def test_a_reader_that_leaves_while_a_thread_works() -> None:
    async def run() -> None:
        source = Stream(limit=1 << 20)
        out = Encoded(source, load("br").encoder())
        source.write(b"x" * (OFF_LOOP + 1))
        out.take()
        await turns(2)
        out.cancel(GONE)
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)
        await turns()
        assert out.size == 0 and out.failure is GONE and source.failure is GONE

    asyncio.run(run())


def test_an_encoder_that_fails_fails_the_body(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Plain):
        def encode(self, data: bytes) -> bytes:
            raise MemoryError

    async def run() -> None:
        source = Stream(limit=1 << 20)
        out = Encoded(source, Broken())
        source.write(b"x" * (OFF_LOOP + 1))
        with pytest.raises(BodyAborted) as raised:
            await out.read()
        assert raised.value.reason is reason("internal") and source.failure is reason("internal")

    asyncio.run(run())
    assert "could not be coded" in caplog.text


@each_coding
@given(
    chunks=st.lists(st.sampled_from([b"a", b"hello " * 50, bytes(OFF_LOOP), b"\0\xff" * 40_000]), max_size=6),
    pauses=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_what_goes_through_both_comes_out_the_same(coding: str, chunks: list[bytes], pauses: list[bool]) -> None:
    async def run() -> None:
        coder = load(coding)
        source = Stream()
        out = Decoded(Encoded(source, coder.encoder()), coder.decoder())

        async def write() -> None:
            for chunk, pause in zip(chunks, pauses, strict=False):
                waiting: Awaitable[None] | None = source.write(chunk)
                if waiting is not None:
                    await waiting
                elif pause:
                    await asyncio.sleep(0)
            source.end(TRAILERS)

        writing = asyncio.create_task(write())
        assert await out.read_all() == b"".join(chunks)
        assert out.trailers is TRAILERS
        await writing

    asyncio.run(run())


# -- decoding


async def fails_with(out: Stream) -> tuple[int, str]:
    """How much came before the body failed, and why it did."""
    size = 0
    try:
        while piece := await out.read():
            size += len(piece)
    except BodyAborted as aborted:
        return size, aborted.reason.name
    raise AssertionError("it did not fail")


@each_coding
def test_a_bomb_fails_by_its_ratio_before_it_is_there(coding: str) -> None:
    """FAILURES 29."""

    async def run() -> None:
        coder = load(coding)
        sent = coder.encode(bytes(50_000_000))
        source = Stream.of(sent)
        size, why = await fails_with(Decoded(source, coder.decoder()))
        assert why == "body_bomb"
        assert size <= max(FREE, len(sent) * RATIO)

    asyncio.run(run())


@each_coding
def test_what_is_small_is_no_bomb(coding: str) -> None:
    async def run() -> None:
        coder = load(coding)
        out = Decoded(Stream.of(coder.encode(bytes(FREE))), coder.decoder())
        assert len(await out.read_all()) == FREE

    asyncio.run(run())


@each_coding
def test_the_size_limit_counts_what_is_decoded(coding: str) -> None:
    async def run() -> None:
        coder = load(coding)
        source = Stream()
        source.write(coder.encode(b"abcdefgh" * 20_000))
        out = Decoded(source, coder.decoder())
        out.cap(100_000, TOO_LARGE)
        size, why = await fails_with(out)
        assert size <= 100_000 and why == "body_too_large"
        assert source.failure is TOO_LARGE, "nobody wants the rest"

    asyncio.run(run())


@each_coding
def test_broken_and_cut_bodies_fail(coding: str) -> None:
    async def run() -> None:
        coder = load(coding)
        for sent in (b"no coding at all", coder.encode(b"hello")[:-1], b""):
            assert (await fails_with(Decoded(Stream.of(sent), coder.decoder())))[1] == "bad_coding"
        source = Stream()
        source.write(coder.encode(b"hello" * 100)[:10])
        source.fail(GONE)
        assert (await fails_with(Decoded(source, coder.decoder())))[1] == "client_gone"

    asyncio.run(run())
