"""The server that is measured: the real product, as a child process."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

START = 20.0
STOP = 10.0
"""Seconds that a server may take to start, and to end when it is asked to."""
_LINES = 20
_ADDRESS = re.compile(r"enfilade: \S+ on (\S+)")


class NoServer(Exception):
    """It did not start, for the reason that it printed."""


@dataclass(frozen=True)
class Running:
    """`url`: where it listens; `pid`: of the supervisor, whose descendants are the workers; `printed`: its last lines."""

    url: str
    pid: int
    printed: Sequence[str]


@contextmanager
def server(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[Running]:
    """`enfilade ARGUMENTS` until the block ends. Raises NoServer."""
    process = subprocess.Popen(
        [sys.executable, "-m", "enfilade", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
        start_new_session=True,
    )
    output = _Output(process)
    try:
        url = output.address()
        if url is None:
            raise NoServer("\n".join(output.lines) or f"it says nothing for {START:g} seconds")
        yield Running(url, process.pid, output.lines)
    finally:
        _end(process)
        output.close()


class _Output:
    """What it prints is read for as long as it runs: a full pipe would hold it. The last lines are kept."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: deque[str] = deque(maxlen=_LINES)
        self._process = process
        self._address: str | None = None
        self._known = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def address(self) -> str | None:
        """Where it says that it listens; None if it ends before, or takes too long."""
        self._known.wait(START)
        return self._address

    def close(self) -> None:
        self._thread.join()

    def _read(self) -> None:
        assert self._process.stderr is not None
        with self._process.stderr as lines:
            for line in lines:
                self.lines.append(line.rstrip())
                if self._address is None and (found := _ADDRESS.match(line)):
                    self._address = found[1]
                    self._known.set()
        self._known.set()


def _end(process: subprocess.Popen[str]) -> None:
    """At once, as nobody wants what it still has to do; after a while it is not asked. What it left in its session goes, too."""
    process.send_signal(signal.SIGQUIT)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
