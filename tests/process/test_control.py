"""The worker's end of the line: what its supervisor, a signal, or the supervisor's death makes it do."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator

import pytest

from enfilade.process.channel import Channel
from enfilade.process.control import DRAINING, READY, Control, Order, State
from enfilade.process.links import Links


@pytest.fixture
def channel() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    ours.settimeout(5)
    with ours, theirs:
        yield ours, theirs


def obeys(ends: tuple[socket.socket, socket.socket], *deeds: Callable[[], object]) -> list[object]:
    """What a worker went through while the deeds were done, one after the other."""
    supervisor, worker = ends
    happened: list[object] = []

    async def main() -> None:
        control = Control(worker, Links(Channel(worker)), 0, 1, 0.0, happened.append)
        loop = asyncio.get_running_loop()
        control.attach(loop)
        control.on_drain(lambda: happened.append("drain"))
        control.on_stop_now(lambda: happened.append("stop now"))
        control.on_reopen_logs(lambda: happened.append("reopen"))
        control.ready()
        assert supervisor.recv(1) == READY
        for deed in deeds:
            deed()
            await asyncio.sleep(0)
            await asyncio.sleep(0.001)  # one look at the selector
        loop.remove_reader(worker.fileno())
        for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGUSR1):
            loop.remove_signal_handler(number)

    asyncio.run(main())
    return happened


START = [State.STARTING, State.SERVING]


def test_orders_call_back_once(channel: tuple[socket.socket, socket.socket]) -> None:
    drain, reopen, stop = (
        lambda o=o: channel[0].send(o.value) for o in (Order.DRAIN, Order.REOPEN_LOGS, Order.STOP_NOW)
    )
    happened = obeys(channel, drain, drain, reopen, reopen, stop)
    assert happened == [*START, State.DRAINING, "drain", "reopen", "reopen", State.DRAINING, "stop now"]


def test_the_death_of_the_supervisor_is_a_drain_and_then_a_stop(channel: tuple[socket.socket, socket.socket]) -> None:
    happened = obeys(channel, channel[0].close)
    assert happened == [*START, State.DRAINING, "drain", State.DRAINING, "stop now"]


def test_sigterm_drains_and_tells_the_supervisor(channel: tuple[socket.socket, socket.socket]) -> None:
    happened = obeys(channel, *[lambda: os.kill(os.getpid(), signal.SIGTERM)] * 2)
    assert happened == [*START, State.DRAINING, "drain"]
    assert channel[0].recv(10) == DRAINING


def test_a_callback_that_comes_late_is_called_at_once(channel: tuple[socket.socket, socket.socket]) -> None:
    control = Control(channel[1], Links(Channel(channel[1])), 0, 1, 5.0, lambda state: None)
    control._obey(Order.DRAIN)
    called = []
    control.on_drain(lambda: called.append("drain"))
    assert called == ["drain"]
