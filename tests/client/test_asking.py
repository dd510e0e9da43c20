"""Asking, and where an answer ends."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from enfilade.client.asking import Asking, Manner, Unanswered, reason_of

LONG = 60.0
"""Seconds that no test takes."""


@pytest.fixture(params=["stream", "datagrams"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    kind = socket.SOCK_STREAM if request.param == "stream" else socket.SOCK_DGRAM
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    with ours, theirs:
        yield ours, theirs


@pytest.fixture
def stream() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


Pair = tuple[socket.socket, socket.socket]


def test_what_is_asked_is_sent_as_it_is(pair: Pair) -> None:
    ours, theirs = pair
    theirs.send(b"yes.")
    assert Asking(ours, Manner(b".", LONG, LONG)).ask(b"\0really?\n") == b"yes."
    assert theirs.recv(100) == b"\0really?\n"


def test_an_answer_ends_with_its_end_and_what_is_behind_it_belongs_to_the_next(stream: Pair) -> None:
    ours, theirs = stream
    asking = Asking(ours, Manner(b"\r\n", LONG, LONG))
    theirs.send(b"one\r\ntwo")
    assert asking.ask(b"1") == b"one\r\n"
    theirs.send(b"\r\n")
    assert asking.ask(b"2") == b"two\r\n"


def test_without_an_end_an_answer_ends_when_no_more_comes(stream: Pair) -> None:
    ours, theirs = stream
    asking = Asking(ours, Manner(silence=0.01, patience=LONG))
    theirs.send(b"one\ntwo\n")
    assert asking.ask(b"1") == b"one\ntwo\n"


def test_without_an_end_an_answer_ends_with_the_connection(stream: Pair) -> None:
    ours, theirs = stream
    theirs.send(b"one")
    theirs.shutdown(socket.SHUT_WR)
    asking = Asking(ours, Manner(silence=LONG, patience=LONG))
    assert asking.ask(b"1") == b"one"
    with pytest.raises(Unanswered, match="the server ended the connection without an answer"):
        asking.ask(b"2")


def test_a_datagram_is_an_answer() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours, theirs:
        theirs.send(b"one")
        theirs.send(b"")
        asking = Asking(ours, Manner(silence=LONG, patience=LONG))
        assert asking.ask(b"1") == b"one" and asking.ask(b"2") == b""


def test_an_answer_that_does_not_come_is_not_waited_for_forever(pair: Pair) -> None:
    ours, _ = pair
    for manner in (Manner(silence=LONG, patience=0.01), Manner(b".", LONG, 0.01)):
        with pytest.raises(Unanswered, match="no answer in") as why:
            Asking(ours, manner).ask(b"1")
        assert ("lost" in str(why.value)) is (ours.type == socket.SOCK_DGRAM) and why.value.part == b""


def test_an_answer_that_does_not_end_is_told_as_far_as_it_came(stream: Pair) -> None:
    ours, theirs = stream
    theirs.send(b"one")
    with pytest.raises(Unanswered, match="no end of the answer in") as why:
        Asking(ours, Manner(b".", LONG, 0.01)).ask(b"1")
    assert why.value.part == b"one"


def test_an_answer_that_is_cut_is_told_as_far_as_it_came(stream: Pair) -> None:
    ours, theirs = stream
    theirs.send(b"one")
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(Unanswered, match="the server ended the connection, and not the answer") as why:
        Asking(ours, Manner(b".", LONG, LONG)).ask(b"1")
    assert why.value.part == b"one"


def test_a_server_that_is_gone_cannot_be_asked(stream: Pair) -> None:
    ours, theirs = stream
    theirs.close()
    with pytest.raises(Unanswered, match="the server cut the connection"):
        Asking(ours, Manner(b".", LONG, LONG)).ask(b"1")


def test_who_takes_nothing_is_not_waited_for(stream: Pair) -> None:
    ours, _ = stream
    with pytest.raises(Unanswered, match="it takes too long"):
        Asking(ours, Manner(patience=0.01)).ask(b"." * 10_000_000)


def test_other_failures_are_told_by_the_system() -> None:
    assert reason_of(FileNotFoundError(2, "No such file or directory")) == "No such file or directory"
    assert reason_of(ConnectionRefusedError()) == "nobody is there: the connection was refused"
