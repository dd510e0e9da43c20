"""Where upstreams may lie: whatever names, files and registrations say, and what a configuration names itself."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from tests.assemble.kit import config_of
from tests.assemble.test_streams import TCP, upstream_of
from tests.net.clock import rest
from tests.net.dns_server import DnsServer, dns_server
from tests.net.kit import Meter

from enfilade.assemble.upstreams import Upstreams, register_upstreams
from enfilade.config import ConfigError
from enfilade.process.board import Board

SITE = '[sites."*"]\n"/*" = { proxy = "api" }\n[upstreams.api]\npeers = ["http://api.test"]\n'
OUTBOUND = "[firewall.outbound]\n"


async def peers_of(outbound: str, dns: DnsServer) -> list[str]:
    """Of the upstream whose name `dns` knows."""
    lookup = f'discover = {{ dns = {{ servers = ["127.0.0.1:{dns.port}"], family = "all" }} }}\n'
    config = config_of(SITE + lookup + outbound)
    board = Board(columns=2)
    meter: Any = Meter()
    rows = register_upstreams(config, board)
    upstreams = Upstreams(config, rows, asyncio.get_running_loop(), meter, board.claim().cells, [], probes=False)
    upstream = upstreams.of("api", None)
    await upstreams.settle(5.0)
    await rest()
    upstreams.close()
    return [peer.name.partition("@")[2] for peer in upstream.peers]


@pytest.mark.parametrize(
    ("outbound", "left"),
    [
        ("", ["10.0.0.1", "1.1.1.1", "2001:db8::1"]),
        (
            OUTBOUND + 'allow = ["169.254.169.254"]\n',
            ["10.0.0.1", "1.1.1.1", "169.254.169.254", "2001:db8::1", "64:ff9b::a9fe:a9fe"],
        ),
        (OUTBOUND + 'default = "deny"\nallow = ["10.0.0.0/8"]\n', ["10.0.0.1"]),
        (
            OUTBOUND + 'deny = ["0.0.0.0/0"]\nallow = ["1.1.1.1"]\n',
            ["1.1.1.1", "2001:db8::1", "fd00:ec2::254", "fe80::1"],
        ),
        (OUTBOUND + "deny = []\n", None),
    ],
)
def test_what_a_name_means_is_looked_at(
    outbound: str, left: list[str] | None, caplog: pytest.LogCaptureFixture
) -> None:
    """FAILURES 35: each address, the very one that is connected to."""
    ipv4 = ["10.0.0.1", "1.1.1.1", "169.254.169.254"]
    ipv6 = ["2001:db8::1", "64:ff9b::a9fe:a9fe", "::ffff:169.254.1.1", "fd00:ec2::254", "fe80::1"]

    async def main() -> list[str]:
        async with dns_server() as dns:
            dns.zone = {"api.test": {"A": ipv4, "AAAA": ipv6}}
            return await peers_of(outbound, dns)

    found = asyncio.run(main())
    assert set(found) == set(ipv4 + ipv6 if left is None else left)
    if not outbound:
        assert "@169.254.169.254 is passed over: firewall.outbound lets nobody connect to it" in caplog.text


def test_it_holds_for_streams_and_what_a_file_says(tmp_path: Path) -> None:
    (tmp_path / "peers").write_text("tcp://10.0.0.1:1\ntcp://169.254.169.254:80\ntcp://[fe80::1]:1\nunix:/run/x\n")
    text = TCP.replace('"tcp://10.0.0.1:1"', '"up"') + f'[upstreams.up.discover]\nfile = "{tmp_path / "peers"}"\n'
    assert [peer.name for peer in upstream_of(text).peers] == ["tcp://10.0.0.1:1", "unix:/run/x"]
    assert [peer.name for peer in upstream_of(text + OUTBOUND + 'default = "deny"\nallow = ["::1"]\n').peers] == [
        "unix:/run/x"
    ]


META = "http://169.254.169.254"


@pytest.mark.parametrize(
    "text",
    [
        f'[upstreams.x]\npeers = ["http://a", "{META}"]\n',
        f'[upstreams.x]\npeers = [{{ url = "{META}" }}]\n',
        f'[sites.a]\n"/" = {{ proxy = "{META}" }}\n',
        f'[sites.a]\n"/" = {{ proxy = ["{META}"] }}\n',
        f'[sites.a]\n"/" = {{ proxy = {{ to = "{META}" }} }}\n',
        f'[sites.a]\n"/" = {{ proxy = {{ split = [{{ to = "{META}", weight = 1 }}] }} }}\n',
        f'[sites.a]\n"/" = {{ proxy = {{ to = "http://a", mirror = {{ to = "{META}" }} }} }}\n',
        f'[sites.a]\nauth = {{ forward = {{ to = "{META}", path = "/" }} }}\n"/" = {{ respond = 200 }}\n',
        f'[sites.a]\n"/" = {{ respond = 200, auth = {{ forward = {{ to = "{META}", path = "/" }} }} }}\n',
        '[streams.s]\nlisten = "tcp://:1"\nto = "tcp://[::ffff:169.254.1.1]:1"\n',
        '[streams.s]\nlisten = "tcp://:1"\nsni = { "*" = ["tcp://a:1", "tcp://[fe80::1]:1"] }\n',
    ],
)
def test_who_is_named_where_nobody_may_lie_is_a_mistake(text: str) -> None:
    text = '\n[sites."*"]\n"/*" = { respond = 200 }\n' + text
    before = re.split(r'"[a-z]+://(?:169|\[::ffff|\[fe80)', text)[0].splitlines()
    with pytest.raises(ConfigError) as raised:
        config_of(text)
    assert str(raised.value).startswith(
        f"e.toml:{len(before)}:{len(before[-1]) + 1}: "
    ) and "lets nobody connect to" in str(raised.value)
    assert config_of(OUTBOUND + "deny = []\n" + text)


@pytest.mark.parametrize(
    ("line", "place", "text"),
    [
        ('allow = ["10.0.0.1/8"]', "2:10", 'the network is "10.0.0.0/8"'),
        ('deny = ["unix"]', "2:9", "Unix sockets are on this machine"),
        ('deny = ["file:x"]', "2:9", '"file:x" is not a network'),
        ('default = "deny"', "2:11", "nobody can be connected to"),
        ('default = "refuse"', "2:11", 'expected "allow" or "deny"'),
    ],
)
def test_networks_that_are_none_refuse_the_start(line: str, place: str, text: str) -> None:
    with pytest.raises(ConfigError) as raised:
        config_of(f'[firewall.outbound]\n{line}\n[sites."*"]\n"/*" = {{ respond = 200 }}\n')
    assert str(raised.value).startswith(f"e.toml:{place}: ") and text in str(raised.value)
