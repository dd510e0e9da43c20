"""What can happen to the disk store's files, and never to who asks for them."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from enfilade.cache.stored import Stored, Terms, Whole
from enfilade.cache.stores import directory, files
from enfilade.cache.stores.directory import Directory, ForeignDirectory
from enfilade.cache.stores.disk import Disk
from enfilade.cache.stores.files import SMALL, SPARE
from enfilade.cache.stores.tally import Figures, Tally
from enfilade.http.fields import Fields, Pair
from enfilade.testing.stores import an_answer, body_of, found, settled, warnings

BUDGET = 64 * 1024 * 1024


@contextmanager
def open_disk(path: Path, budget: int = BUDGET, writers: int = 1) -> Iterator[Disk]:
    disk = Disk(str(path), budget, writers)
    yield disk
    disk.close()


def put(disk: Disk, key: bytes, body: bytes) -> None:
    put_answer(disk, an_answer(key, body))


def put_answer(disk: Disk, answer: Stored) -> None:
    async def scene() -> None:
        await settled(disk.put(answer))

    asyncio.run(scene())


def get(disk: Disk, key: bytes) -> bytes | None:
    async def scene() -> bytes | None:
        return body_of(await found(disk, key))

    return asyncio.run(scene())


def file_of(disk: Disk, key: bytes) -> Path:
    return Path(disk.directory.path_of(key))


def unfinished(disk: Disk) -> list[str]:
    return os.listdir(disk.directory.new)


# -- files that are not what was written


def test_a_file_cut_at_any_byte_is_a_miss_and_is_removed(tmp_path: Path) -> None:
    with open_disk(tmp_path) as disk, warnings() as lines:
        put(disk, b"k", b"hello")
        whole = file_of(disk, b"k").read_bytes()
        for size in range(len(whole)):
            file_of(disk, b"k").write_bytes(whole[:size])
            assert get(disk, b"k") is None, size
        put(disk, b"other", b"")  # behind what the last look made necessary
    assert len(lines) == 1
    assert not file_of(disk, b"k").exists()


def test_a_file_with_a_flipped_bit_anywhere_is_a_miss(tmp_path: Path) -> None:
    with open_disk(tmp_path) as disk:
        put(disk, b"k", b"hello")
        whole = file_of(disk, b"k").read_bytes()
        spare = whole.index(bytes(SPARE))
        for at in range(len(whole)):
            torn = bytearray(whole)
            torn[at] ^= 1 << at % 8
            file_of(disk, b"k").write_bytes(torn)
            assert get(disk, b"k") == (b"hello" if spare <= at < spare + SPARE else None), at
            put(disk, b"other", b"")  # behind what this look made necessary


@pytest.mark.parametrize("damage", ["zeros", "shorter", "longer", "torn head"])
def test_a_long_file_that_does_not_add_up_is_a_miss(tmp_path: Path, damage: str) -> None:
    with open_disk(tmp_path) as disk:
        put(disk, b"k", bytes(10 * SMALL))
        path = file_of(disk, b"k")
        whole = bytearray(path.read_bytes())
        if damage == "zeros":  # what a file system may show after a power failure
            whole = bytearray(len(whole))
        elif damage == "shorter":
            del whole[-1:]
        elif damage == "longer":
            whole += b"x"
        else:
            whole[40] ^= 1
        path.write_bytes(whole)
        assert get(disk, b"k") is None


def renewed(answer: Stored, *pairs: Pair) -> Stored:
    """With the content that it has."""
    terms = Terms(2000.0, 2060.0, 2060.0, 2060.0)
    return Stored(answer.key, 200, Fields(pairs), terms, (), 0, answer.content)


def test_a_long_answer_that_is_renewed_stays_where_it_is(tmp_path: Path) -> None:
    async def scene() -> None:
        with open_disk(tmp_path) as disk:
            await settled(disk.put(an_answer(b"k", b"x" * 10 * SMALL)))
            before = file_of(disk, b"k").stat().st_ino
            for number in range(3):
                answer = await found(disk, b"k")
                assert answer is not None
                pair = b"x-number", b"x" * number * 100
                await settled(disk.put(renewed(answer, pair)))
                again = await found(disk, b"k")
                assert again is not None
                assert (again.terms.born, again.fields.pairs) == (2000.0, (pair,))
                assert body_of(again) == body_of(answer) == b"x" * 10 * SMALL
            assert file_of(disk, b"k").stat().st_ino == before

    asyncio.run(scene())


@pytest.mark.parametrize("why", ["another body", "no room"])
def test_a_long_answer_that_cannot_be_renewed_is_forgotten(tmp_path: Path, why: str) -> None:
    """It is not what came last."""

    async def scene() -> None:
        with open_disk(tmp_path) as disk:
            await settled(disk.put(an_answer(b"k", b"x" * 10 * SMALL)))
            answer = await found(disk, b"k")
            assert answer is not None
            if why == "another body":
                await settled(disk.put(an_answer(b"k", b"y" * 10 * SMALL)))
            await settled(disk.put(renewed(answer, (b"x-long", b"x" * (10 if why == "another body" else 1000)))))
            assert await found(disk, b"k") is None

    asyncio.run(scene())


def test_a_head_that_was_half_written_over_is_a_miss_and_stays_if_it_is_whole_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(fd: int, size: int) -> bytes:
        data = os.pread(fd, size, 0)
        return data[:100] + bytes(len(data) - 100)

    async def scene() -> None:
        with open_disk(tmp_path) as disk, warnings() as lines:
            await settled(disk.put(an_answer(b"k", b"x" * 10 * SMALL)))
            with monkeypatch.context() as meanwhile:
                meanwhile.setattr("enfilade.cache.stores.disk.read_cached", half)
                assert await found(disk, b"k") is None
            await settled(disk.remove(b"other"))  # behind the second look
            assert body_of(await found(disk, b"k")) == b"x" * 10 * SMALL
            assert lines == []

    asyncio.run(scene())


def test_a_prefix_that_speaks_of_a_giant_head_is_a_miss(tmp_path: Path) -> None:
    with open_disk(tmp_path) as disk:
        put(disk, b"k", b"hello")
        path = file_of(disk, b"k")
        record = bytearray(path.read_bytes())
        record[4:8] = b"\xff\xff\xff\xff"
        path.write_bytes(record)
        assert get(disk, b"k") is None


def test_a_head_longer_than_what_is_read_at_once(tmp_path: Path) -> None:
    answer = an_answer(b"k", b"hello", ((b"x-long", b"x" * 2 * SMALL),))

    async def scene() -> None:
        with open_disk(tmp_path) as disk:
            await settled(disk.put(answer))
            again = await found(disk, b"k")
            assert again is not None
            assert (again.fields, body_of(again)) == (answer.fields, b"hello")

    asyncio.run(scene())


def test_a_file_that_was_moved_to_another_keys_place_is_a_miss(tmp_path: Path) -> None:
    with open_disk(tmp_path) as disk:
        put(disk, b"one", b"of one")
        put(disk, b"two", b"of two")
        file_of(disk, b"one").rename(file_of(disk, b"two"))
        assert get(disk, b"two") is None
        assert get(disk, b"one") is None


def test_symbolic_links_are_not_followed(tmp_path: Path) -> None:
    with open_disk(tmp_path / "cache") as disk, warnings() as lines:
        put(disk, b"k", b"hello")
        elsewhere = tmp_path / "elsewhere"
        file_of(disk, b"k").rename(elsewhere)
        file_of(disk, b"k").symlink_to(elsewhere)
        assert get(disk, b"k") is None
        assert len(lines) == 1
        put(disk, b"k", b"again")  # takes the place of the link, not of what it points to
        assert get(disk, b"k") == b"again"
        assert elsewhere.exists()


@pytest.mark.parametrize("kind", ["directory", "fifo"])
def test_what_is_no_file_is_a_miss(tmp_path: Path, kind: str) -> None:
    with open_disk(tmp_path) as disk:
        put(disk, b"k", b"hello")
        path = file_of(disk, b"k")
        path.unlink()
        path.mkdir() if kind == "directory" else os.mkfifo(path)
        assert get(disk, b"k") is None


# -- whose directory it is


def test_the_directory_is_made_for_us_alone(tmp_path: Path) -> None:
    with open_disk(tmp_path / "a" / "b") as disk:
        put(disk, b"k", b"hello")
        path = file_of(disk, b"k")
        for parent in list(path.parents)[:3]:
            assert parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_directory_with_other_things_is_refused_and_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("dear")
    with pytest.raises(ForeignDirectory, match="not empty"):
        Disk(str(tmp_path), BUDGET)
    assert os.listdir(tmp_path) == ["thesis.txt"]


def test_a_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(ForeignDirectory, match="others"):
        Disk(str(tmp_path), BUDGET)


def test_the_root_of_a_file_system_of_its_own_is_taken(tmp_path: Path) -> None:
    (tmp_path / "lost+found").mkdir()
    Disk(str(tmp_path), BUDGET).close()
    assert (tmp_path / "lost+found").is_dir()


def test_what_was_stored_is_there_after_a_restart(tmp_path: Path) -> None:
    for size in (5, 10 * SMALL):
        with open_disk(tmp_path) as disk:
            put(disk, b"k", b"x" * size)
        with open_disk(tmp_path) as disk:
            assert get(disk, b"k") == b"x" * size


# -- the budget


def test_what_was_not_used_for_longest_gives_way(tmp_path: Path) -> None:
    with open_disk(tmp_path, 1024 * 1024) as disk:
        for i in range(20):
            put(disk, b"%d" % i, bytes(40_000))
            os.utime(file_of(disk, b"%d" % i), (1000 + i, 1000 + i))
        assert get(disk, b"0") is not None  # a use
        put(disk, b"large", bytes(400_000))
        disk.sweep()
        assert [i for i in range(20) if file_of(disk, b"%d" % i).exists()] == [0, *range(8, 20)]
        assert disk.figures().evicted == 7


def test_what_there_is_is_counted_over_all_workers_and_without_signposts(tmp_path: Path) -> None:
    tally = Tally()
    one, two = (Disk(str(tmp_path), 1024 * 1024, tally=tally) for _ in range(2))
    put_answer(one, Stored(b"sign", 0, Fields(), Terms(0.0, 1.0, 1.0, 1.0), (), 0, Whole(b"")))
    for i in range(20):
        put(one, b"%d" % i, bytes(40_000))
    one.sweep()
    assert two.figures() == Figures(20, 4096 + 20 * 40_960, 1024 * 1024, 0)
    put(two, b"large", bytes(400_000))
    two.sweep()
    figures = one.figures()
    assert figures == two.figures()
    assert figures.answers + figures.evicted == 21
    assert figures.evicted > 5
    one.close()
    two.close()


def test_files_of_others_are_not_swept(tmp_path: Path) -> None:
    with open_disk(tmp_path, 1024 * 1024) as disk:
        put(disk, b"k", bytes(400_000))
        beside = file_of(disk, b"k").parent / "notes.txt"
        beside.write_bytes(bytes(1_000_000))
        os.utime(beside, (0, 0))
        for i in range(10):
            put(disk, b"%d" % i, bytes(200_000))
        disk.sweep()
        assert beside.exists()


def test_two_processes_share_one_budget(tmp_path: Path) -> None:
    budget = 4 * 1024 * 1024
    writers = [subprocess.Popen([sys.executable, __file__, "fill", str(tmp_path), str(budget), "2"]) for _ in range(2)]
    for writer in writers:
        assert writer.wait() == 0
    with open_disk(tmp_path, budget, 2) as disk:
        answers = list(disk.entries())
        assert budget // 4 < sum(answer.content.size for answer in answers) <= budget
        for answer in answers:
            assert body_of(answer) == body_for(answer.key)


def test_the_list_of_what_is_stored_leaves_out_what_is_torn(tmp_path: Path) -> None:
    with open_disk(tmp_path) as disk:
        for key, size in ((b"small", 5), (b"large", 10 * SMALL), (b"torn", 5)):
            put(disk, key, bytes(size))
        file_of(disk, b"torn").write_bytes(b"Enf")
        assert sorted((a.key, a.content.size) for a in disk.entries()) == [(b"large", 10 * SMALL), (b"small", 5)]


# -- a full disk


@pytest.mark.parametrize("when", ["no room", "reserve"])
def test_a_full_disk_makes_misses_and_one_line(tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file system is not really full here: writes raise what they would, or statvfs says that it nearly is."""
    with open_disk(tmp_path) as disk, warnings() as lines:
        put(disk, b"before", b"there")
        with monkeypatch.context() as full:
            if when == "reserve":
                full.setattr(directory, "RESERVE", 1.0)
                full.setattr(directory, "LARGEST_RESERVE", 2**62)
            else:
                full.setattr(files.os, "write", _no_room)
            for _ in range(5):
                put(disk, b"k", b"hello")
                assert get(disk, b"k") is None
            assert len(lines) == 1
            assert unfinished(disk) == []
        if when == "no room":
            assert get(disk, b"before") == b"there"
        put(disk, b"k", b"hello")
        assert get(disk, b"k") == b"hello"


