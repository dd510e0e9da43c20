"""What the figures of `bench app` are taken to say, on figures that are made up."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.measure.app_reading import reading
from enfilade.measure.app_report import lines, page
from enfilade.measure.app_rows import About, Result, Row, Waits, read
from enfilade.measure.samples import Machine, write

MACHINE = Machine(cores=2, processor="made up", system="Linux", python="CPython 3.11.2", date="2026-11-22")
ABOUT = About(fastapi="0.165.0", threads=40, executor=6)


def row(route: str, rate: float, **other: Any) -> Row:
    """Two seconds of it, inline with one worker, whose probes waited a millisecond."""
    facts: dict[str, Any] = {
        "mode": "inline", "workers": 1, "seconds": 2.0, "p50": 0.02, "p99": 0.05, "done": int(rate * 2),
        "ping": Waits(p50=0.001, worst=0.004), "beside": Waits(p50=0.001, worst=0.004),
        "cpu": 1.0, "load_cpu": 0.5, "memory": 60_000_000, "threads": 2, "processes": 2,
    }  # fmt: skip
    return Row(route=route, answers=int(rate * 2), **{**facts, **other})


def result(*rows: Row, clients: int = 50) -> Result:
    return Result(clients=clients, machine=MACHINE, about=ABOUT, rows=list(rows))


def said(*rows: Row, clients: int = 50) -> str:
    """All that is said of them, but for the conditions."""
    return "\n".join(reading(result(*rows, clients=clients))[1:])


SLOW = Waits(p50=0.5, worst=1.0)


@pytest.mark.parametrize(
    ("measured", "clients", "expected"),
    [
        (row("wait/blocking", 48), 50, "48 requests a second: one at a time in each worker"),
        (row("wait/blocking", 48), 50, "1 / 20 ms = 50 at most"),
        (row("wait/blocking", 96, workers=2), 50, "2 / 20 ms = 100 at most"),
        (row("compute/blocking", 190), 50, "1 / 5 ms = 200 at most"),
        (row("wait/def", 1_950), 100, "40 at once, which is all threads of FastAPI's pool"),
        (row("wait/to_thread", 290), 50, "6 at once, which is all threads of the executor"),
        (row("wait/to_thread", 580, workers=2), 50, "12 at once"),
        (row("wait/await", 960), 20, "all 20 clients were served at once"),
        (row("wait/def", 960), 20, "all 20 clients were served at once"),
        (row("wait/await", 1_000, cpu=1.9), 50, "0.95 ms of processor time each, which kept 0.9 of 2 cores busy; a worker"),
        (row("wait/await", 1_000, cpu=1.6, load_cpu=2.0), 50, "and the clients 1.0: the machine has no more"),
        (row("wait/await", 1_000, cpu=1.9, mode="isolated"), 50, "kept 0.9 of 2 cores busy. /ping"),
        (row("wait/await", 1_000), 50, "kept 0.5 of 2 cores busy. /ping"),
        (row("wait/def", 900, ping=Waits(p50=0.003, worst=0.05)), 50, "/ping waited 3 ms, at worst 50 ms."),
    ],
)  # fmt: skip
def test_what_held_a_way_back(measured: Row, clients: int, expected: str) -> None:
    assert expected in said(measured, clients=clients)


def test_a_pool_that_was_not_full_is_not_blamed() -> None:
    """Neither where it is half empty, nor where there are fewer clients than threads, so that nobody knows."""
    assert "FastAPI's pool" not in said(row("wait/def", 1_000))
    assert "FastAPI's pool" not in said(row("wait/def", 960), clients=20)
    assert "one at a time" not in said(row("wait/blocking", 20))


def test_work_that_is_left_over() -> None:
    late = said(row("wait/background_def", 3_000, done=1_600))
    assert (
        "3,000 requests a second were answered, but only 800 pieces of work a second done: 4,400 were left over after 2.0 s"
        in late
    )
    assert "the work after the answers kept up with them" in said(row("wait/background_async", 3_000, done=5_900))


def test_what_a_missing_await_costs() -> None:
    pair = row("wait/await", 2_000), row("wait/blocking", 50, ping=SLOW)
    assert "let 40 times as many requests through, and others (/ping) waited 1 ms instead of 500 ms" in said(*pair)
    assert "Awaited" not in said(row("wait/await", 60), row("wait/blocking", 50))


def test_threads_do_not_compute_more() -> None:
    rows = row("compute/def", 150, ping=Waits(p50=0.04, worst=0.1)), row("compute/blocking", 190, ping=SLOW)
    assert "Computing is 150 to 190 pieces of work a second, however it is written" in said(*rows)
    assert "Others wait 40 ms for what computes in def, as threads take turns, and 500 ms" in said(*rows)


def test_an_interpreter_without_that_lock_is_not_said_to_have_it() -> None:
    assert "GIL" not in said(row("compute/def", 390), row("compute/blocking", 190))


def test_what_isolation_is_good_for_and_costs() -> None:
    rows = [
        row("wait/await", 2_000), row("wait/await", 1_800, mode="isolated", memory=75_000_000),
        row("wait/blocking", 50, beside=SLOW), row("wait/blocking", 50, mode="isolated"),
    ]  # fmt: skip
    assert (
        "waited 500 ms while that ran inline, 1 ms while it ran isolated (waiting 20 ms, async def, blocking call, 1 worker)"
        in said(*rows)
    )
    assert "1,800 requests a second instead of 2,000, 75 MB instead of 60 MB" in said(*rows)
    assert "has no part in" not in said(*rows[:2])


def test_what_more_workers_are_good_for() -> None:
    rows = [
        row("wait/blocking", 50),
        row("wait/blocking", 100, workers=2),
        row("wait/await", 2_400),
        row("wait/await", 2_400, workers=2),
    ]
    found = said(*rows)
    assert (
        "2 workers instead of 1, inline, times as many requests: 2.0 (waiting 20 ms, async def, blocking call)."
        in found
    )
    assert "instead of 1, isolated" not in found


def test_the_conditions_name_the_place() -> None:
    first, *_ = reading(result(row("wait/def", 900, workers=2, mode="isolated"), row("wait/def", 900, mode="isolated")))
    assert first.startswith("50 clients") and first.endswith("Where nothing else is said: isolated, 1 worker.")


def test_tables_for_terminals_and_pages() -> None:
    whole = result(row("wait/def", 900), row("compute/blocking", 190, ping=SLOW, mode="isolated"))
    shown = "\n".join(lines(whole))
    assert "waiting 20 ms for somebody else, inline, 50 clients" in shown
    assert "computing for 5 ms, isolated, 50 clients" in shown
    assert "waiting 20 ms for somebody else, isolated" not in shown
    head, _, only = page(whole, "compute", "isolated")
    cells = dict(zip(head.split(" | "), only.split(" | "), strict=True))
    assert only.startswith("| async def | 1 | 190 |")
    assert (cells["/ping p50"], cells["worst"], cells["memory"]) == ("500 ms", "1,000 ms", "60 MB")


def test_what_is_kept_is_read_again() -> None:
    whole = result(row("wait/def", 900))
    assert read(write(whole)) == whole
