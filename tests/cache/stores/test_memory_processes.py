"""The store in memory among processes: whoever dies, and whenever, nobody is ever given another's bytes."""

from __future__ import annotations

import itertools
import os
import random
import signal
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest

from enfilade.cache.stored import Stored, Terms, Whole
from enfilade.cache.stores.arena import CHANGES, Arena
from enfilade.cache.stores.memory import Memory
from enfilade.http.fields import Fields
from enfilade.process.shared import Shared

SIZE = 1 << 18
KEYS = [b"key %d" % i for i in range(80)]
BODIES = (0, 3, 100, 1000, 3000, 20_000)


def answer(key: bytes, number: int) -> Stored:
    """Its body says whose it is, all over."""
    body = b"<%s|%d>" % (key, number) * 1500
    return Stored(key, 200, Fields(()), Terms(0, 1, 1, 1), (), 0, Whole(body[: BODIES[number % len(BODIES)]]))


def number_in(key: bytes, body: object) -> int | None:
    """Checks it all; None: too short to tell."""
    assert isinstance(body, bytes)
    start, bar, rest = body.partition(b"|")
    if not bar or b">" not in rest:
        assert (b"<%s|" % key).startswith(body[: len(key) + 2])
        return None
    assert start == b"<" + key
    number = int(rest[: rest.index(b">")])
    assert body == answer(key, number).content.read(0, 1 << 20)
    return number


def check_all(memory: Memory) -> set[bytes]:
    """Everything that is there is right; its keys."""
    keys = set()
    for stored in memory.entries():
        number_in(stored.key, stored.content.read(0, stored.content.size))
        keys.add(stored.key)
    return keys


def check_arena(arena: Arena) -> None:
    for ring in (arena.small, arena.main):
        head, tail = arena.cells[ring.head], arena.cells[ring.tail]
        assert 0 <= head <= tail <= head + ring.units, "the budget"


def worker(memory: Memory, seed: int, turns: int) -> None:
    rng = random.Random(seed)
    for _ in range(turns):
        key = rng.choice(KEYS)
        dice = rng.random()
        if dice < 0.3:
            memory.put(answer(key, rng.randrange(1000)))
        elif dice < 0.35:
            memory.remove(key)
        elif (stored := memory.get(key)) is not None:
            body = stored.content.read(0, stored.content.size)
            assert body is None or len(body) == stored.content.size
            if body is not None:
                number_in(key, body)