def test_a_file_system_smaller_than_the_budget_is_used_to_its_reserve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system of 2 MB, as statvfs would tell of it."""

    def free(self: Directory) -> int:
        return 2 * 1024 * 1024 - sum(-(-state.st_size // 4096) * 4096 for _, state in self._files())

    monkeypatch.setattr(Directory, "free", free)
    with open_disk(tmp_path) as disk, warnings() as lines:
        found = 0
        for i in range(100):
            put(disk, b"%d" % i, bytes(50_000))
            # A sweep in its thread knows the age of answers by the second: it may take the latest one, too.
            found += get(disk, b"%d" % i) is not None
        assert found > 80
        assert lines == []
        assert disk.figures().evicted > 50


def _no_room(fd: int, data: bytes) -> int:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_limit_that_is_met_in_the_middle_of_a_body(tmp_path: Path) -> None:
    """RLIMIT_FSIZE: the first write beyond it is short, as on a disk that is full."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    async def scene(disk: Disk) -> None:
        await settled(disk.put(an_answer(b"k", b"old")))
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
        try:
            writer = disk.writer(an_answer(b"k"))
            for _ in range(20):
                await settled(writer.write(bytes(100_000)))
            assert await writer.commit() is None
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        assert await found(disk, b"k") is None  # nor what was there before: it is not what came last

    with open_disk(tmp_path) as disk, warnings() as lines:
        asyncio.run(scene(disk))
        assert len(lines) == 1
        assert unfinished(disk) == []


