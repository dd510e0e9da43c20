"""The worker's end of the line: what its supervisor, a signal, or the supervisor's death makes it do."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from tests.process.conftest import PATIENCE

from enfilade.process.channel import Channel
from enfilade.process.control import DRAINING, READY, Control, Order, State
from enfilade.process.links import Links

HOURS = 1e4
"""Seconds that are longer than this process lives: nothing here is to kill it."""

Ends = tuple[socket.socket, socket.socket]
Deed = Callable[[], object]
Obeys = Callable[..., list[object]]


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ends]:
    monkeypatch.setattr("enfilade.process.control.GRACE", HOURS)
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def make_control(worker: socket.socket, happened: list[object]) -> Control:
    control = Control(worker, Links(Channel(worker)), 0, 1, 0.0, happened.append)
    control.on_drain(lambda: happened.append("drain"))
    control.on_stop(lambda: happened.append("stop"))
    control.on_stop_now(lambda: happened.append("stop now"))
    control.on_reopen_logs(lambda: happened.append("reopen"))
    return control


def on_a_loop(ends: Ends, *deeds: Deed) -> list[object]:
    """What a worker with an event loop went through while the deeds were done, one after the other."""
    supervisor, worker = ends
    happened: list[object] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        control = make_control(worker, happened)
        control.attach(loop)
        control.ready()
        assert supervisor.recv(1) == READY
        for deed in deeds:
            deed()
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)  # one look at the selector
        loop.remove_reader(worker.fileno())
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1):
            loop.remove_signal_handler(number)
        control.leave_in_child()

    asyncio.run(main())
    return happened


def by_signals(ends: Ends, *deeds: Deed) -> list[object]:
    """The same for one that has none."""
    supervisor, worker = ends
    happened: list[object] = []
    control = make_control(worker, happened)
    control.attach_signals()
    control.ready()
    assert supervisor.recv(1) == READY
    for deed in deeds:
        deed()  # the system call that sends something ends with the signal that says so
    until = time.monotonic() + PATIENCE
    while supervisor.fileno() < 0 and "stop now" not in happened:  # by a timer
        assert time.monotonic() < until, happened
        time.sleep(0.001)
    control.leave_in_child()
    return happened


both = pytest.mark.parametrize("obeys", [on_a_loop, by_signals])

START = [State.STARTING, State.SERVING]


@both
def test_orders_call_back_once(channel: Ends, obeys: Obeys) -> None:
    drain, reopen, stop = (
        lambda o=o: channel[0].send(o.value) for o in (Order.DRAIN, Order.REOPEN_LOGS, Order.STOP_NOW)
    )
    happened = obeys(channel, drain, drain, reopen, reopen, stop, stop)
    assert happened == [*START, State.DRAINING, "drain", "reopen", "reopen", "stop now"]


@both
def test_a_stop_may_come_in_the_middle_of_a_drain(channel: Ends, obeys: Obeys) -> None:
    drain, stop = (lambda o=o: channel[0].send(o.value) for o in (Order.DRAIN, Order.STOP))
    assert obeys(channel, drain, stop, stop, drain) == [*START, State.DRAINING, "drain", "stop"]


@both
def test_orders_that_come_together_are_all_obeyed(channel: Ends, obeys: Obeys) -> None:
    orders = Order.REOPEN_LOGS.value * 100 + Order.STOP.value + Order.STOP_NOW.value
    happened = obeys(channel, lambda: channel[0].send(orders))
    assert happened == [*START, *["reopen"] * 100, State.DRAINING, "drain", "stop", "stop now"]


@both
def test_the_death_of_the_supervisor_is_a_drain_and_then_a_stop(channel: Ends, obeys: Obeys) -> None:
    happened = obeys(channel, channel[0].close)
    assert happened == [*START, State.DRAINING, "drain", "stop", "stop now"]


@both
def test_sigterm_drains_and_tells_the_supervisor(channel: Ends, obeys: Obeys) -> None:
    happened = obeys(channel, *[lambda: os.kill(os.getpid(), signal.SIGTERM)] * 2)
    assert happened == [*START, State.DRAINING, "drain"]
    assert channel[0].recv(10) == DRAINING


@both
def test_sigquit_stops_and_sigusr1_reopens_the_logs(channel: Ends, obeys: Obeys) -> None:
    numbers = (signal.SIGUSR1, signal.SIGUSR1, signal.SIGQUIT)
    happened = obeys(channel, *[lambda number=number: os.kill(os.getpid(), number) for number in numbers])
    assert happened == [*START, "reopen", "reopen", State.DRAINING, "stop now"]


def test_a_callback_that_comes_late_is_called_at_once(channel: Ends) -> None:
    control = Control(channel[1], Links(Channel(channel[1])), 0, 1, 5.0, lambda state: None)
    control._obey(Order.DRAIN)
    called = []
    control.on_drain(lambda: called.append("drain"))
    assert called == ["drain"]


def test_what_was_said_before_anybody_listened_is_heard(channel: Ends) -> None:
    channel[0].send(Order.DRAIN.value)
    happened: list[object] = []
    control = make_control(channel[1], happened)
    control.attach_signals()
    control.leave_in_child()
    assert happened == [State.STARTING, State.DRAINING, "drain"]


def test_a_callback_that_is_interrupted_by_its_own_order_is_called_once(channel: Ends) -> None:
    happened: list[object] = []
    control = make_control(channel[1], happened)
    control.on_drain(lambda: (happened.append("drain"), os.kill(os.getpid(), signal.SIGTERM)))
    control.attach_signals()
    channel[0].send(Order.DRAIN.value)
    control.leave_in_child()
    assert happened.count("drain") == 1


def test_who_leaves_has_the_signals_as_they_were_and_no_line(channel: Ends) -> None:
    numbers = (signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1, signal.SIGIO)
    before = [signal.getsignal(number) for number in numbers]
    control = make_control(channel[1], [])
    control.attach_signals()
    assert all(signal.getsignal(number) is not was for number, was in zip(numbers, before, strict=True))
    control.leave_in_child()
    assert [signal.getsignal(number) for number in numbers] == before
    assert channel[0].recv(1) == b""
