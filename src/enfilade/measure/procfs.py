"""What processes cost, as Linux tells it in /proc (proc(5)). Where there is none, nobody is found, and nothing costs anything.

What has ended is counted as far as others know of it: the processor time of threads that ended, and of children that were waited
for. Their context switches are not: /proc has them only for threads that live.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SWITCHES = re.compile(rb"^(?:non)?voluntary_ctxt_switches:\s*(\d+)", re.M)
_PSS = re.compile(rb"^Pss:\s*(\d+) kB", re.M)
_GONE = (FileNotFoundError, ProcessLookupError)
# Places in stat behind the name. Times are four: ours, user and system, and our children's.
_PARENT, _TIMES, _THREADS, _RESIDENT = 1, 11, 17, 21


@dataclass(frozen=True)
class Usage:
    """What several processes cost."""

    processes: int = 0
    threads: int = 0
    resident: int = 0
    """Bytes; what processes share counts in each of them."""
    proportional: int = 0
    """Bytes; what n processes share counts as 1/n in each (PSS), those that are not looked at among them."""
    switches: int = 0
    """Context switches so far, because a thread had to wait, or it was another's turn."""
    cpu: float = 0.0
    """Seconds so far, user and system, of children that have ended too."""

    def __add__(self, other: Usage) -> Usage:
        return Usage(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def descendants(root: int) -> list[int]:
    """The children of the process `root`, theirs, and so on."""
    children: dict[int, list[int]] = {}
    for pid, stat in _all():
        children.setdefault(int(stat[_PARENT]), []).append(pid)
    found: list[int] = []
    layer = children.get(root, [])
    while layer:
        found += layer
        layer = [child for pid in layer for child in children.get(pid, [])]
    return found


def usage(pids: Iterable[int]) -> Usage:
    """What those of them cost that are still there."""
    total = Usage()
    for pid in pids:
        with suppress(*_GONE):
            total += _of(pid)
    return total


def _of(pid: int) -> Usage:
    stat = _stat(pid)
    proportional = _PSS.search(Path(f"/proc/{pid}/smaps_rollup").read_bytes())
    threads = _threads(pid)
    # Ticks are of 10 ms, too coarse for many processes that each do little; nanoseconds are of threads that live alone.
    user, system, *children = map(int, stat[_TIMES : _TIMES + 4])
    return Usage(
        processes=1,
        threads=int(stat[_THREADS]),
        resident=int(stat[_RESIDENT]) * _PAGE,
        proportional=int(proportional[1]) * 1024 if proportional else 0,
        switches=threads.switches,
        cpu=max((user + system) * _TICK, threads.cpu) + sum(children) * _TICK,
    )


def _threads(pid: int) -> Usage:
    """What is told of each thread: /proc/PID itself has only the main thread's switches."""
    total = Usage()
    for thread in os.listdir(f"/proc/{pid}/task"):
        path = f"/proc/{pid}/task/{thread}"
        with suppress(*_GONE):
            total += Usage(switches=sum(map(int, _SWITCHES.findall(Path(f"{path}/status").read_bytes()))))
        with suppress(*_GONE):  # nor does every kernel have it
            total += Usage(cpu=int(Path(f"{path}/schedstat").read_bytes().split()[0]) / 1e9)
    return total


def _all() -> Iterator[tuple[int, list[bytes]]]:
    with suppress(FileNotFoundError):
        for name in os.listdir("/proc"):
            if name.isdigit():
                with suppress(*_GONE):
                    yield int(name), _stat(int(name))


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the third on; the second, the name, may hold spaces and brackets."""
    return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
