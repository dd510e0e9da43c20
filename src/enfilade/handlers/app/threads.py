"""Threads for code that blocks: a bounded queue into them, and one wake-up of the loop for all that they have done."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from threading import Thread
from typing import Any


class ThreadPool:
    """`threads` daemon threads that run jobs for one event loop; at most `queue` jobs wait. The threads start with the first
    job: a worker process must not fork with threads."""

    __slots__ = ("_done", "_jobs", "_loop", "_new", "_queue", "_threads", "_waking")

    def __init__(self, threads: int, queue: int) -> None:
        self._threads = threads
        self._queue = queue
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._new: list[Callable[[], None]] = []
        self._done: deque[tuple[Callable[[Any], None], Any]] = deque()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waking = False

    def submit(self, job: Callable[[], None]) -> bool:
        """Run `job`, which must not raise, in a thread. False: the queue is full."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            for i in range(self._threads):
                Thread(target=self._work, name=f"application-{i}", daemon=True).start()
        if self._jobs.qsize() + len(self._new) >= self._queue:
            return False
        # Together at the end of the turn: a thread that wakes up at each of them takes the interpreter from the loop each time.
        if not self._new:
            self._loop.call_soon(self._hand_over)
        self._new.append(job)
        return True

    def _hand_over(self) -> None:
        jobs, self._new = self._new, []
        for job in jobs:
            self._jobs.put(job)

    def post(self, call: Callable[[Any], None], argument: Any) -> None:
        """From a thread: have `call(argument)` run in the loop, in the order of posting."""
        self._done.append((call, argument))
        if not self._waking:
            self._waking = True
            assert self._loop is not None
            try:
                self._loop.call_soon_threadsafe(self._deliver)
            except RuntimeError:  # the loop was closed, so there is nobody left to answer
                self._done.clear()

    def close(self) -> None:
        """Let the threads end after the jobs that are queued."""
        self._hand_over()
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()

    def _deliver(self) -> None:
        self._waking = False  # before looking: what comes from now on wakes the loop again
        done = self._done
        try:
            while done:
                call, argument = done.popleft()
                call(argument)
        finally:
            if done:  # one that raised must not hold the others back
                asyncio.get_running_loop().call_soon(self._deliver)
