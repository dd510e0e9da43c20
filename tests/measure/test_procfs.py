"""What /proc says of processes that do something known."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from enfilade.measure.procfs import Usage, descendants, usage

MB = 1024 * 1024


@contextmanager
def running(program: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program that has printed a line, and waits for its input to end."""
    source = f"import os, sys, threading, time\n{program}\nprint(flush=True)\nsys.stdin.read()"
    process = subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield process
    finally:
        process.communicate()


def test_descendants_of_children_are_found_too() -> None:
    # Only the grandchild prints a line.
    with running("if os.fork() or os.fork():\n    sys.stdin.read()\n    os._exit(0)") as process:
        assert len(descendants(process.pid)) == 2
        assert process.pid in descendants(os.getpid())
        assert process.pid not in descendants(process.pid)


def test_threads_and_processes_are_counted() -> None:
    with running("for _ in range(3): threading.Thread(target=sys.stdin.read).start()") as process:
        now = usage([process.pid])
    assert (now.processes, now.threads) == (1, 4)


def test_shared_memory_counts_once_where_it_is_proportional() -> None:
    # Both processes print a line: both have it all in memory.
    with running(f"data = os.urandom({40 * MB}); os.fork(); hash(data)") as process:
        assert process.stdout is not None
        process.stdout.readline()
        both = usage([process.pid, *descendants(process.pid)])
    assert both.processes == 2
    assert both.resident > 80 * MB
    assert 40 * MB < both.proportional < 80 * MB


def test_processor_time_of_children_that_have_ended_counts() -> None:
    busy = "while time.process_time() < 0.2: pass"
    with running(f"if os.fork() == 0:\n    {busy}\n    os._exit(0)\nos.wait()") as process:
        assert usage([process.pid]).cpu >= 0.15


def test_processor_time_of_less_than_a_tick_counts() -> None:
    # Ten processes of 5 ms each, more than they took to start.
    busy = "until = time.process_time() + 0.005\nwhile time.process_time() < until: pass"
    pid = "os.getpid()"
    with running(f"first = {pid}\nfor _ in range(10): {pid} == first and os.fork()\n{busy}") as process:
        assert process.stdout is not None
        for _ in range(10):
            process.stdout.readline()
        assert usage(descendants(process.pid)).cpu >= 0.05


def test_each_wait_is_a_switch_whichever_thread_waits() -> None:
    waits = "[time.sleep(0.0001) for _ in range(200)] and done.set() or sys.stdin.read()"
    with running(f"done = threading.Event()\nthreading.Thread(target=lambda: {waits}).start()\ndone.wait()") as process:
        assert usage([process.pid]).switches >= 200


def test_who_is_gone_costs_nothing() -> None:
    with running("") as process:
        pass
    assert usage([process.pid]) == Usage()
    assert descendants(process.pid) == []


def test_usages_add_up() -> None:
    assert Usage(1, 2, 3, 4, 5, 6.0) + Usage(10, 20, 30, 40, 50, 60.0) == Usage(11, 22, 33, 44, 55, 66.0)
