"""What a model needs of its server, and of the reception, without a whole server."""

from __future__ import annotations

import errno
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from enfilade.http.reasons import Reason
from enfilade.models.blocking import MainTalker, Reception, Talker, arrivals
from enfilade.models.children import Child
from enfilade.models.fork import serve as fork
from enfilade.models.handler import load
from enfilade.models.server import FAREWELL, NO_SOCKET, TICK, Door, Ended, Limits, Server
from enfilade.models.socketserver_forking import serve as socketserver_forking
from enfilade.models.socketserver_threading import serve as socketserver_threading
from enfilade.models.thread import serve as thread


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Recording:
    """A ledger that remembers."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def opened(self) -> None:
        self.told.append("opened")

    def moved(self, received: int, sent: int, requests: int) -> None:
        self.told.append(("moved", received, sent, requests))

    def ended(self, ended: Ended) -> None:
        self.told.append(("ended", ended.why))

    def refused(self, why: Reason) -> None:
        self.told.append(why.name)

    def look(self, now: float) -> None:
        self.told.append("look")


class Scene:
    """A server with one door, of which the test has a copy."""

    def __init__(self, kind: int = socket.SOCK_STREAM) -> None:
        self.clock, self.ledger = Clock(), Recording()
        self.sock = socket.socket(socket.AF_INET, kind)
        self.sock.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            self.sock.listen()
        door = self.sock.dup()
        door.setblocking(False)
        self.server = Server(load("echo"), [Door(door)], Limits(), self.ledger, clock=self.clock)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.sock.getsockname(), 5)

    def close(self) -> None:
        self.sock.close()
        self.server.doors[0].sock.close()
        os.close(self.server._spare)


@pytest.fixture
def scene() -> Iterator[Scene]:
    before = {number: signal.getsignal(number) for number in (signal.SIGALRM, signal.SIGTERM)}
    alarm = signal.getitimer(signal.ITIMER_REAL)  # that of the test runner
    scene = Scene()
    yield scene
    scene.close()
    signal.setitimer(signal.ITIMER_REAL, *alarm)
    for number, handler in before.items():
        signal.signal(number, handler)


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_server_looks_once_a_second_however_many_come(scene: Scene) -> None:
    for _ in range(3):
        scene.server.turn()
    assert scene.ledger.told == []
    scene.clock.now += TICK
    for _ in range(3):
        scene.server.turn()
    assert scene.ledger.told == ["look"]


def test_a_server_that_drains_looks_at_once_and_then_as_before(scene: Scene) -> None:
    """A look goes through all who are there, and they may be there for long."""
    scene.server.drain(60)
    for _ in range(3):
        scene.server.turn()
    assert scene.ledger.told == ["look"]
    scene.clock.now += TICK
    scene.server.turn()
    assert scene.ledger.told == ["look", "look"]


def test_a_turn_does_what_is_due_of_the_end_between_two_looks(scene: Scene) -> None:
    scene.server.drain(TICK / 4)
    scene.server.turn()
    scene.clock.now += TICK / 4
    scene.server.turn()
    assert scene.server.due_in == FAREWELL
    scene.clock.now += FAREWELL
    assert not scene.server.aborted
    scene.server.turn()
    assert scene.server.aborted


def test_the_farewell_begins_when_all_have_been_told(scene: Scene) -> None:
    """Thousands are not told in no time, and then each still has as long as the others; once: who says it again does not put
    off the end."""

    class Late(Talker):
        def dismiss(self) -> None:
            scene.clock.now += FAREWELL

    with scene.connect(), scene.connect():
        connections = [scene.server.take(scene.server.doors[0], Late) for _ in range(2)]
        scene.server.dismiss()
        assert scene.server.due_in == FAREWELL
        scene.clock.now += FAREWELL / 2
        scene.server.dismiss()
        assert scene.server.due_in == FAREWELL / 2
        for connection in connections:
            assert connection is not None
            connection.refuse()


def test_what_other_threads_left_word_of_is_told_at_each_turn(scene: Scene) -> None:
    with scene.connect():
        connection = scene.server.take(scene.server.doors[0], Talker)
        assert connection is not None
        scene.clock.now += 0.1
        ending = threading.Thread(target=connection.refuse)
        ending.start()
        ending.join()
    assert scene.ledger.told == ["opened"]
    scene.server.turn()
    assert [what for what in scene.ledger.told if isinstance(what, tuple)] != []


def test_what_is_due_next_is_the_end_of_the_drain_and_then_that_of_the_farewell(scene: Scene) -> None:
    server, clock = scene.server, scene.clock
    assert server.due_in == float("inf")
    server.drain(3)
    assert server.due_in == 3
    clock.now += 3
    server.hurry()
    assert 0 < server.due_in < 1
    assert not server.aborted
    clock.now += 1
    server.hurry()
    assert server.aborted


def test_a_reception_gives_back_all_that_it_took(scene: Scene) -> None:
    before = descriptors()
    with Reception(scene.server) as reception:
        assert list(reception.wait(0)) == []
        assert len(scene.server.on_fork) == 1
    assert scene.server.on_fork == []
    assert descriptors() == before
    assert signal.set_wakeup_fd(-1) == -1


def test_no_alarm_rings_after_the_reception_is_closed(scene: Scene) -> None:
    """It would kill the process: nobody listens for it any more."""
    with Reception(scene.server):
        scene.server.drain(60)
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_no_alarm_is_set_where_nothing_will_be_due(scene: Scene) -> None:
    with Reception(scene.server):
        signal.setitimer(signal.ITIMER_REAL, 0)
        scene.server.drain(float("inf"))
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0


def test_a_signal_wakes_the_reception(scene: Scene) -> None:
    before = signal.signal(signal.SIGUSR1, lambda *_: scene.server.dismiss())
    try:
        with Reception(scene.server) as reception:
            signal.raise_signal(signal.SIGUSR1)
            assert list(reception.wait(60)) == []
            assert scene.server.draining
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_signal_that_came_right_before_a_wait_is_heeded_after_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that another thread gets does not end the wait of the main thread either, where its handler is to run."""
    monkeypatch.setattr(MainTalker, "longest_wait", 0.05)
    teller = threading.Timer(0.1, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGUSR1))
    before = signal.signal(signal.SIGUSR1, lambda *_: scene.server.dismiss())
    try:
        with scene.connect():
            talker = scene.server.take(scene.server.doors[0], MainTalker)
            assert talker is not None
            teller.start()
            talker.serve()
    finally:
        teller.join()
        signal.signal(signal.SIGUSR1, before)
    assert ("ended", None) in scene.ledger.told


