"""The workers of one application in one generation: which are started, replaced and ended, and when.

Decisions only: the clock goes in, and what is to be done is asked of a `Host`. A pool is *opening* until as many workers as it
must have are ready; one that fails before that is the failure of the pool. After that a dead worker is replaced, ever more slowly
if it keeps dying. A *closing* pool starts no more.

A worker that has served its time is *worn*: it goes when another is ready in its place, and one at a time.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from enfilade.process.app_rows import Restart, SlotRows
from enfilade.process.board import BoardFull
from enfilade.process.control import State
from enfilade.process.lifecycle import GRACE, SPEAK_AFTER, SPEAK_AGAIN, STOP_NOW_TIMEOUT, restart_delay
from enfilade.process.plan import AppSpec
from enfilade.process.scale import Scale, Work, request_limit, why_worn

log = logging.getLogger("enfilade.process")

BOOT = 5.0
"""Seconds for an interpreter to come up, before the application's own time begins."""


class Process(Protocol):
    """What a pool needs of process/app_process.py."""

    pid: int

    def send(self, message: dict[str, Any], fd: int | None = None) -> bool: ...
    def signal(self, number: int) -> None: ...
    def kill(self) -> None: ...
    @property
    def last_line(self) -> str: ...
    @property
    def memory(self) -> int: ...
    @property
    def cpu(self) -> float: ...


class AppWorker:
    """One process of an application. Times are monotonic seconds.

    `number`: no other worker of any application has the same; `slot`: its place among the application's rows, and `rows` in them.
    `ready`: it has been. `concurrency`: requests that it can serve at once; 0: any number. `limit`: how many it may serve; 0: any
    number.
    """

    __slots__ = (
        "concurrency", "cpu", "failure", "kill_at", "limit", "number", "process", "ready", "rows", "slot", "speak_at",
        "started", "state", "worn",
    )  # fmt: skip

    def __init__(self, number: int, slot: int, process: Process, rows: SlotRows, now: float) -> None:
        self.number = number
        self.slot = slot
        self.process = process
        self.rows = rows
        self.state = State.STARTING
        self.ready = False
        self.concurrency = 0
        self.limit = 0
        self.worn = False
        self.failure = ""
        self.cpu = 0.0
        self.started = now
        self.kill_at: float | None = None
        self.speak_at: float | None = None

    def __repr__(self) -> str:
        return f"worker {self.process.pid} (slot {self.slot})"


class Host(Protocol):
    """Whoever makes processes, and knows the edges."""

    def start(self, pool: AppPool, now: float) -> AppWorker:
        """A new worker. Raises OSError or BoardFull."""

    def serves(self, pool: AppPool, worker: AppWorker) -> None:
        """It is ready: link it with every edge."""

    def leaves(self, pool: AppPool, worker: AppWorker) -> None:
        """The edges shall send it nothing more."""

    def failed(self, pool: AppPool, why: str) -> None:
        """A worker could not be started, long after the first ones could."""


