"""Streams as they are assembled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.assemble.kit import config_of
from tests.net.dns_server import dns_server
from tests.net.kit import Meter

from enfilade.assemble.certificates import Certificates
from enfilade.assemble.plan import listeners_of
from enfilade.assemble.streams import PreparedStream, Streams, destinations, prepare_streams, register_destinations
from enfilade.assemble.upstreams import Upstreams
from enfilade.net.edge import Edge, EdgeLoop
from enfilade.observe.log import LogSink
from enfilade.process.board import Board
from enfilade.stream.service import StreamLimits, StreamService
from enfilade.stream.upstream import StreamUpstream
from enfilade.upstream.pick import Hash, LeastConnections, RoundRobin
from enfilade.wire.codec import DateStamp
from enfilade.wire.proxy_protocol import announce


async def make_service(text: str) -> StreamService:
    """The service of the only stream in `text`, once its peers are known."""
    config = config_of(text)
    board = Board(columns=2)
    prepared = prepare_streams(config, board, Certificates(config))
    edge = Edge(asyncio.get_running_loop(), DateStamp())
    meter: Any = Meter()
    column, rows = board.claim(), register_destinations(prepared, board)
    upstreams = Upstreams(config, rows, edge.loop, meter, column.cells, [], probes=False)
    streams = Streams(prepared, config, edge, column, meter, LogSink, upstreams)
    await upstreams.settle(5.0)
    edge.close()
    upstreams.close()
    return streams._services["x"]


def service_of(text: str) -> StreamService:
    with asyncio.Runner(loop_factory=EdgeLoop) as runner:
        return runner.run(make_service(text))


def upstream_of(text: str) -> StreamUpstream:
    """The upstream that the only stream in `text` goes to."""
    upstream = service_of(text).upstream
    assert upstream is not None
    return upstream


HERE = "127.0.0.1"
LOCAL = announce("v2", None)
TCP = '[streams.x]\nlisten = "tcp://:1"\nto = "tcp://10.0.0.1:1"\n'
UDP = '[streams.x]\nlisten = "udp://:1"\nto = "udp://10.0.0.1:1"\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (TCP, StreamLimits(600.0, 10.0, 0)),
        (UDP, StreamLimits(30.0, 10.0, 0)),
        (TCP + "idle_timeout = 0\nconnections = 9\n", StreamLimits(0.0, 10.0, 9)),
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
    assert type(upstream_of(text)._balancer) is balancer


def test_the_peers_of_an_upstream_have_their_weights_and_tiers() -> None:
    text = TCP.replace('"tcp://10.0.0.1:1"', '"up"') + (
        '[upstreams.up]\npeers = ["tcp://10.0.0.1:1", { url = "tcp://10.0.0.2:1", weight = 3, tier = 1, limit = 7 }]\n'
    )
    assert [(p.name, p.weight, p.tier, p.limit) for p in upstream_of(text).peers] == [
        ("tcp://10.0.0.1:1", 1, 0, 0),
        ("tcp://10.0.0.2:1", 3, 1, 7),
    ]


NAMED = TCP.replace('"tcp://10.0.0.1:1"', '"up"') + '[upstreams.up]\npeers = ["tcp://10.0.0.1:1"]\n'


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (TCP, 5.0),
        (TCP + "connect_timeout = 1\n", 1.0),
        (NAMED + "connect_timeout = 2\n", 2.0),
        (NAMED.replace("[upstreams", "connect_timeout = 0\n[upstreams") + "connect_timeout = 2\n", 0.0),
    ],
)
def test_the_stream_says_how_long_a_connection_may_take_or_its_upstream(text: str, seconds: float) -> None:
    (target,) = upstream_of(text).targets.values()
    assert target.timeout == seconds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TCP, None),
        (TCP + 'send_proxy = "v1"\n', b"PROXY UNKNOWN\r\n"),
        (NAMED + 'send_proxy = "v1"\n', b"PROXY UNKNOWN\r\n"),
        (NAMED.replace("[upstreams", 'send_proxy = "v2"\n[upstreams') + 'send_proxy = "v1"\n', LOCAL),
    ],
)
def test_the_stream_says_how_peers_are_told_or_else_its_upstream(text: str, said: bytes | None) -> None:
    announce = upstream_of(text).announce
    assert (None if announce is None else announce(None)) == said


@pytest.mark.parametrize("text", [TCP, UDP])
def test_names_are_looked_up_and_each_address_is_a_peer(text: str) -> None:
    upstream = upstream_of(text.replace("10.0.0.1", "localhost"))
    assert [upstream.targets[peer].address.at for peer in upstream.peers] == [HERE]
    assert upstream_of(text.replace("10.0.0.1", "no.such.host.invalid")).peers == ()


def test_services_say_who_the_peers_are_and_where() -> None:
    async def main() -> None:
        async with dns_server() as dns:
            dns.zone = {
                "_pg._tcp.example": {"SRV": ["0 3 5432 one.example.", "1 1 5433 one.example."]},
                "one.example": {"A": ["10.0.0.1"]},
            }
            service = await make_service(
                TCP.replace('"tcp://10.0.0.1:1"', '"up"') + '[upstreams.up]\npeers = ["srv+tcp://_pg._tcp.example"]\n'
                f'discover = {{ dns = {{ servers = ["{HERE}:{dns.port}"] }} }}\n'
            )
        assert service.upstream is not None
        found = {(t.address.where, p.tier, p.weight) for p, t in service.upstream.targets.items()}
        assert found == {(("10.0.0.1", 5432), 0, 3), (("10.0.0.1", 5433), 1, 1)}

    with asyncio.Runner(loop_factory=EdgeLoop) as runner:
        runner.run(main())


def test_a_file_says_who_the_peers_are_and_who_is_none_for_a_stream_is_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "peers").write_text("tcp://10.0.0.1:1\nhttp://10.0.0.2:1\nudp://10.0.0.3:1\nunix:/run/x\n")
    text = TCP.replace('"tcp://10.0.0.1:1"', '"up"') + f'[upstreams.up.discover]\nfile = "{tmp_path / "peers"}"\n'
    assert [peer.name for peer in upstream_of(text).peers] == ["tcp://10.0.0.1:1", "unix:/run/x"]
    assert "up: http://10.0.0.2:1 is passed over: it is no server for tcp" in caplog.text


SHARED = """
streams.a = { listen = "tcp://:1", to = "up" }
streams.b = { listen = "tcp://:2", to = "up" }
streams.names = { listen = "tcp://:3", sni = { "a.example" = "up" } }
streams.other = { listen = "tcp://:4", to = "up", balance = "first" }
streams.beside = { listen = "tcp://:5", to = "both" }
streams.tcp = { listen = "tcp://:6", to = "file" }
streams.udp = { listen = "udp://:6", to = "file" }
upstreams.up = { peers = ["tcp://10.0.0.1:1"] }
upstreams.both = { peers = ["unix:/run/x"] }
upstreams.file = { discover = { redis = { url = "redis://127.0.0.1" } } }
[sites."*"]
"/*" = { proxy = "both" }
"""


def test_streams_that_name_one_upstream_share_it_unless_they_say_otherwise() -> None:
    """Or its peers would have two healths, and each less in flight than they have."""
    config = config_of(SHARED)
    found = {name: destinations(config, name, stream).values() for name, stream in config.streams.items()}
    assert {name: [to.name for to in tos] for name, tos in found.items()} == {
        "a": ["up"], "b": ["up"], "names": ["up"], "other": ["streams.other"], "beside": ["streams.beside"],
        "tcp": ["streams.tcp"], "udp": ["streams.udp"],
    }  # fmt: skip
    assert {name: [tuple(to.sources) for to in tos] for name, tos in found.items() if name in ("other", "udp")} == {
        "other": [("up", "tcp")], "udp": [("file", "udp")],
    }, "servers register themselves for the upstream"  # fmt: skip


def test_health_and_checks_are_those_of_the_upstream() -> None:
    upstream = upstream_of(NAMED + "eject = { failures = 2 }\nslow_start = 3\ncheck = { fall = 7 }\n")
    assert upstream.health._policy.tolerance.failures == 2 and upstream.health._policy.slow_start == 3.0
    assert upstream.health._check.fall == 7


def test_tls_that_ends_here_speaks_no_protocol_of_the_web() -> None:
    config = config_of('[streams.x]\nlisten = "tls://:1"\ntls = "internal"\nto = "tcp://10.0.0.1:1"\n')
    (prepared,) = prepare_streams(config, Board(rows=512, columns=2), Certificates(config))
    assert isinstance(prepared, PreparedStream) and prepared.tls is not None
    assert [(s.name, s.kind, s.port) for s in listeners_of(config)] == [("streams.x", "tcp", 1)]


def test_each_free_port_is_one_of_its_own() -> None:
    """Equal specs would share a socket: here one with TLS and one without."""
    config = config_of(
        '[server]\nhttp = ["127.0.0.1:0", "127.0.0.1:0"]\n'
        '[streams.x]\nlisten = ["tcp://:0", "tls://:0", "tcp://:0"]\ntls = "internal"\nto = "tcp://10.0.0.1:1"\n'
    )
    specs = list(listeners_of(config))
    assert len(specs) == 5 == len(set(specs))
    (prepared,) = prepare_streams(config, Board(rows=512, columns=2), Certificates(config))
    assert [prepared.listen[spec].protocol for spec in specs[2:]] == ["tcp", "tls", "tcp"]
