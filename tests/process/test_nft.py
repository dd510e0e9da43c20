"""nft as the supervisor runs it, with a program in its place that writes down what it is told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enfilade.process.nft import LOOK, PAUSE, TIMEOUT, Nft
from enfilade.process.sockets import Bound

PROGRAM = """#!/bin/sh
test "$*" = "-f -" || exit 9
cat >> {log}
test ! -e {log}.hangs || exec sleep 60
test ! -e {log}.fails || {{ echo "Error: no such thing" >&2; echo more >&2; exit 1; }}
"""


class World:
    """`now` stands still unless it is told."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "told"
        self.program = folder / "nft"
        self.program.write_text(PROGRAM.format(log=self.log))
        self.program.chmod(0o755)
        self.nft = Nft()
        self.now = 100.0

    def run(self) -> str:
        """What is told now; it is waited for."""
        before = self.told
        self.nft.tick(self.now)
        if self.nft._run is not None:
            self.bury()
        return self.told.removeprefix(before)

    def bury(self) -> None:
        assert self.nft._run is not None
        pid, status = os.waitpid(self.nft._run.pid, 0)
        assert not self.nft.bury(1, status, self.now), "that is another child"
        assert self.nft.bury(pid, status, self.now)

    @property
    def told(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def flag(self, name: str) -> Path:
        return self.log.with_name(f"told.{name}")


class Script:
    """A Handover that tells `new`, once."""

    def __init__(self, world: World, new: str = "", end: str = "") -> None:
        self.program = str(world.program)
        self.new = new
        self._end = end
        self.bound: Bound = {}
        self.results: list[bool] = []

    def begin(self, bound: Bound) -> None:
        self.bound = bound

    def script(self) -> str:
        new, self.new = self.new, ""
        return new

    def told(self, worked: bool) -> None:
        self.results.append(worked)

    def end(self) -> str:
        return self._end


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_it_is_told_what_is_new_once_a_second(world: World) -> None:
    assert world.nft.due is None and not world.nft.busy
    script = Script(world, "one\n")
    world.nft.follow(script, {}, world.now)
    assert world.nft.due == world.now
    assert world.run() == "one\n" and script.results == [True]
    script.new = "two\n"
    assert world.run() == "", "not yet"
    assert world.nft.due == world.now + LOOK
    world.now += LOOK
    assert world.run() == "two\n" and script.results == [True, True]
    world.now += LOOK
    assert world.run() == "" and script.results == [True, True], "nothing is run for nothing"


def test_only_one_runs_at_a_time_and_one_that_hangs_is_killed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    script = Script(world, "one\n")
    world.flag("hangs").touch()
    world.nft.follow(script, {}, world.now)
    world.nft.tick(world.now)
    script.new = "two\n"
    world.now += LOOK
    world.nft.tick(world.now)
    assert script.new == "two\n"
    world.now += TIMEOUT
    assert world.nft.due == world.now - LOOK
    world.nft.tick(world.now)
    world.bury()
    assert script.results == [False]
    assert "bans are not handed to nftables: nft was killed by signal 9" in caplog.text


def test_a_failure_is_told_of_once_until_it_works(world: World, caplog: pytest.LogCaptureFixture) -> None:
    script = Script(world)
    world.flag("fails").touch()
    world.nft.follow(script, {}, world.now)
    for _ in range(3):
        script.new = "x\n"
        assert world.run() == "x\n"
        assert world.nft.due == world.now + PAUSE
        world.now += PAUSE
    assert script.results == [False] * 3
    assert caplog.messages == ["bans are not handed to nftables: nft ended with exit code 1: Error: no such thing"]
    world.flag("fails").unlink()
    script.new = "x\n"
    world.run()
    world.flag("fails").touch()
    script.new = "x\n"
    world.now += LOOK
    world.run()
    assert script.results == [False, False, False, True, False] and len(caplog.messages) == 2


def test_a_program_that_cannot_be_run_is_a_failure(world: World, caplog: pytest.LogCaptureFixture) -> None:
    script = Script(world, "x\n")
    world.program.unlink()
    open_before = len(os.listdir("/proc/self/fd"))
    world.nft.follow(script, {}, world.now)
    world.nft.tick(world.now)
    assert script.results == [False] and "No such file" in caplog.text
    assert len(os.listdir("/proc/self/fd")) == open_before


def test_what_follows_removes_what_was_there_in_the_same_text(world: World) -> None:
    old, new = Script(world, "old\n", "without old\n"), Script(world, "new\n", "without new\n")
    world.nft.follow(old, {}, world.now)
    world.run()
    world.nft.follow(new, {}, world.now)
    assert world.run() == "without old\nnew\n"
    world.nft.follow(None, {}, world.now)
    assert world.nft.busy and world.run() == "without new\n"
    assert not world.nft.busy and world.nft.due is None
    assert old.results == [True] and new.results == [True]


def test_what_the_last_one_hears_late_is_not_its_affair_any_more(world: World) -> None:
    old, new = Script(world, "old\n", "without old\n"), Script(world, "new\n")
    world.nft.follow(old, {}, world.now)
    world.nft.tick(world.now)
    world.nft.follow(new, {}, world.now)
    world.bury()
    assert old.results == [] and world.run() == "without old\nnew\n"


def test_what_cannot_be_removed_holds_up_no_stop(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.nft.follow(Script(world, "x\n", "without x\n"), {}, world.now)
    world.run()
    world.flag("fails").touch()
    world.nft.follow(None, {}, world.now)
    world.run()
    assert not world.nft.busy and "no such thing" in caplog.text


def test_what_fails_while_a_stop_begins_is_removed_all_the_same(world: World) -> None:
    world.flag("fails").touch()
    world.nft.follow(Script(world, "x\n", "without x\n"), {}, world.now)
    world.nft.tick(world.now)
    world.nft.follow(None, {}, world.now)
    world.bury()
    world.flag("fails").unlink()
    assert world.nft.busy and world.run() == "without x\n" and not world.nft.busy


def test_it_leaves_no_descriptor_open(world: World) -> None:
    open_before = len(os.listdir("/proc/self/fd"))
    world.nft.follow(Script(world, "x\n"), {}, world.now)
    world.run()
    assert len(os.listdir("/proc/self/fd")) == open_before
