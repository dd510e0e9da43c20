"""Purges between servers: what one purges is dead for all, whoever fetched it, whoever was away, whatever the clocks say."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import nullcontext
from typing import Any

import pytest

from enfilade.cache.feed import (
    FIRST_PAUSE,
    LONGEST_PAUSE,
    MARGIN,
    Entry,
    Feed,
    agreed,
)
from enfilade.cache.purges import ALIVE, DEAD, RECENT, SIZE, SOFT, Position, Purge, Purges, State, places
from enfilade.testing.stores import warnings

SECOND = 1_000_000_000
START = 1_800_000_000 * SECOND
STREAM = 7


class Book:
    """What all have written, and the time. `away`: nobody can reach it."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.now = START
        self.away = False

    def write(self, purge: Purge) -> None:
        last = self.entries[-1][0] if self.entries else Position(STREAM, 0, 0)
        time = max(self.now // 1_000_000, last.time)
        self.entries.append((Position(STREAM, time, last.number + 1 if time == last.time else 0), purge))

    @property
    def names(self) -> list[bytes]:
        """Those that mean something."""
        return [purge.name for _, purge in self.entries if purge.name]


class FakeJournal:
    """See `Journal`."""

    def __init__(self, book: Book, stream: int = STREAM) -> None:
        self.book = book
        self.stream = stream
        self.closed = False

    def _reach(self) -> None:
        if self.book.away:
            raise OSError("gone fishing")

    async def append(self, purges: Sequence[Purge]) -> None:
        self._reach()
        for purge in purges:
            self.book.write(purge)

    async def read(self, after: Position, seconds: float) -> list[Entry]:
        self._reach()
        return [(p._replace(stream=self.stream), purge) for p, purge in self.book.entries if p[1:] > after[1:]][:3]

    async def holds(self, position: Position) -> bool:
        self._reach()
        return any(p[1:] == position[1:] for p, _ in self.book.entries)

    async def last(self) -> Position:
        self._reach()
        return self.book.entries[-1][0] if self.book.entries else Position(self.stream, 0, 0)

    async def close(self) -> None:
        self.closed = True


class Server:
    """`ahead`: nanoseconds by which its clock is."""

    def __init__(self, book: Book, ahead: int = 0) -> None:
        self.book = book
        self.ahead = ahead
        self.cells = memoryview(bytearray(SIZE)).cast("q")
        self.purges = Purges(self.cells, nullcontext(), lambda: self.book.now + self.ahead)
        self.feed = self.new_feed()

    def new_feed(self) -> Feed:
        return Feed(self.purges, FakeJournal(self.book), "test")

    async def join(self) -> None:
        await self.feed.read_missed()
        await self.feed.announce()
        await self.turns()

    async def turns(self) -> None:
        for _ in range(5):
            await self.feed.turn(0)

    def fetch(self) -> int:
        """The generation that an answer carries which is asked for now."""
        return self.purges.generation

    def look(self, name: bytes, generation: int) -> State:
        return self.purges.look(places([name]), generation)


def run(scene: Coroutine[Any, Any, None]) -> None:
    asyncio.run(scene)


async def joined(*servers: Server) -> None:
    for server in servers:
        await server.join()
    for server in servers:
        await server.turns()


def test_what_one_server_purges_is_dead_on_all_and_what_is_fetched_then_is_good_on_all() -> None:
    async def scene() -> None:
        book = Book()
        here, there = Server(book), Server(book)
        await joined(here, there)
        before = there.fetch()
        assert here.look(b"tag:1", before) is there.look(b"tag:1", before) is ALIVE
        book.now += SECOND
        here.purges.purge(b"tag:1")
        here.purges.purge(b"tag:2", soft=True)
        await joined(here, there)
        for server in here, there:
            assert server.look(b"tag:1", before) is DEAD
            assert server.look(b"tag:2", before) is SOFT
            assert server.look(b"tag:3", before) is ALIVE
            assert here.look(b"tag:1", server.fetch()) is there.look(b"tag:1", server.fetch()) is ALIVE
        assert here.purges.generation == there.purges.generation

    run(scene())


def test_what_a_new_server_fetches_is_good_for_the_others_and_theirs_for_it() -> None:
    async def scene() -> None:
        book = Book()
        old, new = Server(book), Server(book, ahead=-MARGIN)
        await old.join()
        book.now += 3600 * SECOND
        await new.join()
        await old.turns()
        assert old.look(b"tag:1", new.fetch()) is ALIVE
        assert new.look(b"tag:1", old.fetch()) is ALIVE

    run(scene())


@pytest.mark.parametrize("ahead", [MARGIN - SECOND // 10, -MARGIN + SECOND // 10, 3600 * SECOND, -3600 * SECOND])
def test_a_clock_that_is_wrong_hides_no_purge(ahead: int) -> None:
    """Nor, within the margin, where another server has purged something a moment before and was not heard of yet."""

    async def scene() -> None:
        book = Book()
        right, wrong = Server(book), Server(book, ahead)
        await joined(right, wrong)
        book.now += 10 * SECOND
        for purging, other in (right, wrong), (wrong, right):
            if abs(ahead) < MARGIN:
                other.purges.purge(b"tag:other")
            fetched = other.fetch()
            book.now += SECOND // 100
            purging.purges.purge(b"tag:1")
            await joined(purging, other)
            assert purging.look(b"tag:1", fetched) is DEAD
            assert other.look(b"tag:1", fetched) is DEAD
            assert purging.look(b"tag:1", other.fetch()) is ALIVE
            assert other.look(b"tag:1", purging.fetch()) is ALIVE

    run(scene())


def test_all_servers_agree_on_one_generation() -> None:
    at = Position(STREAM, START // 1_000_000, 3)
    assert agreed(START, at) == START + 3 + MARGIN
    assert agreed(START + MARGIN + 4, at) == START + MARGIN + 5
    assert agreed(0, at._replace(number=4)) > agreed(0, at)


def test_who_was_away_applies_what_it_missed_and_tells_what_it_purged() -> None:
    async def scene() -> None:
        book = Book()
        here, away = Server(book), Server(book)
        await joined(here, away)
        before = here.fetch()
        for i in range(20):
            here.purges.purge(b"tag:%d" % i)
        away.purges.purge(b"tag:away")
        await here.turns()
        assert away.look(b"tag:0", before) is ALIVE
        await joined(away, here)
        assert {away.look(b"tag:%d" % i, before) for i in range(20)} == {DEAD}
        assert here.look(b"tag:away", before) is DEAD
        assert here.look(b"tag:other", before) is away.look(b"tag:other", before) is ALIVE

    run(scene())


def test_more_than_is_remembered_is_told_as_all() -> None:
    async def scene() -> None:
        book = Book()
        here, there = Server(book), Server(book)
        await joined(here, there)
        before = there.fetch()
        for i in range(RECENT + 1):
            here.purges.purge(b"tag:%d" % i)
        await here.turns()
        await there.turns()
        assert book.names == [b"all"]
        assert there.look(b"all", before) is DEAD

    run(scene())


def test_what_was_trimmed_away_counts_as_all_for_who_did_not_see_it_and_for_nobody_else() -> None:
    async def scene() -> None:
        book = Book()
        here, away = Server(book), Server(book)
        await joined(here, away)
        before = away.fetch()
        book.now += SECOND
        for i in range(10):
            here.purges.purge(b"tag:%d" % i)
        await here.turns()
        del book.entries[:-5]
        await joined(away, here)
        assert away.look(b"all", before) is DEAD
        assert here.look(b"all", before) is ALIVE
        assert here.look(b"all", away.fetch()) is away.look(b"all", here.fetch()) is ALIVE

    run(scene())


def test_what_the_journal_lost_counts_as_all_for_everybody() -> None:
    """Two purged, the journal forgot it; the third was away, and would never hear of it."""

    async def scene() -> None:
        book = Book()
        here, away = Server(book), Server(book)
        await joined(here, away)
        saved, before = list(book.entries), away.fetch()
        book.now += SECOND
        here.purges.purge(b"tag:1")
        await here.turns()
        book.entries[:] = saved
        await here.join()
        await away.turns()
        assert here.look(b"all", before) is away.look(b"all", before) is DEAD

    run(scene())


def test_a_journal_that_was_never_seen_counts_as_all() -> None:
    async def scene() -> None:
        server = Server(Book())
        await server.join()
        before = server.fetch()
        other = Feed(server.purges, FakeJournal(server.book, stream=8), "test")
        await other.read_missed()
        assert server.look(b"all", before) is DEAD
        assert server.book.names == []  # no matter for the others

    run(scene())


def test_the_next_worker_goes_on_where_the_last_one_was() -> None:
    async def scene() -> None:
        book = Book()
        here, there = Server(book), Server(book)
        await joined(here, there)
        there.purges.purge(b"tag:1")
        await there.turns()
        await here.feed.turn(0)
        here.purges.purge(b"tag:2")
        fetched = here.fetch()
        feed = here.new_feed()
        await feed.read_missed()
        assert here.look(b"tag:1", fetched) is ALIVE  # not applied again
        assert here.look(b"all", fetched) is ALIVE
        await feed.announce()
        assert book.names == [b"tag:1", b"tag:2"]

    run(scene())


def test_while_two_workers_do_it_each_purge_is_applied_once() -> None:
    async def scene() -> None:
        book = Book()
        here, there = Server(book), Server(book)
        await joined(here, there)
        second = here.new_feed()
        await second.read_missed()
        there.purges.purge(b"tag:1")
        await there.turns()
        await here.feed.turn(0)
        after = here.fetch()
        await second.turn(0)
        assert here.fetch() == after
        here.purges.purge(b"tag:2")
        await here.feed.turn(0)
        await second.turn(0)
        assert book.names == [b"tag:1", b"tag:2"]

    run(scene())


def test_a_journal_that_is_away_costs_one_line_and_is_asked_more_and_more_rarely() -> None:
    async def scene() -> None:
        book = Book()
        server = Server(book)
        pauses: list[float] = []

        class Enough(Exception):
            pass

        async def sleep(seconds: float) -> None:
            pauses.append(seconds)
            book.away = len(pauses) != 7
            if len(pauses) == 8:
                raise Enough

        class Leaving(FakeJournal):
            async def read(self, after: Position, seconds: float) -> list[Entry]:
                found = await super().read(after, seconds)
                book.away = not found and seconds > 0  # it is there for one look
                return found

        book.away = True
        feed = Feed(server.purges, Leaving(book), "test", sleep)
        with warnings() as lines, pytest.raises(Enough):
            await feed.run()
        assert pauses == [FIRST_PAUSE, 1.0, 2.0, 4.0, LONGEST_PAUSE, LONGEST_PAUSE, LONGEST_PAUSE, FIRST_PAUSE]
        assert lines == ["cache: test: gone fishing"]

    run(scene())


def test_a_start_does_not_depend_on_it() -> None:
    async def scene() -> None:
        server = Server(Book())
        server.book.away = True
        with warnings() as lines:
            await server.feed.catch_up()
        assert lines == ["cache: test: gone fishing"]

    run(scene())


def test_what_is_purged_last_is_told_before_the_end() -> None:
    async def scene() -> None:
        book = Book()
        server = Server(book)
        await server.join()
        journal = FakeJournal(book)
        feed = Feed(server.purges, journal, "test")
        feed.start()
        server.purges.purge(b"tag:1")
        await feed.close()
        assert book.names == [b"tag:1"]
        assert journal.closed

    run(scene())


def test_what_cannot_be_told_at_the_end_stays_to_be_told() -> None:
    async def scene() -> None:
        book = Book()
        server = Server(book)
        await server.join()
        server.feed.start()
        server.purges.purge(b"tag:1")
        book.away = True
        with warnings() as lines:
            await server.feed.close()
        assert lines == ["cache: test: gone fishing"]
        book.away = False
        await server.new_feed().announce()
        assert book.names == [b"tag:1"]

    run(scene())
