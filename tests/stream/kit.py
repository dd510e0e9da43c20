"""A stream in this process: real sockets, a clock that stands still unless it is told, and what was logged and counted."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from tests.net.kit import Meter

from enfilade.assemble.balance import make_kind
from enfilade.config.schema import Upstream
from enfilade.net.edge import EdgeLoop, serving
from enfilade.net.firewall import Guard
from enfilade.net.tls import ListenerContexts
from enfilade.route.hosts import compile_hosts
from enfilade.stream.log import Record
from enfilade.stream.relay import Relay
from enfilade.stream.service import StreamLimits, StreamLog, StreamService
from enfilade.stream.udp import UdpListener
from enfilade.stream.upstream import StreamUpstream, Target
from enfilade.upstream.addresses import parse_address
from enfilade.upstream.peer import Peer

HERE = "127.0.0.1"
PATIENCE = 20.0
opened: list[Callable[[], object]] = []
"""How what is open is closed, once the test is over: uvloop does not let go of a loop before."""


class Sink:
    """Keeps records, and wakes who waits for one."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._came = asyncio.Event()

    def append(self, entry: Any) -> None:
        self.records.append(Record._make(entry))
        self._came.set()

    async def next(self) -> Record:
        """The next one that nobody has taken."""
        while not self.records:
            self._came.clear()
            await self._came.wait()
        return self.records.pop(0)


class StreamCounts:
    def __init__(self) -> None:
        self.open = self.total = self.received = self.sent = 0

    def opened(self) -> None:
        self.open += 1
        self.total += 1

    def closed(self) -> None:
        self.open -= 1

    def moved(self, received: int, sent: int) -> None:
        self.received += received
        self.sent += sent


class World:
    """`service` and what is around it. Use `listen` or `listen_udp`, then `client` or `ask`."""

    def __init__(
        self, *peers: str, by_name: dict[str, str] | None = None, balance: str = "first", tls: ssl.SSLContext | None = None,
        connections: int = 0, **table: Any,
    ) -> None:  # fmt: skip
        self.loop = asyncio.get_running_loop()
        self.now = 100.0
        self.sink, self.meter, self.counts = Sink(), Meter(), StreamCounts()
        self.connections: set[Any] = set()
        self.tls = tls
        self.table = Upstream(balance=balance, slow_start=0.0, **table)
        named = {name: self.upstream(peer) for name, peer in (by_name or {}).items()}
        self.service = StreamService(
            "db", loop=self.loop, meter=self.meter, stream_meter=self.counts, connections=self.connections,  # type: ignore[arg-type]
            limits=StreamLimits(60.0, 10.0, connections), upstream=self.upstream(*peers) if peers else None,
            by_name=compile_hosts(named) if named else None,
            log=StreamLog(self.sink, lambda entry, offset: b""),  # type: ignore[arg-type]
        )  # fmt: skip
        self.service.clock = lambda: self.now
        opened.append(self.dismiss)

    def upstream(self, *urls: str) -> StreamUpstream:
        made = make_kind(StreamUpstream, "db", self.table, self.loop.call_later, lambda: self.now, None)
        for url in urls:
            self.join(made, url)
        return made

    def join(self, upstream: StreamUpstream, url: str, limit: int = 0) -> Peer:
        address, peer = parse_address(url), Peer(url, limit=limit)
        tls = self.tls if address.tls else None
        upstream.targets[peer] = Target(address, tls, "localhost", self.table.connect_timeout)
        upstream.join(peer)
        return peer

    async def listen(self, tls: ssl.SSLContext | None = None) -> None:
        make = serving(self.service, partial(Relay, self.service), tls=tls and ListenerContexts(tls))
        server = await self.loop.create_server(make, HERE, 0)
        opened.append(server.close)
        self.address = server.sockets[0].getsockname()[:2]

    def listen_udp(self, guard: Guard | None = None) -> UdpListener:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((HERE, 0))
        self.address = sock.getsockname()
        listener = UdpListener(self.service, sock, guard)
        opened.extend((sock.close, listener.stop))
        return listener

    async def client(self, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(*self.address, **kwargs)
        opened.append(writer.close)
        return reader, writer

    def dismiss(self) -> None:
        for connection in list(self.connections):
            connection.dismiss()

    def sweep(self, seconds: float) -> None:
        self.now += seconds
        for connection in list(self.connections):
            connection.sweep(self.now)


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


async def peer(serve: Serve, tls: ssl.SSLContext | None = None) -> str:
    """The URL of a server that gives each of its connections to `serve`."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer.close)
        await serve(reader, writer)

    server = await asyncio.start_server(handle, HERE, 0, ssl=tls)
    opened.append(server.close)
    return f"{'tls' if tls else 'tcp'}://{HERE}:{server.sockets[0].getsockname()[1]}"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Says back what it heard, when all was said."""
    heard = await reader.read()
    writer.write(b"heard " + heard)
    await writer.drain()
    writer.close()


def nobody() -> str:
    """The URL of a port where nobody listens."""
    with socket.socket() as sock:
        sock.bind((HERE, 0))
        return f"tcp://{HERE}:{sock.getsockname()[1]}"


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run it on the loop of a worker; what hangs fails."""
    with asyncio.Runner(loop_factory=EdgeLoop) as runner:
        runner.run(_patiently(main()))


async def _patiently(main: Coroutine[Any, Any, None]) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await main
    finally:
        while opened:
            opened.pop()()
        for _ in range(5):  # what was closed says so in later turns
            await asyncio.sleep(0)
