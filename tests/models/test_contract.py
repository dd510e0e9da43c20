"""The contract of the models: each of them, for every handler and over every transport, says the same to its clients."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from tests.models import handlers
from tests.models.contract import (
    DATAGRAMS,
    STREAMS,
    Nursery,
    Serving,
    read_exactly,
    say_and_leave,
    serving,
    until,
)

from enfilade.models.handler import SHIPPED, handler_of, load
from enfilade.models.table import MODELS, Misfit, model_for


class Script(NamedTuple):
    """What is said to a handler, and what it answers. `pattern`: where nobody knows beforehand, an expression for all answers;
    `answers` are as long, then. `cut`: half a message."""

    messages: tuple[bytes, ...]
    answers: tuple[bytes, ...]
    cut: bytes = b""
    pattern: bytes | None = None

    def matches(self, answers: bytes) -> bool:
        return bool(re.fullmatch(self.pattern or re.escape(b"".join(self.answers)), answers, re.S))

    @property
    def length(self) -> int:
        return sum(map(len, self.answers))


ZEN = (
    (b"What is better than ugly?", b"Beautiful is better than ugly."),
    (b" What counts?", b"Readability counts."),
    (b"Why?", b"I have no answer to that."),
)
INSTANT = b"2026-11-22T10:00:00.000Z"
BYTES = bytes(range(256))
SCRIPTS = {
    "echo": Script((b"a", BYTES, b"b" * 10_000), (b"a", BYTES, b"b" * 10_000)),
    "discard": Script((b"a", BYTES), (b"", b"")),
    "zen": Script(tuple(q for q, _ in ZEN), tuple(a for _, a in ZEN), cut=b"What"),
    "time": Script((b"\n", b"now\n"), (INSTANT + b"\n",) * 2, b"no", rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\n){2}"),
    "lines": Script((b"a\n", b"\n", b"b" * 9_000 + b"\n"), (b"A\n", b"\n", b"B" * 9_000 + b"\n"), cut=b"c"),
    "questions": Script((b"ab?\r\n", b"??\r\n"), (b"ba.\r\n", b"?.\r\n"), cut=b"c?\r"),
    "lengths": Script((b"\0\3abc", b"\0\0", b"\1\0" + BYTES), (b"\0\3cba", b"\0\0", b"\1\0" + BYTES[::-1]), cut=b"\0"),
    "fixed": Script((b"abcd", b"efgh"), (b"dcba", b"hgfe"), cut=b"ijk"),
    "chunks": Script((b"a", b"bc"), (b"A", b"BC")),
}
SESSIONS = {"session_lines": SCRIPTS["lines"], "session_bytes": SCRIPTS["chunks"]}
SCRIPTS |= {f"async_{name}": SCRIPTS[name] for name in ("lines", "questions", "lengths", "fixed", "chunks")}
SCRIPTS |= SESSIONS | {f"async_{name}": script for name, script in SESSIONS.items()}
HANDLERS = {
    name: load(name) if name in SHIPPED else handler_of(name, getattr(handlers, name)) for name in SCRIPTS
}  # fmt: skip

CELLS = [
    (model, handler, udp)
    for model, row in MODELS.items()
    for handler, found in HANDLERS.items()
    for udp in (False, True)
    if found.kind in row.kinds and (not udp or (row.udp and found.framing is not None))
]
"""Each model with each handler that it can run; over streams, and over datagrams."""
KINDS = {found.kind: name for name, found in HANDLERS.items()}
"""A handler of each kind."""
REFUSED = [
    (model, handler, udp)
    for model in MODELS
    for handler in KINDS.values()
    for udp in (False, True)
    if (model, handler, udp) not in CELLS
]


def _named(cells: list[tuple[str, str, bool]]) -> list[str]:
    return [f"{model}-{handler}-{'udp' if udp else 'stream'}" for model, handler, udp in cells]


STREAM_CELLS = [cell for cell in CELLS if not cell[2]]
DATAGRAM_CELLS = [cell for cell in CELLS if cell[2]]


@pytest.fixture(scope="module")
def server(nursery: Nursery, request: pytest.FixtureRequest) -> Iterator[Serving]:
    model, handler, udp = request.param
    with serving(nursery, model, handler, *(DATAGRAMS if udp else STREAMS), threads=2) as server:
        yield server


@pytest.fixture(scope="module")
def script(server: Serving, request: pytest.FixtureRequest) -> Script:
    return SCRIPTS[server.handler]


streams = pytest.mark.parametrize("server", STREAM_CELLS, ids=_named(STREAM_CELLS), indirect=True)
datagrams = pytest.mark.parametrize("server", DATAGRAM_CELLS, ids=_named(DATAGRAM_CELLS), indirect=True)


@pytest.mark.parametrize(("model", "handler", "udp"), REFUSED, ids=_named(REFUSED))
def test_a_cell_that_is_not_served_is_refused_with_those_that_are(model: str, handler: str, udp: bool) -> None:
    found = HANDLERS[handler]
    with pytest.raises(Misfit) as refused:
        model_for(found, model, udp=udp)
    if udp and found.framing is None:
        assert str(refused.value) == f"{handler}: a {found.kind.value} needs a connection, and UDP has none"
        return
    able = [name for name, its, over in CELLS if its == handler and over is udp]
    what = f"a handler of kind {found.kind.value}" + (" over UDP" if udp else "")
    assert str(refused.value) == f"{handler}: the model {model} cannot run {what}; these can: {', '.join(able)}"


@streams
def test_messages_are_answered_one_by_one(server: Serving, script: Script) -> None:
    for transport in STREAMS:
        with server.connect(transport) as client:
            answers = b""
            for message, answer in zip(script.messages, script.answers, strict=True):
                client.sendall(message)
                answers += read_exactly(client, len(answer))
            assert script.matches(answers)
            assert say_and_leave(client, b"", 0) == b""


@streams
def test_messages_that_come_together_are_answered_in_their_order(server: Serving, script: Script) -> None:
    for transport in STREAMS:
        with server.connect(transport) as client:
            assert script.matches(say_and_leave(client, b"".join(script.messages), script.length))


@streams
def test_messages_are_answered_however_they_are_cut(server: Serving, script: Script) -> None:
    """The first 50 bytes by single bytes, the rest in pieces of any length."""
    said, dice = b"".join(script.messages), random.Random(4)
    cuts = [*range(min(50, len(said))), *sorted(dice.sample(range(50, len(said)), 5) if len(said) > 100 else [])]
    for transport in STREAMS:
        with server.connect(transport) as client:
            for begin, end in zip(cuts, [*cuts[1:], len(said)], strict=True):
                client.sendall(said[begin:end])
            assert script.matches(say_and_leave(client, b"", script.length))


@streams
def test_half_a_message_at_the_end_is_not_answered(server: Serving, script: Script) -> None:
    for transport in STREAMS:
        with server.connect(transport) as client:
            assert script.matches(say_and_leave(client, b"".join(script.messages) + script.cut, script.length))


@pytest.mark.abreast
@pytest.mark.parametrize(("model", "handler", "udp"), STREAM_CELLS, ids=_named(STREAM_CELLS))
def test_what_was_received_sent_and_answered_is_counted(nursery: Nursery, model: str, handler: str, udp: bool) -> None:
    """As the handler sees it: what TLS adds is not."""
    script = SCRIPTS[handler]
    with serving(nursery, model, handler, *STREAMS, threads=2) as server:
        for transport in STREAMS:
            with server.connect(transport) as client:
                for message, answer in zip(script.messages, script.answers, strict=True):
                    client.sendall(message)
                    read_exactly(client, len(answer))
                say_and_leave(client, b"", 0)
        counts = until(lambda: (counts := server.counts()).ended.total() == len(STREAMS) and counts)
        assert counts.ended == {None: len(STREAMS)} and counts.open == 0 and not counts.refused
        received, sent, requests = counts.moved
        assert (received, sent) == (4 * sum(map(len, script.messages)), 4 * script.length)
        if HANDLERS[handler].framing is None:
            assert requests == 0
        elif script.length:  # or nobody knows what came together
            assert requests == 4 * len(script.messages)


@datagrams
def test_datagrams_are_answered_each_by_itself(server: Serving, script: Script) -> None:
    for transport in DATAGRAMS:
        with server.connect(transport) as client:
            answers = b""
            for message, answer in zip(script.messages, script.answers, strict=True):
                client.send(message)
                answers += client.recv(65536) if answer else b""
            assert script.matches(answers)


@datagrams
def test_messages_of_one_datagram_are_answered_in_one(server: Serving, script: Script) -> None:
    """Half a message behind them is gone with the datagram."""
    for transport in DATAGRAMS:
        with server.connect(transport) as client:
            for _ in range(2):
                client.send(b"".join(script.messages) + script.cut)
                assert not script.length or script.matches(client.recv(65536))


@datagrams
def test_each_client_gets_its_own_answers_however_its_datagrams_come(server: Serving, script: Script) -> None:
    dice = random.Random(6)
    for transport in DATAGRAMS:
        with ExitStack() as held:
            clients = [held.enter_context(server.connect(transport)) for _ in range(4)]
            said = [(client, i) for client in range(4) for i in range(len(script.messages)) for _ in range(2)]
            dice.shuffle(said)
            for client, i in said:
                clients[client].send(script.messages[i])
            for client in clients:
                heard = sorted(client.recv(65536) for _ in range(2 * sum(map(bool, script.answers))))
                if script.pattern is None:
                    assert heard == sorted(filter(None, script.answers * 2))
                client.setblocking(False)
                with pytest.raises(BlockingIOError):
                    client.recv(1)


@pytest.mark.abreast
@pytest.mark.parametrize(("model", "handler", "udp"), DATAGRAM_CELLS, ids=_named(DATAGRAM_CELLS))
def test_datagrams_are_counted(nursery: Nursery, model: str, handler: str, udp: bool) -> None:
    script = SCRIPTS[handler]
    with serving(nursery, model, handler, *DATAGRAMS, threads=2) as server:
        for transport in DATAGRAMS:
            with server.connect(transport) as client:
                for message, answer in zip(script.messages, script.answers, strict=True):
                    client.send(message)
                    assert len(client.recv(65536) if answer else b"") == len(answer)
        received = 2 * sum(map(len, script.messages))
        counts = until(lambda: (counts := server.counts()).moved[0] >= received and counts)
        assert counts.moved == (received, 2 * script.length, 2 * len(script.messages))
        assert not counts.refused and counts.opened == 0
