"""Clients in as many processes as there are cores, in each of which they are threads. Orders and tallies go by pickle."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from queue import SimpleQueue
from typing import IO, Any

from enfilade.measure.crowd import Order, Span
from enfilade.measure.tally import Tally
from enfilade.measure.threads import Threads


class Processes:
    """A `Crowd` of processes."""

    def __init__(self, order: Order) -> None:
        shares = share(order, len(os.sched_getaffinity(0)))
        self._children = [_start() for _ in shares]
        for child, part in zip(self._children, shares, strict=True):
            tell(child.stdin, part)

    def connect(self) -> None:
        for child in self._children:
            hear(child.stdout)

    def run(self, span: Span) -> Tally:
        for child in self._children:
            tell(child.stdin, span)
        total = Tally()
        for child in self._children:
            total.merge(hear(child.stdout))
        return total

    def close(self) -> None:
        for child in self._children:
            child.communicate()


def share(order: Order, processes: int) -> list[Order]:
    """The parts of several processes, none of which has nothing to do."""
    ends = [order.clients * i // processes for i in range(processes + 1)]
    return [
        replace(order, clients=end - begin, first=order.first + begin) for begin, end in pairwise(ends) if end > begin
    ]


def _start() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "enfilade.measure.processes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for us, who end it
    )


def tell(pipe: IO[bytes] | None, what: object) -> None:
    assert pipe is not None
    pickle.dump(what, pipe)
    pipe.flush()


def hear(pipe: IO[bytes] | None) -> Any:
    assert pipe is not None
    return pickle.load(pipe)


def main() -> None:
    """One of the processes: connects, and talks and tells as often as it is told to, until its input ends."""
    told: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(told,), daemon=True).start()
    crowd = Threads(told.get())
    crowd.connect()
    tell(sys.stdout.buffer, "connected")
    while True:
        tell(sys.stdout.buffer, crowd.run(told.get()))


def _listen(told: SimpleQueue[Any]) -> None:
    with suppress(EOFError):
        while True:
            told.put(hear(sys.stdin.buffer))
    os._exit(0)  # nobody wants it any more, even in the middle of a run


if __name__ == "__main__":
    main()
