"""The rows of the board about one application: what the edges have for it, and which processes run it.

A worker of an application has no column: the edges count what they send it, by its slot, and the supervisor says what it is.
A slot belongs to one process at a time, over all generations; its counters go on with the next process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from typing import NamedTuple, TypedDict

from enfilade.process.board import Board, Column
from enfilade.process.control import State

SLOTS = 128
"""Processes of one application at once, those that still drain included."""


class Restart(Enum):
    """Why a process took the place of another. DIED: that one had ended by itself. RECYCLED: it had served its time
    (`max_requests`, `max_memory`). RELOAD: so had its whole generation."""

    DIED = "died"
    RECYCLED = "recycled"
    RELOAD = "reload"


_RESTARTS = tuple(Restart)
_PID, _GENERATION, _STATE, _STARTED, _BASE, _MEMORY, _SIZE = range(7)


class AppRows(NamedTuple):
    """First rows of what edges count: `queue` (a gauge), `in_flight` (a gauge for each slot), `requests` (a counter for each
    slot); and what the supervisor writes: `workers`, and `restarts` by cause."""

    queue: int
    in_flight: int
    requests: int
    workers: int
    restarts: int


class AppWorkerStatus(TypedDict):
    """`started` in seconds since 1970, `memory` in bytes, resident."""

    slot: int
    pid: int
    generation: int
    state: str
    started: float
    requests: int
    in_flight: int
    memory: int


class AppStatus(TypedDict):
    """`requests` and `restarts` (by cause) since the server started, `workers` as there are now."""

    app: str
    queue: int
    in_flight: int
    requests: int
    restarts: dict[str, int]
    workers: list[AppWorkerStatus]


def register_app(board: Board, name: str) -> AppRows:
    """Raises BoardFull."""
    labels = (("app", name),)
    return AppRows(
        board.rows("app_queue", labels, gauge=True),
        board.rows("app_in_flight", labels, SLOTS, gauge=True),
        board.rows("app_requests", labels, SLOTS),
        board.rows("app_workers", labels, SLOTS * _SIZE, gauge=True),
        board.rows("app_restarts", labels, len(_RESTARTS)),
    )


class SlotRows:
    """What the supervisor writes about the process in one slot. `base`: the requests of those before it."""

    def __init__(self, column: Column, rows: AppRows, slot: int, base: int) -> None:
        first = rows.workers + slot * _SIZE
        self._cells = column.cells[first : first + _SIZE]
        self._restarts = column.cells[rows.restarts : rows.restarts + len(_RESTARTS)]
        self.base = base

    def born(self, pid: int, generation: int) -> None:
        facts = (pid, generation, State.STARTING.value, int(time.time() * 1000), self.base, 0)
        for row, value in enumerate(facts):
            self._cells[row] = value

    def state(self, state: State) -> None:
        self._cells[_STATE] = state.value

    def memory(self, size: int) -> None:
        self._cells[_MEMORY] = size

    def gone(self) -> None:
        self._cells[_PID] = 0

    def replaced(self, why: Restart) -> None:
        """Another process takes over."""
        self._restarts[_RESTARTS.index(why)] += 1


def read_apps(board: Board, names: Collection[str] = ()) -> list[AppStatus]:
    """Every application that has processes, and those called `names` even if they have none."""
    found = [_app(board, block.labels[0][1]) for block in board.blocks() if block.name == "app_workers"]
    return [app for app in found if app["workers"] or app["app"] in names]


def _app(board: Board, name: str) -> AppStatus:
    rows = register_app(board, name)
    in_flight = board.totals(rows.in_flight, SLOTS)
    requests = board.totals(rows.requests, SLOTS)
    restarts = board.totals(rows.restarts, len(_RESTARTS))
    return AppStatus(
        app=name,
        queue=board.total(rows.queue),
        in_flight=sum(in_flight),
        requests=sum(requests),
        restarts={cause.value: count for cause, count in zip(_RESTARTS, restarts, strict=True)},
        workers=list(_workers(board.supervisor.cells, rows, in_flight, requests)),
    )


def _workers(
    cells: memoryview[int], rows: AppRows, in_flight: Sequence[int], requests: Sequence[int]
) -> Iterator[AppWorkerStatus]:
    for slot in range(SLOTS):
        first = rows.workers + slot * _SIZE
        fact = cells[first : first + _SIZE].tolist()
        if fact[_PID]:
            yield AppWorkerStatus(
                slot=slot,
                pid=fact[_PID],
                generation=fact[_GENERATION],
                state=State(fact[_STATE]).name.lower(),
                started=fact[_STARTED] / 1000,
                requests=requests[slot] - fact[_BASE],
                in_flight=in_flight[slot],
                memory=fact[_MEMORY],
            )


# -- what the system knows of a process (Linux; elsewhere nothing)


def memory_of(pid: int) -> int:
    """Bytes of memory that it uses, resident; 0 if it cannot be known."""
    fields = _proc(pid, "statm")
    return int(fields[1]) * os.sysconf("SC_PAGESIZE") if len(fields) > 1 else 0


def cpu_of(pid: int) -> float:
    """Seconds of processor that it has used; 0 if it cannot be known."""
    fields = _proc(pid, "stat")
    # utime and stime: counted from behind the name, which may have spaces in it
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK") if len(fields) > 12 else 0.0


def _proc(pid: int, name: str) -> Sequence[str]:
    try:
        with open(f"/proc/{pid}/{name}") as file:
            return file.read().rpartition(")")[2].split()
    except OSError:
        return ()