def test_who_is_alone_with_its_client_looks_all_the_same(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MainTalker, "longest_wait", 0.05)
    looked = threading.Event()
    scene.server.on_look.append(looked.set)
    client = scene.connect()
    talker = scene.server.take(scene.server.doors[0], MainTalker)
    assert talker is not None

    def leave() -> None:
        scene.clock.now += TICK
        if looked.wait(30):
            client.close()

    leaver = threading.Thread(target=leave)
    leaver.start()
    talker.serve()
    leaver.join()
    assert looked.is_set()


def test_who_has_waited_at_the_door_is_taken_when_it_is_closed(scene: Scene) -> None:
    with scene.connect() as client:
        scene.server.dismiss()
        for arrival in arrivals(scene.server):
            arrival.serve()
        assert client.recv(1) == b""
    assert scene.ledger.told.count("opened") == 1


@pytest.mark.parametrize(
    ("serve", "owner", "name", "error"),
    [
        (fork, os, "fork", OSError(errno.EAGAIN, "no more of them")),
        (fork, Child, "__init__", OSError(errno.EMFILE, "no more of them")),
        (socketserver_forking, os, "fork", OSError(errno.EAGAIN, "no more of them")),
        (socketserver_forking, Child, "__init__", OSError(errno.EMFILE, "no more of them")),
        (thread, threading.Thread, "start", RuntimeError("can't start new thread")),
        (socketserver_threading, threading.Thread, "start", RuntimeError("can't start new thread")),
    ],
)
def test_who_comes_when_nobody_can_be_made_to_serve_is_reset_and_counted(
    scene: Scene,
    monkeypatch: pytest.MonkeyPatch,
    serve: Callable[[Server], None],
    owner: Any,
    name: str,
    error: Exception,
) -> None:
    def fails(*_: object) -> None:
        scene.server.dismiss()
        raise error

    before, signals = descriptors(), signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with scene.connect() as client:
        monkeypatch.setattr(owner, name, fails)
        serve(scene.server)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert [what for what in scene.ledger.told if what != "look"] == ["opened", ("ended", NO_SOCKET)]
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == signals
    assert descriptors() == before - 1  # the server's own door


def test_a_child_lets_go_of_what_is_its_parents(scene: Scene) -> None:
    done: list[str] = []
    server = scene.server
    server.on_fork.append(lambda: done.append("left"))
    ledger = Recording()
    with scene.connect():
        assert server.take(server.doors[0], Talker) is not None
        (connection,) = server.open
        server.become_child(ledger, None)
        assert (done, server.on_fork, server.open) == (["left"], [], set())
        server.refuse(NO_SOCKET)
        assert ledger.told == ["no_socket"]
        assert isinstance(connection, Talker)
        connection.sock.close()
