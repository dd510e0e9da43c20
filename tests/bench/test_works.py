"""What the rows of the works name is there."""

from __future__ import annotations

from bench.servers import OURS, SERVERS, STREAMS
from bench.works import WORKS


def test_each_server_of_a_work_has_a_command_for_it() -> None:
    wanted = {(server, work.kind) for work in WORKS.values() for server in (OURS, *work.peers)}
    assert {(server, kind) for server, kind in wanted if kind not in SERVERS[server].commands} == set()


def test_targets_are_set_against_peers_of_the_work() -> None:
    assert all(work.targets.keys() <= set(work.peers) for work in WORKS.values())


def test_kinds_of_streams_are_those_of_works() -> None:
    assert set(STREAMS) <= {work.kind for work in WORKS.values()}
