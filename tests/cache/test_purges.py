"""Purging by name: what was asked for before a purge is not used after it, whoever purged, and whoever was killed meanwhile."""

from __future__ import annotations

import os
import signal
from contextlib import nullcontext

import pytest

from enfilade.cache.purges import (
    ALIVE,
    DEAD,
    LONGEST,
    PLACES,
    RECENT,
    SIZE,
    SOFT,
    TICK,
    Purge,
    Purges,
    places,
)
from enfilade.process.shared import Shared


class Clock:
    def __init__(self) -> None:
        self.now = 1000

    def __call__(self) -> int:
        return self.now


class Setup:
    def __init__(self) -> None:
        self.clock = Clock()
        self.cells = memoryview(bytearray(SIZE)).cast("q")
        self.purges = self.attached()

    def attached(self) -> Purges:
        return Purges(self.cells, nullcontext(), self.clock)


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_places_are_the_same_for_ever() -> None:
    """They are stored on disk: this very line must stay true."""
    names = [
        b"all",
        b"host:shop.example.com",
        b"url:shop.example.com/",
        b"tag:user:7",
        b"group:http://shop.example.com a",
    ]
    assert places(names) == (29149, 2688, 110271, 151001, 153837)
    assert places([b"all", b"all"]) == (29149,)


@pytest.mark.parametrize(("sort", "first"), [(b"path", 0), (b"url", PLACES), (b"tag", 2 * PLACES)])
def test_what_many_answers_share_shares_its_place_with_no_url_and_no_tag(sort: bytes, first: int) -> None:
    assert all(first <= p < first + PLACES for p in places(sort + b":%d" % i for i in range(1000)))


def test_a_purge_concerns_what_was_asked_for_before_it_and_nothing_else(setup: Setup) -> None:
    purges, tag, other = setup.purges, places([b"all", b"tag:1"]), places([b"all", b"tag:2"])
    before = purges.generation
    assert purges.look(tag, before) is ALIVE
    after = purges.purge(b"tag:1")
    assert purges.generation == after > before
    assert purges.look(tag, before) is DEAD
    assert purges.look(other, before) is ALIVE
    assert purges.look(tag, after) is ALIVE
    purges.purge(b"all")
    assert purges.look(tag, after) is purges.look(other, after) is DEAD


def test_a_fetch_that_began_before_a_purge_never_counts_after_it(setup: Setup) -> None:
    purges = setup.purges
    asked = purges.generation
    purges.purge(b"tag:1")
    assert purges.look(places([b"tag:1"]), asked) is DEAD


def test_a_soft_purge_makes_stale_and_a_hard_one_counts_more(setup: Setup) -> None:
    purges, names = setup.purges, places([b"all", b"tag:1"])
    before = purges.generation
    validated = purges.purge(b"tag:1", soft=True)
    assert purges.look(names, before) is SOFT
    assert purges.look(names, validated) is ALIVE
    purges.purge(b"all")
    purges.purge(b"tag:1", soft=True)
    assert purges.look(names, before) is DEAD


def test_generations_never_go_back_even_where_the_clock_does(setup: Setup) -> None:
    first = setup.purges.purge(b"a")
    setup.clock.now = 10
    assert setup.purges.purge(b"a") == first + 1
    setup.clock.now = 5000
    assert setup.purges.purge(b"a") == 5000


def test_what_was_stored_before_the_memory_was_made_is_dead(setup: Setup) -> None:
    """Nobody knows what was purged until then. To attach to memory that there is changes nothing."""
    made = setup.purges.generation
    setup.clock.now = 2000
    purges = setup.attached()
    assert purges.generation == made == 1000
    assert purges.look(places([b"all"]), 1000) is ALIVE
    assert purges.look(places([b"all"]), 999) is DEAD


def test_who_is_killed_while_purging_leaves_it_whole() -> None:
    shared = Shared.make("purges", SIZE)
    purges = Purges(shared.cells, shared.locked)
    for _ in range(20):
        before = purges.generation
        pid = os.fork()
        if pid == 0:
            while True:
                purges.purge(b"tag:1")
        while purges.generation < before + 10:
            pass
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        killed = purges.generation
        assert purges.look(places([b"tag:1"]), before) is DEAD
        last = purges.purge(b"tag:2")
        assert last > killed
        assert purges.look(places([b"tag:2"]), killed) is DEAD
        assert (purges.since(killed) or [])[-1] == Purge(last, b"tag:2", False)


def test_another_form_counts_as_nothing(setup: Setup) -> None:
    setup.purges.purge(b"tag:1")
    setup.clock.now = 9000
    setup.cells[0] += 1
    purges = setup.attached()
    assert purges.generation == 9000
    purges.purge(b"other")
    assert purges.look((), 8999) is DEAD


def test_recent_purges_can_be_passed_on(setup: Setup) -> None:
    purges = setup.purges
    start = purges.generation
    assert purges.since(start) == []
    first = purges.purge(b"tag:1")
    second = purges.purge(b"url:http://x/", soft=True)
    assert purges.since(start) == [Purge(first, b"tag:1", False), Purge(second, b"url:http://x/", True)]
    assert purges.since(first) == [Purge(second, b"url:http://x/", True)]
    assert purges.since(start - 1) is None
    for i in range(RECENT - 1):
        last = purges.purge(b"tag:%d" % i)
    assert purges.since(start) is None
    since = purges.since(second)
    assert since is not None and len(since) == RECENT - 1 and since[-1] == Purge(last, b"tag:%d" % i, False)


def test_a_long_name_is_passed_on_by_one_that_means_the_same(setup: Setup) -> None:
    purges = setup.purges
    name = b"url:http://x/" + b"y" * 5000
    start = purges.generation
    purges.purge(name)
    assert purges.look(places([name]), start) is DEAD
    (passed_on,) = purges.since(start) or ()
    assert len(passed_on.name) == LONGEST
    assert places([passed_on.name]) == places([name]) != places([name + b"z"])


def test_a_purge_in_another_process_counts_at_once() -> None:
    shared = Shared.make("purges", SIZE)
    purges = Purges(shared.cells, shared.locked)
    before = purges.generation
    pid = os.fork()
    if pid == 0:
        purges.purge(b"tag:1")
        os._exit(0)
    os.waitpid(pid, 0)
    assert purges.look(places([b"tag:1"]), before) is DEAD


def test_what_is_asked_for_carries_the_time_so_that_servers_that_began_later_can_use_it(setup: Setup) -> None:
    older, names = setup.purges, places([b"all"])
    setup.clock.now += TICK
    younger = Purges(memoryview(bytearray(SIZE)).cast("q"), nullcontext(), setup.clock)
    assert younger.look(names, older.generation) is DEAD
    setup.clock.now += TICK
    assert younger.look(names, older.asking()) is ALIVE


def test_a_purge_comes_after_all_that_was_asked_for_whatever_the_clock_says(setup: Setup) -> None:
    purges, names = setup.purges, places([b"all"])
    setup.clock.now += 5 * TICK
    asked = purges.asking()
    setup.clock.now -= 3 * TICK
    assert setup.attached().asking() == asked
    purges.purge(b"all")
    assert purges.look(names, asked) is DEAD and purges.look(names, purges.asking()) is ALIVE
