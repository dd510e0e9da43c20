"""Streams with a handler as they are assembled: their crews, and what a worker of one makes of what the stream says."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.assemble.kit import config_of

from enfilade.assemble.handling import HandlerWorker
from enfilade.assemble.plan import EdgePlan
from enfilade.config import ConfigError
from enfilade.config.schema.streams import ModelName
from enfilade.models.handler import Handler, load
from enfilade.models.server import Limits, Server
from enfilade.models.table import MODELS, model_for
from enfilade.process.board import Board
from enfilade.process.plan import Crew, StartError


def crews_of(text: str) -> list[Crew]:
    return EdgePlan(config_of(text), Board(columns=4)).crews


@contextmanager
def made(text: str) -> Iterator[tuple[Server, Handler]]:
    """The server that the only stream in `text` makes in its worker, and its handler."""
    [crew] = [crew for crew in crews_of(text) if crew.name == "streams.x"]
    found: list[tuple[Server, Handler]] = []

    class Look(HandlerWorker):
        def run(self, sockets: Any) -> None:
            stream = self._prepared.stream
            handler = load(str(stream.handler), stream.path)
            model = model_for(handler, stream.model, udp=False)
            found.append((self._server(handler, model, sockets), handler))

    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as sock:
        patch.setattr("enfilade.assemble.handling.HandlerWorker", Look)
        control: Any = type("Control", (), {"slot": 0})
        crew.run({crew.listeners[0]: [sock]}, Board(columns=2).claim(), control)
        yield found[0]


X = '[streams.x]\nlisten = "tcp://127.0.0.1:0"\nhandler = "echo"\nlog = false\n'


def test_the_models_of_the_configuration_are_those_there_are() -> None:
    assert set(ModelName.__args__) == set(MODELS)  # type: ignore[attr-defined]


def test_what_a_stream_with_a_handler_says() -> None:
    with made(X + 'threads = 3\nmessage_limit = "1KB"\nidle_timeout = "5s"\nconnections = 7\n') as (server, handler):
        assert handler.name == "echo"
        assert server.limits == Limits(connections=7, idle=5.0, message=1024, threads=3)
    [edge, crew] = crews_of(X + 'workers = 3\nmodel = "epoll"\n')
    assert (crew.name, crew.workers) == ("streams.x", 3)
    assert (edge.name, edge.workers) == ("edge", 0), "there is nothing for edge workers to do"


@pytest.mark.parametrize(
    ("model", "connections"), [("thread", 4096), ("fork", 512), ("epoll", 0), ("uvloop_protocol", 0)]
)
def test_how_many_connections_there_may_be_depends_on_the_model_where_nobody_says(model: str, connections: int) -> None:
    with made(X + f'model = "{model}"\n') as (server, _):
        assert (server.limits.connections, server.limits.idle) == (connections, 60.0)


def test_a_handler_is_imported_from_the_path_of_its_stream(tmp_path: Path) -> None:
    (tmp_path / "enf_shouting.py").write_text("def shout(connection):\n    pass\n")
    text = X.replace('"echo"', f'"enf_shouting:shout"\npath = "{tmp_path}"')
    with made(text) as (_, handler):
        assert handler.function.__module__ == "enf_shouting"


def test_beside_other_listeners_there_are_edge_workers() -> None:
    text = f'[server]\nhttp = "127.0.0.1:0"\nworkers = 2\n[sites."*"]\n"/" = {{ respond = "hello" }}\n{X}'
    assert [(crew.name, crew.workers) for crew in crews_of(text)] == [("edge", 2), ("streams.x", 1)]


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        ("enf_nowhere:f", "streams.x: enf_nowhere:f: there is no module"),
        ("enfilade.models.shipped:nobody", "has no 'nobody'"),
        ("enfilade.models.shipped:_ZEN", "a value of type dict is not callable"),
    ],
)
def test_a_handler_that_cannot_be_had_is_why_a_worker_does_not_start(handler: str, words: str) -> None:
    [crew] = crews_of(X.replace("echo", handler))[1:]
    with pytest.raises(StartError, match=words):
        crew.run({}, Board(columns=2).claim(), type("Control", (), {"slot": 0}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('handler = "eco"', '"eco" names no handler: write module:callable; did you mean echo'),
        ('handler = "echo"\nmodel = "uvloop_streams"', "cannot serve UDP; these can: single, thread"),
    ],
)
def test_what_cannot_work_is_found_before_the_start(lines: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        config_of(f'[streams.x]\nlisten = "udp://127.0.0.1:0"\n{lines}\n')


def test_handlers_do_not_read_the_header_of_the_proxy_protocol() -> None:
    """Who is believed in what they say about clients would not be read, and everybody be one address: that is refused."""
    with pytest.raises(ConfigError, match=r"streams\.x\.handler: handlers do not read"):
        config_of(f'[server]\nproxy_protocol = ["10.0.0.0/8"]\n{X}')