def fork(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return pid


def test_many_writers_and_readers_on_one_arena() -> None:
    shared = Shared.make("memory", SIZE)
    pids = [fork(lambda: worker(Memory(shared.cells, shared.locked), seed, 3000)) for seed in range(4)]  # noqa: B023
    memory = Memory(shared.cells, shared.locked)
    worker(memory, 99, 3000)
    for pid in pids:
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    check_arena(memory.arena)
    late = Memory(shared.cells, shared.locked)
    assert check_all(late) == check_all(memory)
    assert memory.figures().answers == len(check_all(late)) > 10


def test_writers_that_are_killed_leave_nothing_to_repair() -> None:
    shared = Shared.make("memory", SIZE)
    memory = Memory(shared.cells, shared.locked)
    for turn in range(30):
        changes = shared.cells[CHANGES]
        pid = fork(lambda: worker(Memory(shared.cells, shared.locked), turn, 1 << 30))  # noqa: B023
        while shared.cells[CHANGES] < changes + 20 + turn:
            memory.get(KEYS[turn])
        os.kill(pid, signal.SIGKILL)
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        check_arena(memory.arena)
        assert check_all(Memory(shared.cells, shared.locked)) <= check_all(memory)
        memory.put(answer(b"after", turn))
        assert memory.get(b"after") is not None


class Killed(BaseException):
    pass


class Mortal:
    """Memory whose writer is killed before its write number `lives`."""

    def __init__(self, memory: Any, count: list[int]) -> None:
        self._memory = memory
        self._count = count

    def __len__(self) -> int:
        return len(self._memory)

    def __getitem__(self, index: Any) -> Any:
        return self._memory[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        if not self._count[0]:
            raise Killed
        self._count[0] -= 1
        self._memory[index] = value


def mortal(memory: Memory, lives: int) -> Memory:
    """Its writer."""
    count = [lives]
    for name in ("cells", "bytes", "kinds", "hits", "_ghosts"):
        setattr(memory.arena, name, Mortal(getattr(memory.arena, name), count))
    return memory


@pytest.mark.parametrize(
    ("write", "size"), [("new", 3000), ("replace", 3000), ("rewrite", 3000), ("new", 20_000), ("remove", 0)]
)
def test_a_writer_may_be_killed_before_each_of_its_writes(write: str, size: int) -> None:
    memory = Memory(memoryview(bytearray(SIZE)).cast("q"), nullcontext())
    for i in range(300):
        memory.put(answer(b"%d" % i, 4))
        for _ in range(3):
            memory.get(b"%d" % (i // 3 * 2))
    full = bytes(memory.arena.bytes)
    lives = 0
    while True:
        cells = memoryview(bytearray(full)).cast("q")
        other = Memory(cells, nullcontext())
        before = check_all(other)
        key = sorted(before)[5] if write != "new" else b"new"
        writer = mortal(Memory(cells, nullcontext()), lives)
        try:
            if write == "remove":
                writer.remove(key)
            else:
                writer.put(answer(key, BODIES.index(size) + (len(BODIES) if write == "replace" else 0)))
        except Killed:
            pass
        else:
            break
        late = Memory(cells, nullcontext())
        check_arena(late.arena)
        assert check_all(late) <= check_all(other) <= before | {key}
        worker(other, lives, 100)
        worker(late, lives, 100)
        worker(other, lives, 300)
        check_arena(late.arena)
        assert check_all(Memory(cells, nullcontext())) == check_all(late) == check_all(other)
        lives += 1
    assert lives > {"remove": 0, "rewrite": 1}.get(write, 12)


class Interrupted:
    """Memory that a reader copies only half of before something happens."""

    def __init__(self, memory: memoryview, happens: Callable[[], None]) -> None:
        self._memory = memory
        self._happens = happens

    def __getitem__(self, index: slice) -> bytes:
        middle = (index.start + index.stop) // 2
        first = bytes(self._memory[index.start : middle])
        self._happens()
        return first + bytes(self._memory[middle : index.stop])


@pytest.mark.parametrize("decoded", [True, False])
def test_what_is_written_over_while_it_is_read_is_gone_not_wrong(decoded: bool) -> None:
    cells = memoryview(bytearray(SIZE)).cast("q")
    memory, writer = Memory(cells, nullcontext()), Memory(cells, nullcontext())
    worker(writer, 1, 3000)
    writer.put(answer(b"read", 3))
    if decoded:
        assert memory.get(b"read") is not None

    numbers = itertools.count(4, len(BODIES))

    def lap() -> None:
        for i in range(80):
            writer.put(answer(b"%d" % i, next(numbers)))
            writer.get(b"%d" % i), writer.get(b"%d" % i)  # so that it goes on to the main ring

    memory.follow()
    setattr(memory.arena, "bytes", Interrupted(memory.arena.bytes, lap))  # noqa: B010
    stored = memory.get(b"read")
    assert (stored is not None) == decoded
    if stored is not None:
        assert stored.content.read(0, 1000) is None


@pytest.mark.parametrize("killed", [False, True])
def test_a_head_that_is_half_written_over_is_looked_at_again_when_its_writer_is_done(killed: bool) -> None:
    def fields(number: int) -> Fields:
        return Fields([(b"x-number", b"%04d" % number * 20)])

    class Lock(nullcontext[None]):
        """The writer has it when the reader comes."""

        def __enter__(self) -> None:
            if not killed:
                arena.bytes[at : at + len(new)] = new

    cells = memoryview(bytearray(SIZE)).cast("q")
    writer, memory = Memory(cells, nullcontext()), Memory(cells, Lock())
    arena = writer.arena
    before = bytes(arena.bytes)
    writer.put(Stored(b"k", 200, fields(1), Terms(0, 1, 1, 1), (), 0, Whole(b"body")))
    at = arena.at(arena.small.first)
    old = bytes(arena.bytes[at : at + 400])
    assert old != before[at : at + 400] and memory.get(b"k") is not None
    writer.put(Stored(b"k", 200, fields(2), Terms(0, 2, 2, 2), (), 0, Whole(b"body")))
    new = bytes(arena.bytes[at : at + 400])
    middle = new.index(b"0002" * 10) + 40
    arena.bytes[at : at + 400] = new[:middle] + old[middle:]
    found = memory.get(b"k")
    if killed:
        assert found is None and memory.get(b"k") is None
    else:
        assert found is not None
        assert (found.fields, found.content.read(0, 4)) == (fields(2), b"body")


def test_bodies_are_right_while_another_process_writes_over_and_over() -> None:
    shared = Shared.make("memory", SIZE)
    memory = Memory(shared.cells, shared.locked)

    def write() -> None:
        writer = Memory(shared.cells, shared.locked)
        for i in range(4000):
            writer.put(answer(KEYS[i % 7], i))

    pid = fork(write)
    reads, writing = 0, True
    while writing:
        writing = os.waitpid(pid, os.WNOHANG) == (0, 0)
        for key in KEYS[:7]:
            stored = memory.get(key)
            body = None if stored is None else stored.content.read(0, stored.content.size)
            if body is not None:
                number_in(key, body)
                reads += 1
    assert reads
