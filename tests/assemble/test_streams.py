"""Streams as they are assembled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from tests.assemble.kit import config_of
from tests.net.kit import Meter

from enfilade.assemble.plan import listeners_of
from enfilade.assemble.streams import PreparedStream, Streams, prepare_streams
from enfilade.net.edge import Edge, EdgeLoop
from enfilade.observe.log import LogSink
from enfilade.process.board import Board
from enfilade.process.plan import StartError
from enfilade.stream.service import StreamLimits, StreamService
from enfilade.upstream.pick import Hash, LeastConnections, RoundRobin
from enfilade.wire.codec import DateStamp


def service_of(text: str) -> StreamService:
    """The service of the only stream in `text`."""
    config = config_of(text)
    board = Board(rows=512, columns=2)
    prepared = prepare_streams(config, board)

    async def make() -> StreamService:
        edge = Edge(asyncio.get_running_loop(), DateStamp())
        meter: Any = Meter()
        streams = Streams(prepared, config, edge, board.claim(), meter, LogSink)
        edge.close()
        return await streams._service(prepared[0])

    with asyncio.Runner(loop_factory=EdgeLoop) as runner:
        return runner.run(make())


TCP = '[streams.x]\nlisten = "tcp://:1"\nto = "tcp://10.0.0.1:1"\n'
UDP = '[streams.x]\nlisten = "udp://:1"\nto = "udp://10.0.0.1:1"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TCP, StreamLimits(5.0, 600.0, 10.0, 0)),
        (UDP, StreamLimits(5.0, 30.0, 10.0, 0)),
        (TCP + "idle_timeout = 0\nconnect_timeout = 1\nconnections = 9\n", StreamLimits(1.0, 0.0, 10.0, 9)),
    ],
)
def test_the_limits_of_a_stream(text: str, expected: StreamLimits) -> None:
    assert service_of(text).stream_limits == expected


@pytest.mark.parametrize(
    ("text", "balancer"),
    [
        (TCP, RoundRobin),
        (UDP, Hash),
        (TCP + 'balance = "least_connections"\n', LeastConnections),
        (
            TCP.replace('"tcp://10.0.0.1:1"', '"up"')
            + '[upstreams.up]\npeers = ["tcp://10.0.0.1:1"]\nbalance = "least_connections"\n',
            LeastConnections,
        ),
    ],
)
def test_the_balance_of_a_stream(text: str, balancer: Callable[..., object]) -> None:
    group = service_of(text).group
    assert group is not None and type(group._balancer) is balancer


def test_the_peers_of_an_upstream_have_their_weights_and_tiers() -> None:
    text = TCP.replace('"tcp://10.0.0.1:1"', '"up"') + (
        '[upstreams.up]\npeers = ["tcp://10.0.0.1:1", { url = "tcp://10.0.0.2:1", weight = 3, tier = 1, limit = 7 }]\n'
    )
    group = service_of(text).group
    assert group is not None
    assert [(p.name, p.weight, p.tier, p.limit) for p in group.targets] == [
        ("tcp://10.0.0.1:1", 1, 0, 0),
        ("tcp://10.0.0.2:1", 3, 1, 7),
    ]


def test_the_name_of_a_peer_for_datagrams_is_looked_up_at_the_start() -> None:
    with pytest.raises(StartError, match=r"no\.such\.host\.invalid is not known"):
        service_of(UDP.replace("10.0.0.1", "no.such.host.invalid"))
    group = service_of(UDP.replace("10.0.0.1", "localhost")).group
    assert group is not None
    assert [target.address.at in ("127.0.0.1", "::1") for target in group.targets.values()] == [True]


def test_tls_that_ends_here_speaks_no_protocol_of_the_web() -> None:
    config = config_of('[streams.x]\nlisten = "tls://:1"\ntls = "internal"\nto = "tcp://10.0.0.1:1"\n')
    (prepared,) = prepare_streams(config, Board(rows=512, columns=2))
    assert isinstance(prepared, PreparedStream) and prepared.tls is not None
    assert [(s.name, s.kind, s.port) for s in listeners_of(config)] == [("streams.x", "tcp", 1)]
