"""Servers as processes: started on one core, waited for, measured from /proc, ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from pathlib import Path

from enfilade.measure.procfs import descendants, usage

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


def cpu_seconds(root: int) -> float:
    """User and system time of the tree so far, of children that have ended too."""
    return usage([root, *descendants(root)]).cpu


def memory(root: int) -> int:
    """Bytes in memory of the tree; pages that n processes share count 1/n in each (PSS)."""
    return usage([root, *descendants(root)]).proportional