class AppPool:
    """`failure`: why it cannot be opened."""

    def __init__(self, spec: AppSpec, generation: int, host: Host) -> None:
        self.spec = spec
        self.generation = generation
        self.workers: list[AppWorker] = []
        self.failure = ""
        self._host = host
        self._scale = Scale(spec.minimum, spec.maximum, spec.idle_stop)
        self._opening = True
        self._closing = False
        self._due = 0.0
        self._delay = 0.0

    def open(self, now: float) -> None:
        """Start the first workers. Raises OSError or BoardFull."""
        for _ in range(self.spec.minimum):
            self._start(now)

    @property
    def ready(self) -> bool:
        return not self._opening

    @property
    def serving(self) -> list[AppWorker]:
        """Those that take requests."""
        return [worker for worker in self.workers if worker.state is State.SERVING]

    def times(self) -> Iterator[float | None]:
        """When `tick` has something to do."""
        for worker in self.workers:
            yield worker.kill_at
            yield worker.speak_at
        if not self._closing and not self._opening and len(self._fresh()) < self._scale.wanted:
            yield self._due

    # -- what happens

    def heard(self, worker: AppWorker, message: dict[str, Any], now: float) -> None:
        """`worker` said something."""
        if "failed" in message:
            worker.failure = str(message["failed"])
        elif "ready" in message and worker.state is State.STARTING:
            worker.concurrency = int(message["ready"]["concurrency"])
            worker.ready = True
            worker.cpu = worker.process.cpu  # what the start took says nothing about its work
            worker.kill_at = worker.speak_at = None
            self._enter(worker, State.SERVING)
            self._host.serves(self, worker)
            self._opening &= len(self.serving) < self.spec.minimum
            self._fit(now)

    def buried(self, worker: AppWorker, how: str, now: float, *, clean: bool) -> None:
        """`worker` is no more: `how` it ended, and whether it was `clean`."""
        self.workers.remove(worker)
        why = worker.failure or f"{worker} {how}" + (
            f": {worker.process.last_line}" if worker.process.last_line else ""
        )
        if worker.state is State.DRAINING:
            if worker.ready and not clean:
                log.warning("the application %s: %s %s while it drained", self.spec.name, worker, how)
        elif self._opening:
            self.failure = f"the application {self.spec.name} cannot be started: {why}"
        elif not self._closing:
            self._delay = restart_delay(self._delay, now - worker.started)
            self._due = now + self._delay
            worker.rows.replaced(Restart.DIED)
            log.error("the application %s: %s; restart in %g s", self.spec.name, why, self._delay)
            if worker.state is State.STARTING:
                self._host.failed(self, why)

    def wake(self, now: float) -> None:
        """A request waits where there is no worker."""
        self._scale.wake()
        self._fit(now)

    def look(self, work: Work, served: Sequence[int], seconds: float, now: float) -> None:
        """Look what the workers do: `work` without its `cpu`, the requests `served` by slot, and the time since the last look."""
        spec = self.spec
        cpu = 0.0
        for worker in self.serving:
            used, worker.cpu = worker.cpu, worker.process.cpu
            cpu += worker.cpu - used
            memory = worker.process.memory
            worker.rows.memory(memory)
            why = why_worn(served[worker.slot] - worker.rows.base, worker.limit, memory, spec.max_memory)
            if why and not any(other.worn for other in self.workers):
                worker.worn = True
                log.info("the application %s: %s is replaced, as %s", spec.name, worker, why)
        concurrency = max((worker.concurrency for worker in self.serving), default=0)
        self._scale.look(now, work._replace(cpu=cpu / seconds), concurrency)
        self._fit(now)

    def tick(self, now: float) -> None:
        """Do what is due."""
        for worker in self.workers:
            if worker.kill_at is not None and now >= worker.kill_at:
                worker.kill_at = None
                if worker.state is State.STARTING:
                    worker.failure = f"it was not ready within {now - worker.started:.1f} s"
                worker.process.kill()
            if worker.speak_at is not None and now >= worker.speak_at:
                worker.speak_at = now + SPEAK_AGAIN
                log.info(
                    "the application %s: %s is still starting after %.0f s",
                    self.spec.name,
                    worker,
                    now - worker.started,
                )
        self._fit(now)

    def drain(self, seconds: float, now: float) -> None:
        """No further workers; those that there are finish within `seconds`."""
        self._closing = True
        for worker in self.workers:
            self._drain(worker, seconds, now)

    def replaced(self) -> None:
        """A reload has put another generation's pool in this one's place."""
        for worker in self.workers:
            if worker.state is not State.DRAINING:
                worker.rows.replaced(Restart.RELOAD)

    def stop(self, now: float) -> None:
        """End at once."""
        self._closing = True
        for worker in self.workers:
            self._dismiss(worker, {"stop": True}, STOP_NOW_TIMEOUT, now)

    # -- what follows

    def _fresh(self) -> list[AppWorker]:
        return [worker for worker in self.workers if worker.state is not State.DRAINING and not worker.worn]

    def _fit(self, now: float) -> None:
        """As many workers as there should be."""
        if self._closing or self._opening:
            return
        missing = self._scale.wanted - len(self._fresh())
        if now >= self._due:
            for _ in range(missing):
                if not self._start_again(now):
                    break
        ready = [worker for worker in self._fresh() if worker.state is State.SERVING]
        surplus = ready[self._scale.wanted :]
        if len(ready) >= self._scale.wanted:
            worn = [worker for worker in self.serving if worker.worn]
            for worker in worn:
                worker.rows.replaced(Restart.RECYCLED)
            surplus += worn
        for worker in surplus:
            self._host.leaves(self, worker)
            self._drain(worker, self.spec.drain_timeout, now)

    def _start_again(self, now: float) -> bool:
        try:
            self._start(now)
        except (OSError, BoardFull) as error:
            self._delay = restart_delay(self._delay, 0)
            self._due = now + self._delay
            log.error("the application %s: cannot start a worker: %s", self.spec.name, error)
            return False
        return True

    def _start(self, now: float) -> None:
        worker = self._host.start(self, now)
        worker.limit = request_limit(self.spec.max_requests, worker.number)
        worker.kill_at = now + self.spec.start_timeout + BOOT
        worker.speak_at = now + SPEAK_AFTER
        self.workers.append(worker)

    def _drain(self, worker: AppWorker, seconds: float, now: float) -> None:
        if worker.state is not State.STARTING:
            self._dismiss(worker, {"drain": seconds}, seconds + GRACE, now)
            return
        worker.process.signal(signal.SIGTERM)  # it may be too busy with its start to hear
        self._dismiss(worker, {"stop": True}, STOP_NOW_TIMEOUT, now)

    def _dismiss(self, worker: AppWorker, message: dict[str, Any], timeout: float, now: float) -> None:
        worker.process.send(message)
        # A start time-out that still runs does not matter any more, an earlier dismissal does.
        before = worker.kill_at if worker.state is State.DRAINING else None
        worker.kill_at = now + timeout if before is None else min(before, now + timeout)
        worker.speak_at = None
        self._enter(worker, State.DRAINING)

    @staticmethod
    def _enter(worker: AppWorker, state: State) -> None:
        worker.state = state
        worker.rows.state(state)
