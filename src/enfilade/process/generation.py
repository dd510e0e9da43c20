"""A generation: one plan and the workers of its crews, one a slot."""

from __future__ import annotations

from enfilade.process.lifecycle import GRACE
from enfilade.process.plan import Crew, Plan, Sockets
from enfilade.process.sockets import SocketStore
from enfilade.process.worker import Worker


class Slot:
    """A place for one worker, the `index`-th of its crew, and the sockets that go with it. `due`: when it is to be filled
    again."""

    __slots__ = ("crew", "delay", "due", "index", "restarts", "sockets", "worker")

    def __init__(self, crew: Crew, index: int, sockets: Sockets) -> None:
        self.crew = crew
        self.index = index
        self.sockets = sockets
        self.worker: Worker | None = None
        self.due: float | None = None
        self.delay = 0.0
        self.restarts = 0


class Generation:
    """`forked`: its workers were started (before that, its applications are)."""

    __slots__ = ("forked", "number", "plan", "slots")

    def __init__(self, number: int, plan: Plan, store: SocketStore) -> None:
        self.number = number
        self.plan = plan
        self.forked = False
        self.slots = [
            Slot(crew, i, store.of_slot(crew.listeners, i, crew.workers))
            for crew in plan.crews
            for i in range(crew.workers)
        ]

    @property
    def workers(self) -> list[Worker]:
        return [slot.worker for slot in self.slots if slot.worker is not None]

    @property
    def ready(self) -> bool:
        return all(slot.worker is not None and slot.worker.ready for slot in self.slots)

    @property
    def kill_after(self) -> float:
        """Seconds from a drain to SIGKILL."""
        return self.plan.drain_timeout + GRACE
