"""Who is there: rows of the board in which every process says what it is, so that any of them can show all."""

from __future__ import annotations

import os
import time
from collections.abc import Collection
from operator import itemgetter
from typing import TypedDict

from enfilade.process.app_rows import AppStatus, read_apps
from enfilade.process.board import SUPERVISOR, Board, Column
from enfilade.process.control import State
from enfilade.process.plan import EDGE

_PID, _CREW, _SLOT, _GENERATION, _STATE, _STARTED, _RESTARTS, _SIZE = range(8)
_WORKERS = "enfilade_workers"


class WorkerStatus(TypedDict):
    """`crew`: its name; "" if it came after whoever looks was forked."""

    pid: int
    crew: str
    slot: int
    generation: int
    state: str
    started: float
    restarts: int


class ReloadStatus(TypedDict):
    """`asked`: how often one was asked for. `answered`: how many of these have their outcome. `refused`: that of the last."""

    asked: int
    answered: int
    refused: bool


class Status(TypedDict):
    """`started` in seconds since 1970. `restarts` of a worker: how often its slot was filled again in its generation."""

    pid: int
    generation: int
    started: float
    restarts: int
    reloads: int
    reloads_refused: int
    reload: ReloadStatus
    workers: list[WorkerStatus]
    apps: list[AppStatus]


class StatusRows:
    """The rows, and who writes what in them. The single ones are metrics as well (observe/metrics.py)."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self.process = board.rows("process", size=_SIZE, gauge=True)
        self.crew(EDGE)  # the first, and so the first that is shown
        self.generation = board.rows("enfilade_generation", gauge=True)
        self.started = board.rows("enfilade_start_time_seconds", gauge=True)
        self.restarts = board.rows("enfilade_worker_restarts_total")
        self.reloads = board.rows("enfilade_reloads_total", (("result", "done"),))
        self.refused = board.rows("enfilade_reloads_total", (("result", "refused"),))
        self._reload = board.rows("reload", size=3, gauge=True)

    def crew(self, name: str) -> int:
        """The row in which a crew counts its workers, and the number that it is known by. Taken in the supervisor, before
        the first worker of its generation is forked. Raises BoardFull."""
        return self._board.rows(_WORKERS, (("crew", name),), gauge=True)

    def worker_born(self, column: Column, crew: str, slot: int, generation: int, restarts: int) -> None:
        """In the worker, first of all."""
        facts = (
            os.getpid(),
            self.crew(crew),
            slot,
            generation,
            State.STARTING.value,
            int(time.time() * 1000),
            restarts,
        )
        for row, value in enumerate(facts, self.process):
            column.cells[row] = value

    def worker_state(self, column: Column, state: State) -> None:
        """In the worker, at each change."""
        column.cells[self.process + _STATE] = state.value
        column.cells[column.cells[self.process + _CREW]] = int(state is State.SERVING)

    def supervisor_born(self, column: Column) -> None:
        column.cells[self.process + _PID] = os.getpid()
        column.cells[self.process + _STARTED] = int(time.time() * 1000)
        column.cells[self.started] = int(time.time())

    def reload_asked(self, column: Column) -> None:
        """Once more."""
        column.cells[self._reload] += 1

    def reload_answered(self, column: Column, asked: int, refused: bool) -> None:
        """All that was asked for up to `asked` has its outcome."""
        column.cells[self._reload + 2] = refused
        column.cells[self._reload + 1] = asked

    def read_reload(self, column: Column) -> ReloadStatus:
        asked, answered, refused = column.cells[self._reload : self._reload + 3]
        return ReloadStatus(asked=asked, answered=answered, refused=bool(refused))


def read_status(board: Board, apps: Collection[str] = ()) -> Status:
    """Everything that is known of the processes, and of applications with these names even if they have none; any of them may
    ask. Ready for JSON."""
    rows = StatusRows(board)
    facts = [column.cells[rows.process : rows.process + _SIZE].tolist() for column in board.columns()]
    supervisor = facts[SUPERVISOR]
    workers = [fact for fact in facts[SUPERVISOR + 1 :] if fact[_PID]]
    crews = {block.first: dict(block.labels)["crew"] for block in board.blocks() if block.name == _WORKERS}
    return Status(
        pid=supervisor[_PID],
        generation=board.total(rows.generation),
        started=supervisor[_STARTED] / 1000,
        restarts=board.total(rows.restarts),
        reloads=board.total(rows.reloads),
        reloads_refused=board.total(rows.refused),
        reload=rows.read_reload(board.columns()[SUPERVISOR]),
        workers=[
            _worker(fact, crews.get(fact[_CREW], ""))
            for fact in sorted(workers, key=itemgetter(_GENERATION, _CREW, _SLOT))
        ],
        apps=read_apps(board, apps),
    )


def reload_outcome(before: ReloadStatus, now: ReloadStatus) -> bool | None:
    """Whether the reload was done that was asked for after `before`; None: that is not known yet. One that was in progress then
    may have read the files before their last change: its outcome says nothing."""
    if now["asked"] == before["asked"] or now["answered"] < now["asked"]:
        return None
    return not now["refused"]


def is_worker(board: Board, pid: int) -> bool:
    """Whether a worker with this `pid` lives; it is not said of one that the supervisor has buried."""
    row = StatusRows(board).process + _PID
    return any(column.cells[row] == pid for column in board.columns()[SUPERVISOR + 1 :])


def _worker(fact: list[int], crew: str) -> WorkerStatus:
    return WorkerStatus(
        pid=fact[_PID],
        crew=crew,
        slot=fact[_SLOT],
        generation=fact[_GENERATION],
        state=State(fact[_STATE]).name.lower(),
        started=fact[_STARTED] / 1000,
        restarts=fact[_RESTARTS],
    )