def test_what_gives_way_while_it_is_sent_is_sent_to_its_end(tmp_path: Path) -> None:
    async def scene() -> None:
        with open_disk(tmp_path) as disk:
            await settled(disk.put(an_answer(b"k", b"a" * 10 * SMALL)))
            answer = await found(disk, b"k")
            await settled(disk.put(an_answer(b"k", b"b" * 10 * SMALL)))
            assert body_of(answer) == b"a" * 10 * SMALL

    asyncio.run(scene())


def test_no_descriptor_stays_open(tmp_path: Path) -> None:
    async def scene() -> None:
        with open_disk(tmp_path) as disk:
            for size in (5, 10 * SMALL):
                await settled(disk.put(an_answer(b"k", bytes(size))))
                writer = disk.writer(an_answer(b"w"))
                await settled(writer.write(bytes(size)))
                assert await writer.commit() is not None
                for _ in range(3):
                    assert body_of(await found(disk, b"k")) == bytes(size)
                aborted = disk.writer(an_answer(b"w"))
                await settled(aborted.write(bytes(10 * SMALL)))
                aborted.abort()
            assert len(list(disk.entries())) == 2

    asyncio.run(scene())
    before = os.listdir("/proc/self/fd")
    asyncio.run(scene())
    assert len(os.listdir("/proc/self/fd")) == len(before)


