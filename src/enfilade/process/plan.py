"""What the supervisor is told to do: one configuration, compiled, as it sees it.

`serve(make_plan)` calls `make_plan(board)` in the supervisor at the start and at each reload. It may read files, make TLS
contexts and take rows of the board; it imports no user code (that is the workers' part), so a reload sees new code. Whatever
it raises is a bad configuration: at the start it is the end, at a reload everything stays as it was.

A plan has *crews*: workers that do the same. The edge workers are one, the workers of each stream with a handler another. They
are all bound for, forked, watched, reloaded and drained alike; only applications are linked with edge workers alone.

`Crew.run` is the worker. What it must do, in this order:

1. make its event loop, call `control.attach(loop)` (without a loop: `control.attach_signals()`), and start the applications,
   each after `control.starts(index)`;
2. register `control.on_drain` and `control.on_stop_now`;
3. when it can serve: `sock.listen(backlog)` on each of its sockets (they are bound, but new ones do not listen yet, so that no
   connection waits for a worker that may never come; listening twice does no harm), accept, and call `control.ready()`;
4. on drain: accept on each socket until it would block, *then close it* (a socket that the new configuration has no more
   use for ends with this close, and whatever waits in its queue would be reset); finish what is in flight; return.
   On stop now: return at once.

Returning is exit 0. An exception before `ready` is why the start (or the reload) failed: the supervisor reports its text.
`StartError` is for what a person can mend (an application that cannot be imported); any other leaves a traceback in the log.

Applications that run in processes of their own are no part of `run`: the supervisor starts them (process/apps.py), and
tells each worker by `control.links` where they are.

    serve(make_plan: Callable[[Board], Plan], *, watch: Sequence[str] = (),
          on_start: Callable[[Mapping[ListenSpec, list[str]]], None] = ...) -> int

runs until it is told to stop and returns the exit code. `on_start` gets the real addresses once the first workers serve.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from enfilade.process.app_rows import AppRows
from enfilade.process.board import Board, Column
from enfilade.process.control import Control
from enfilade.process.nft import Handover
from enfilade.process.privileges import Identity
from enfilade.process.shared import Shared
from enfilade.process.sockets import ListenSpec

Sockets = Mapping[ListenSpec, Sequence[socket.socket]]
"""A worker's sockets, all non-blocking. A listener has several where its name has several addresses (":80": IPv4 and IPv6),
and where this worker looks after the slots of workers that are no more."""


class StartError(Exception):
    """This worker cannot start; the text says why and needs no traceback."""


EDGE = "edge"
"""The crew of the edge workers."""


@dataclass(frozen=True)
class Crew:
    """Workers that do the same, one a slot.

    - `name`: EDGE, or "streams.NAME" for those of a stream.
    - `listeners`: what they listen on; no other crew does. `workers`: how many; 0 where nobody needs them.
    - `run`: in the worker: serve until `control` says drain. `control.slot` counts within the crew.
    - `start_timeout`: seconds in which one must be ready. `steps`: what it starts, one after the other, and announces by
      `control.starts`: to tell people who wait.
    """

    name: str
    listeners: Sequence[ListenSpec]
    workers: int
    run: Callable[[Sockets, Column, Control], None]
    start_timeout: float
    steps: Sequence[str] = ()

    def member(self, pid: int, slot: int) -> str:
        """What the log calls one of them."""
        return f"worker {pid} (slot {slot})" if self.name == EDGE else f"worker {pid} of {self.name} (slot {slot})"


@dataclass(frozen=True)
class AppSpec:
    """An application in processes of its own. 0 is no limit throughout.

    - `command`: the program of its processes, to which the number of a descriptor is added: its channel (process/channel.py).
      `start`: what it is told first.
    - `env`: variables beside the supervisor's. `identity`: whom it runs as; None: as the supervisor.
    - `memory`: bytes of address space, `files`: descriptors (setrlimit(2)).
    - `minimum`, `maximum`: how many processes. `idle_stop`: seconds without a request after which there are none.
    - `max_requests`, `max_memory` (bytes, resident): when one is replaced by another.
    - `purges`: memory with what is purged from the cache (cache/purges.py); None: there is no cache.
    - `start_timeout`: seconds in which one must be ready. `drain_timeout`: seconds that it may take to finish.
    """

    name: str
    command: Sequence[str]
    start: Mapping[str, object]
    rows: AppRows
    start_timeout: float
    drain_timeout: float
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    identity: Identity | None = None
    memory: int = 0
    files: int = 0
    minimum: int = 1
    maximum: int = 1
    max_requests: int = 0
    max_memory: int = 0
    idle_stop: float = 0.0
    purges: Shared | None = None


class Plan(Protocol):
    @property
    def apps(self) -> Sequence[AppSpec]:
        """What runs in processes of its own."""

    @property
    def crews(self) -> Sequence[Crew]:
        """Who does the work."""

    @property
    def drain_timeout(self) -> float:
        """Seconds that a worker may take to finish; a little later it is killed."""

    @property
    def pid_file(self) -> str | None:
        """Where the supervisor writes its pid, at the start."""

    @property
    def handover(self) -> Handover | None:
        """What nftables is told: by the supervisor, which keeps the right to."""

    @property
    def identity(self) -> Identity | None:
        """Whom the workers run as; None: as the supervisor."""


def workers_of(plan: Plan) -> dict[ListenSpec, int]:
    """Every listener, and how many workers it has."""
    return {spec: crew.workers for crew in plan.crews for spec in crew.listeners}


MakePlan = Callable[[Board], Plan]
