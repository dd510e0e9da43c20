"""What the rows of the works name is there."""

from __future__ import annotations

from socket import SOCK_DGRAM

import pytest
from bench.servers import OURS, SERVERS, STREAMS, THREADING
from bench.works import ANSWER, MESSAGE, QUESTION, WORKS

from enfilade.models.conversation import Conversation
from enfilade.models.handler import load
from enfilade.models.table import model_for


def test_each_server_of_a_work_has_a_command_for_it() -> None:
    wanted = {(server, work.kind) for work in WORKS.values() for server in (OURS, *work.peers)}
    assert {(server, kind) for server, kind in wanted if kind not in SERVERS[server].commands} == set()


def test_targets_are_set_against_peers_of_the_work() -> None:
    assert all(work.targets.keys() <= set(work.peers) for work in WORKS.values())


@pytest.mark.parametrize(("server", "kind"), [*((OURS, kind) for kind in STREAMS), (THREADING, "zen")])
def test_the_model_of_a_stream_can_run_its_handler(server: str, kind: str) -> None:
    words = SERVERS[server].commands[kind].split()
    handler, model = words[words.index("stream") + 1], words[words.index("--model") + 1]
    assert model_for(load(handler), model, udp=STREAMS[kind] == SOCK_DGRAM)


@pytest.mark.parametrize(("handler", "message", "answer"), [("echo", MESSAGE, MESSAGE), ("zen", QUESTION, ANSWER)])
def test_the_handlers_of_streams_give_the_answers_that_are_wanted(handler: str, message: str, answer: str) -> None:
    assert Conversation(load(handler), 1024).received(message.encode()) == answer.encode()
