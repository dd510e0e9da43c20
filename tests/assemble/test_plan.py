"""What the supervisor is told to run."""

from __future__ import annotations

import os

import pytest

from enfilade.assemble.plan import EdgePlan, edge_workers
from enfilade.config.schema import App, Bans, Config, Firewall, Lists, Server, Site, Stream
from enfilade.process.board import Board
from enfilade.process.plan import EDGE


def test_edge_workers_are_as_many_as_said_or_one_a_core() -> None:
    assert edge_workers(Config(server=Server(http=":1", workers=3))) == 3
    assert edge_workers(Config(server=Server(http=":1"))) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize("firewall", [Firewall(), Firewall(new_connections="9/second", connections_per_address=9)])
def test_there_are_none_with_nothing_to_do(firewall: Firewall) -> None:
    [crew] = EdgePlan(Config(firewall=firewall), Board(columns=2)).crews
    assert (crew.name, crew.listeners, crew.workers) == (EDGE, [], 0)


@pytest.mark.parametrize(
    "config",
    [
        Config(server=Server(https=":1"), sites={"a.test": Site(tls="internal")}),
        Config(server=Server(admin="unix:/a")),
        Config(streams={"x": Stream(listen="tcp://:1", to="tcp://10.0.0.1:1")}),
        Config(apps={"a": App(target="a:app", inline=False)}),
        Config(bans=Bans()),
        Config(firewall=Firewall(deny=["https://example.com/list"], lists=Lists(keep="/nowhere"))),
    ],
)
def test_they_are_needed_to_listen_to_run_and_to_look_after(config: Config) -> None:
    assert edge_workers(config) > 0
