"""Servers as processes: started on one core, waited for, measured from /proc, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

TICK = 1 / os.sysconf("SC_CLK_TCK")
CORES = sorted(os.sched_getaffinity(0))
ALL_CORES = set(CORES)
SERVER_CORES = set(CORES[:1])
LOAD_CORES = set(CORES[1:])


def spawn(command: list[str], environment: dict[str, str], log: Path, cores: set[int]) -> subprocess.Popen[bytes]:
    """A process group of its own on `cores`; its output goes to `log`."""
    here = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        with log.open("wb") as out:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environment, start_new_session=True
            )
    finally:
        os.sched_setaffinity(0, here)


def end(process: subprocess.Popen[bytes]) -> None:
    """Asks, and after five seconds no longer asks. What the process left behind in its group goes too."""
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the third on (proc(5)); the second, the name, may hold spaces."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()


def _all() -> Iterator[tuple[int, list[str]]]:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield int(name), _stat(int(name))


def tree(root: int) -> dict[int, list[str]]:
    """PID -> stat fields, of `root` and all that descend from it."""
    everything = dict(_all())
    found: dict[int, list[str]] = {}
    layer = [root] if root in everything else []
    while layer:
        found |= {pid: everything[pid] for pid in layer}
        layer = [pid for pid, stat in everything.items() if int(stat[1]) in found and pid not in found]
    return found


def cpu_seconds(root: int) -> float:
    """User and system time of the tree so far, of children that have ended too."""
    return sum(sum(map(int, stat[11:15])) for stat in tree(root).values()) * TICK


def memory(root: int) -> int:
    """Bytes in memory of the tree; pages that n processes share count 1/n in each (PSS)."""
    total = 0
    for pid in tree(root):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1]) * 1024
    return total