# -- what kill -9 leaves


def test_what_a_dead_writer_left_unfinished_is_swept_and_that_of_a_living_one_is_not(tmp_path: Path) -> None:
    async def scene() -> None:
        with open_disk(tmp_path) as disk:
            writer = disk.writer(an_answer(b"k"))
            await settled(writer.write(bytes(1_000_000)))
            await settled(disk.remove(b"other"))  # behind what was to be written
            (Path(disk.directory.new) / ("0" * 32)).write_bytes(b"left")
            assert len(unfinished(disk)) == 2
            await asyncio.to_thread(disk.sweep)
            assert len(unfinished(disk)) == 1
            assert await writer.commit() is not None
            assert unfinished(disk) == []

    asyncio.run(scene())


def test_killed_at_any_moment_it_serves_no_torn_answer(tmp_path: Path) -> None:
    """Two writers at a time, replacing each other's answers of all sizes: 20 of them are killed."""
    assert subprocess.run([sys.executable, __file__, "torture", str(tmp_path)]).returncode == 0


def torture(path: Path) -> None:
    """In a process without threads, which may fork."""
    chance = random.Random(1)
    for _ in range(10):
        for writer, steps in [begin_to_write(path) for _ in "ab"]:
            for _ in range(chance.randrange(1, 30)):
                assert os.read(steps, 1) == b"."
            os.kill(writer, signal.SIGKILL)
            os.waitpid(writer, 0)
            os.close(steps)
        check_all(path)


