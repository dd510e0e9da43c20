"""What is measured, with how many descriptors, and what handlers are told to do."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from time import thread_time

import pytest
from tests.measure.figures import measurement, sample

from enfilade.measure import models
from enfilade.measure.models import TooMany, environment, make_room, plan
from enfilade.measure.samples import Work, read, write
from enfilade.measure.work import ROUNDS, SECONDS, rounds_for, turn
from enfilade.models.handler import Kind, load
from enfilade.models.table import MODELS


def test_each_model_is_measured_with_each_number_of_clients() -> None:
    rows = plan(list(MODELS), [1, 10], Work("none"), "tcp")
    assert [(row.model, row.clients) for row in rows] == [(name, clients) for clients in (1, 10) for name in MODELS]
    assert str(rows[0]) == "single, 1 client" and str(rows[-1]) == "uvloop_streams, 10 clients"


def test_where_handlers_wait_event_loops_are_also_measured_with_one_that_awaits() -> None:
    rows = plan(list(MODELS), [10], Work("io", 0.005), "tcp")
    loops = [name for name in MODELS if name.startswith(("asyncio", "uvloop"))]
    assert [row.model for row in rows if row.awaited] == loops
    assert len(rows) == len(MODELS) + len(loops)
    assert str(next(row for row in rows if row.awaited)) == "asyncio_protocol (await), 10 clients"


def test_models_without_udp_are_left_out_there() -> None:
    assert {row.model for row in plan(list(MODELS), [1], Work("none"), "udp")} == {n for n in MODELS if MODELS[n].udp}


@pytest.mark.parametrize("handler", ["nothing", "wait", "wait_awaited", "compute"])
def test_handlers_are_requests_of_a_line_that_is_answered_with_itself(handler: str) -> None:
    found = load(f"enfilade.measure.work:{handler}")
    assert found.kind is (Kind.ASYNC_REQUEST if handler == "wait_awaited" else Kind.REQUEST)
    assert found.framing is not None
    assert found.framing.cut(b"line\n", 100) == ([b"line"], b"") and found.framing.wrap(b"line") == b"line\n"
    if found.kind is Kind.REQUEST:
        assert found.function(b"line") == b"line"


def test_handlers_are_told_how_long_to_wait_or_how_much_to_compute() -> None:
    assert environment(Work("io", 0.005)) == {SECONDS: "0.005", ROUNDS: "0"}
    told = environment(Work("cpu", 0.001))
    assert int(told[ROUNDS]) > 100


def test_computing_takes_about_as_much_processor_time_as_was_asked_for() -> None:
    rounds = rounds_for(0.02)

    def taken() -> float:
        before = thread_time()
        turn(rounds)
        return thread_time() - before

    assert 0.01 < min(taken() for _ in range(5)) < 0.04


@pytest.fixture
def descriptors() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("descriptors")
def test_there_is_made_room_for_descriptors() -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    make_room(50)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 200
    make_room(500)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 500 + models.SPARE


def test_more_clients_than_there_may_be_descriptors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    with pytest.raises(TooMany, match=r"5000 clients need 5100 descriptors, and there may be 4096"):
        make_room(5000)


def test_a_measurement_is_kept_as_json() -> None:
    found = measurement(sample("epoll", errors={"reset": 1}), sample("fork", problem="no"), kind="io", seconds=0.005)
    assert read(write(found)) == found
    assert str(found.work) == "io:5ms" and str(measurement().work) == "none"
