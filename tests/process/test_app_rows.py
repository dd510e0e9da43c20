"""What the board says of an application's processes: the edges count, the supervisor says what there is."""

from __future__ import annotations

import os

from enfilade.process.app_rows import Restart, SlotRows, cpu_of, memory_of, read_apps, register_app
from enfilade.process.board import Board
from enfilade.process.control import State


def test_counts_of_all_edges_are_added_and_those_of_an_earlier_process_left_out() -> None:
    board = Board(rows=4096, columns=3)
    rows = register_app(board, "shop")
    assert read_apps(board) == []
    edges = [board.claim(), board.claim()]
    for edge in edges:
        edge.cells[rows.requests + 5] += 10
    slot = SlotRows(board.supervisor, rows, 5, base=board.total(rows.requests + 5))
    slot.born(4711, 2)
    for edge in edges:
        edge.cells[rows.requests + 5] += 3
        edge.cells[rows.in_flight + 5] += 1
    slot.state(State.SERVING)
    slot.memory(1 << 20)
    (status,) = read_apps(board)
    (worker,) = status.pop("workers")  # type: ignore[misc]
    assert worker.pop("started") > 0
    assert worker == {
        "slot": 5, "pid": 4711, "generation": 2, "state": "serving", "requests": 6, "in_flight": 2, "memory": 1 << 20,
    }  # fmt: skip
    restarts = {"died": 0, "recycled": 0, "reload": 0}
    assert status == {"app": "shop", "queue": 0, "in_flight": 2, "requests": 26, "restarts": restarts}
    slot.gone()
    assert read_apps(board) == []


def test_an_application_without_processes_is_shown_if_it_is_asked_for() -> None:
    """One that a reload has taken out of the configuration is gone with its last process."""
    board = Board(rows=4096, columns=2)
    for name in ("shop", "blog"):
        register_app(board, name)
    (shop,) = read_apps(board, ["shop"])
    assert (shop["app"], shop["workers"]) == ("shop", [])


def test_restarts_are_counted_by_cause_over_all_slots() -> None:
    board = Board(rows=4096, columns=2)
    rows = register_app(board, "shop")
    for slot, causes in ((0, [Restart.DIED, Restart.RELOAD]), (1, [Restart.DIED, Restart.RECYCLED])):
        for cause in causes:
            SlotRows(board.supervisor, rows, slot, 0).replaced(cause)
    (shop,) = read_apps(board, ["shop"])
    assert shop["restarts"] == {"died": 2, "recycled": 1, "reload": 1}


def test_applications_have_rows_of_their_own_and_the_same_again_after_a_reload() -> None:
    board = Board(rows=4096, columns=2)
    shop, blog = register_app(board, "shop"), register_app(board, "blog")
    assert not set(shop) & set(blog)
    assert register_app(board, "shop") == shop


def test_what_the_system_knows_of_a_process() -> None:
    assert memory_of(os.getpid()) > 1 << 20
    assert cpu_of(os.getpid()) > 0
    gone = os.fork()
    if gone == 0:
        os._exit(0)
    os.waitpid(gone, 0)
    assert (memory_of(gone), cpu_of(gone)) == (0, 0.0)