def begin_to_write(path: Path) -> tuple[int, int]:
    """A process that replaces answers for ever, and where it tells of each."""
    steps, told = os.pipe()
    writer = os.fork()
    if not writer:
        asyncio.run(replace_forever(str(path), told))
    os.close(told)
    return writer, steps


def check_all(path: Path) -> None:
    with open_disk(path) as disk, warnings() as lines:
        disk.sweep()
        assert unfinished(disk) == []
        answers = list(disk.entries())
        assert len(answers) == sum(1 for _ in disk.directory.paths()), "a file that is no answer"
        for answer in answers:
            assert body_of(answer) == body_for(answer.key)
        for i in range(KEYS):
            assert get(disk, b"%d" % i) in (None, body_for(b"%d" % i))
        assert lines == []


KEYS = 12


def body_for(key: bytes) -> bytes:
    """The body that belongs to it: of any size up to 600 KB."""
    chance = random.Random(key)
    return chance.randbytes(chance.choice((0, 100, 5_000, SMALL, 200_000, 600_000)))


async def replace_forever(path: str, told: int) -> None:
    disk = Disk(path, BUDGET, 2)
    bodies = {b"%d" % i: body_for(b"%d" % i) for i in range(KEYS)}
    while True:
        for key, body in bodies.items():
            if len(body) > 10_000:
                writer = disk.writer(an_answer(key))
                for start in range(0, len(body), 50_000):
                    await settled(writer.write(body[start : start + 50_000]))
                await writer.commit()
                await disk.put(an_answer(key, body, ((b"x-renewed", b"x" * 100),)))
            else:
                await disk.put(an_answer(key, body))
            os.write(told, b".")


async def fill(path: str, budget: int, writers: int) -> None:
    disk = Disk(path, budget, writers)
    for i in range(100):
        key = b"%d %d" % (os.getpid(), i)
        answer = an_answer(key)
        answer.content = Whole(body_for(key))
        await disk.put(answer)
    disk.close()


if __name__ == "__main__":
    if sys.argv[1] == "torture":
        torture(Path(sys.argv[2]))
    else:
        asyncio.run(fill(sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
