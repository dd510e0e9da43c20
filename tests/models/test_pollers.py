"""The ways to ask the system who is ready: each says the same of a descriptor."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator

import pytest

from enfilade.models.epoll import Epoll
from enfilade.models.handler import load
from enfilade.models.poll import Poll
from enfilade.models.readiness import READABLE, WRITABLE, Poller
from enfilade.models.select import Select
from enfilade.models.table import Misfit, model_for

PATIENCE = 20.0


@pytest.fixture(params=[Select, Poll, Epoll])
def poller(request: pytest.FixtureRequest) -> Iterator[Poller]:
    poller: Poller = request.param()
    yield poller
    poller.close()


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


def test_nobody_is_ready(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    poller.watch(pair[0].fileno(), READABLE)
    assert poller.wait(0) == []


def test_who_has_something_to_read_is_ready_until_it_is_read(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    here, there = pair
    poller.watch(here.fileno(), READABLE)
    there.send(b"a")
    assert poller.wait(PATIENCE) == poller.wait(0) == [(here.fileno(), READABLE)]
    here.recv(1)
    assert poller.wait(0) == []


def test_who_can_be_written_to_and_read_from_is_told_once(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    here, there = pair
    poller.watch(here.fileno(), READABLE | WRITABLE)
    there.send(b"a")
    assert poller.wait(PATIENCE) == [(here.fileno(), READABLE | WRITABLE)]


def test_what_is_waited_for_can_be_changed(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    there.send(b"a")
    poller.watch(here.fileno(), READABLE)
    poller.watch(here.fileno(), WRITABLE)
    assert poller.wait(PATIENCE) == [(here.fileno(), WRITABLE)]
    poller.watch(here.fileno(), READABLE)
    assert poller.wait(PATIENCE) == [(here.fileno(), READABLE)]


def test_who_is_forgotten_is_ready_no_more_and_may_come_back(
    poller: Poller, pair: tuple[socket.socket, socket.socket]
) -> None:
    here, there = pair
    there.send(b"a")
    poller.watch(here.fileno(), READABLE)
    poller.forget(here.fileno())
    assert poller.wait(0) == []
    poller.watch(here.fileno(), READABLE)
    assert poller.wait(PATIENCE) == [(here.fileno(), READABLE)]


def test_the_end_is_ready_to_be_read(poller: Poller, pair: tuple[socket.socket, socket.socket]) -> None:
    here, there = pair
    poller.watch(here.fileno(), READABLE)
    there.close()
    [(fd, events)] = poller.wait(PATIENCE)
    assert fd == here.fileno() and events & READABLE


def test_select_alone_has_a_highest_descriptor() -> None:
    assert (Select.most, Poll.most, Epoll.most) == (1024, 0, 0)


def test_what_the_system_does_not_have_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(select, "epoll")
    with pytest.raises(
        Misfit, match=r"echo: the model epoll needs the call of that name, which this system does not have"
    ):
        model_for(load("echo"), "epoll", udp=False)
