"""A watched file of peers: changes are seen within a second, and a broken one changes nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

import pytest
from tests.net.clock import Clock, rest

from enfilade.net.peer_file import LOOK, PeerFile
from enfilade.upstream.addresses import Wanted, parse_address


def parse(text: str) -> list[Wanted]:
    return [Wanted(parse_address(line)) for line in text.split()]


class Stage:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = Clock()
        self.seen: list[list[str]] = []
        self.writes = 0

    def take(self, peers: Sequence[Wanted]) -> None:
        self.seen.append([one.address.host for one in peers])

    def write(self, text: str) -> None:
        """With a time of its own for each write, as if there was time between them."""
        self.path.write_text(text)
        self.writes += 1
        os.utime(self.path, ns=(self.writes, self.writes))

    def play(self, scene: Callable[[], Coroutine[None, None, None]]) -> None:
        async def run() -> None:
            watching = asyncio.create_task(PeerFile(str(self.path), parse, sleep=self.clock.sleep).watch(self.take))
            await rest()
            await scene()
            watching.cancel()

        asyncio.run(run())


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    made = Stage(tmp_path / "peers")
    made.write("http://a")
    return made


def test_a_change_is_seen_within_a_second_and_told_once(stage: Stage) -> None:
    async def scene() -> None:
        await stage.clock.advance(5)
        stage.write("http://a http://b")
        await stage.clock.advance(1)
        assert stage.seen == [["a"], ["a", "b"]]
        await stage.clock.advance(5)
        assert len(stage.seen) == 2

    stage.play(scene)


def test_a_file_that_takes_its_name_is_a_change_even_with_the_same_time_and_size(stage: Stage) -> None:
    async def scene() -> None:
        new = stage.path.with_suffix(".new")
        new.write_text("http://b")
        before = stage.path.stat()
        os.utime(new, ns=(before.st_mtime_ns, before.st_mtime_ns))
        new.rename(stage.path)
        await stage.clock.advance(1)
        assert stage.seen == [["a"], ["b"]]

    stage.play(scene)


def test_a_file_that_is_still_being_written_is_waited_for(stage: Stage) -> None:
    async def scene() -> None:
        for text in ("", "http://b", "http://b http://c", "http://b http://c http://d"):
            stage.write(text)
            await stage.clock.advance(LOOK)
        await stage.clock.advance(1)
        assert stage.seen == [["a"], ["b", "c", "d"]]

    stage.play(scene)


def test_a_broken_file_keeps_the_last_good_peers_and_says_why(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        stage.write("http://a nonsense")
        await stage.clock.advance(5)
        assert stage.seen[1:] == [["a"]]
        stage.write("http://b")
        await stage.clock.advance(1)
        assert stage.seen[-1] == ["b"]

    stage.play(scene)
    (record,) = caplog.records
    assert record.getMessage().startswith(f'the list of peers in {stage.path} stays at 1: "nonsense" is not a peer')


def test_a_file_that_is_gone_keeps_them_too_until_it_comes_back(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    async def scene() -> None:
        stage.path.unlink()
        await stage.clock.advance(5)
        assert stage.seen[-1] == ["a"]
        stage.write("http://b")
        await stage.clock.advance(1)
        assert stage.seen[-1] == ["b"]

    stage.play(scene)
    assert [r.getMessage() for r in caplog.records] == [
        f"the list of peers in {stage.path} stays at 1: No such file or directory"
    ]


def test_without_a_file_there_is_nobody_until_there_is_one(stage: Stage) -> None:
    stage.path.unlink()

    async def scene() -> None:
        assert stage.seen == [[]]
        stage.write("http://b")
        await stage.clock.advance(1)
        assert stage.seen == [[], ["b"]]

    stage.play(scene)
