"""Memory in common: what one process writes, others see; the lock is between processes, threads, and across kills."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.pythons import VERSIONS, run

from enfilade.process.board import Board
from enfilade.process.shared import Shared


def fork(work: Callable[[], object]) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            work()
        finally:
            os._exit(0)
    return pid


def test_what_one_process_writes_the_others_see() -> None:
    shared = Shared.make("test", 4096)
    assert shared.size == 4096 and not any(shared.cells)

    def work() -> None:
        shared.cells[3] = -7

    os.waitpid(fork(work), 0)
    assert shared.cells[3] == -7
    assert Shared(os.dup(shared.fd)).cells[3] == -7
    assert bytes(shared.bytes[24:32]) == (-7).to_bytes(8, "little", signed=True)


def test_nobody_can_cut_it_off() -> None:
    shared = Shared.make("test", 4096)
    with pytest.raises(PermissionError):
        os.ftruncate(shared.fd, 8)


def test_without_memfd_it_is_a_file_that_has_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "memfd_create")
    shared = Shared.make("test", (1 << 20) + 8)
    assert os.fstat(shared.fd).st_nlink == 0
    assert len(shared.cells) == (1 << 17) + 1 and not any(shared.cells)


def test_the_lock_is_between_processes_and_threads() -> None:
    shared = Shared.make("test", 4096)

    def work() -> None:
        for _ in range(2000):
            with shared.locked:
                shared.cells[0] += 1

    pids = [fork(work) for _ in range(2)]
    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for pid in pids:
        os.waitpid(pid, 0)
    assert shared.cells[0] == 8000


def test_who_is_killed_lets_go_of_the_lock() -> None:
    shared = Shared.make("test", 4096)
    ours, theirs = os.pipe()

    def work() -> None:
        with shared.locked:
            os.write(theirs, b"x")
            signal.pause()

    pid = fork(work)
    assert os.read(ours, 1) == b"x"
    os.kill(pid, signal.SIGKILL)
    with shared.locked:
        pass
    os.waitpid(pid, 0)
    os.close(ours)
    os.close(theirs)


def test_what_the_kernel_takes_for_a_deadlock_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    locked = Shared.make("test", 4096).locked
    errors = [errno.EDEADLK, errno.EDEADLK, errno.ENOLCK]
    real = fcntl.lockf

    def lockf(fd: int, command: int) -> None:
        if command == fcntl.LOCK_EX and errors:
            raise OSError(errors.pop(0), "as the kernel says")
        real(fd, command)

    monkeypatch.setattr(fcntl, "lockf", lockf)
    with pytest.raises(OSError, match=str(errno.ENOLCK)), locked:
        pass
    with locked:
        assert not errors


def test_the_same_name_and_size_are_the_same_memory_of_a_board_while_somebody_holds_it() -> None:
    board = Board(rows=8, columns=2)
    old_plan = board.shared("cache", 4096)
    assert board.shared("purges", 4096) is not old_plan
    new_plan = board.shared("cache", 8192)
    assert new_plan.size == 8192
    assert board.shared("cache", 4096) is old_plan, "as if the new plan were found wanting"
    old_plan.cells[0] = 1
    fd = old_plan.fd
    del old_plan
    with pytest.raises(OSError):
        os.fstat(fd)
    assert board.shared("cache", 4096).cells[0] == 0
    assert board.shared("cache", 8192) is new_plan


def test_the_lock_works_as_long_as_somebody_has_it() -> None:
    locked = Shared.make("test", 4096).locked
    with locked:
        pass
    fd = locked.fd
    del locked
    with pytest.raises(OSError):
        os.fstat(fd)


def test_memory_in_a_file_outlives_its_process(tmp_path: Path) -> None:
    path = str(tmp_path / "purges")
    Shared.open(path, 4096).cells[1] = 9
    assert Shared.open(path, 4096).cells[1] == 9
    assert not any(Shared.open(path, 8192).cells), "of another size it is made anew"
    with pytest.raises(OSError):
        Shared.open(str(tmp_path), 4096)


@pytest.mark.parametrize("version", VERSIONS)
def test_it_is_attached_by_any_python(version: str) -> None:
    """An application's process purges through it."""
    program = """
import os
from enfilade.process.shared import Shared
from enfilade.cache.purges import DEAD, SIZE, Purges, places
made = Shared.make("test", SIZE)
before = Purges(made.cells, made.locked).generation
there = Shared(os.dup(made.fd))
Purges(there.cells, there.locked).purge(b"tag:7")
print(Purges(made.cells, made.locked).look(places([b"all", b"tag:7"]), before) is DEAD)
"""
    assert run(version, program) == "True\n"
