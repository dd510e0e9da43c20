"""A proxy with everything around it but sockets: clients and peers are scripts, the clock stands until it is moved."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from tests.net.kit import Meter, Transport
from tests.wire.outgoing import outgoing

from enfilade.assemble.balance import make_upstream
from enfilade.assemble.upstreams import _http2_client
from enfilade.config.schema import Upstream as UpstreamTable
from enfilade.exchange.call import Home
from enfilade.exchange.chain import compile_chain
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter, Match, Outcome, Route
from enfilade.exchange.response import Response
from enfilade.handlers.proxy.proxy import Proxy
from enfilade.http.fields import NO_FIELDS, Fields, Pair
from enfilade.http.reasons import Reason
from enfilade.net.client import CallLimits, ClientConnection, ClientContext
from enfilade.net.context import ConnectionLimits
from enfilade.net.http import HttpConnection
from enfilade.net.service import Service
from enfilade.upstream.peer import Peer
from enfilade.upstream.pool import Pool
from enfilade.wire.codec import ClientCodec, DateStamp, ServerCodec
from enfilade.wire.events import DataReceived, Event, RequestReceived
from enfilade.wire.http1.client import Http1Client
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http1.server import Http1Server
from enfilade.wire.http2 import Http2Client, Http2Limits, Http2Server

T = TypeVar("T")
GET = b"GET / HTTP/1.1\r\nhost: a.example\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Timer:
    def __init__(self, at: float, what: Callable[[], None]) -> None:
        self.at = at
        self.what: Callable[[], None] | None = what

    def cancel(self) -> None:
        self.what = None


class End:
    """One end that a test plays: `says` what it sends, `got` what has come since the last look."""

    def __init__(self, scene: Scene, connection: Any) -> None:
        self.scene = scene
        self.connection = connection
        self.transport = Transport()
        self._seen = 0
        self._gone = False

    def says(self, data: bytes) -> None:
        """One call is one read."""
        self.scene.run(self.connection.data_received, data)

    def got(self) -> bytes:
        new = self.transport.wrote[self._seen :]
        self._seen = len(self.transport.wrote)
        return new

    def ends(self) -> None:
        """Its end of stream."""
        if not self.scene.run(self.connection.eof_received):
            self.transport.close()
        self.scene.settle()

    def breaks(self) -> None:
        """The connection is lost."""
        self.transport.closed = True
        self.scene.settle()

    def stops_reading(self) -> None:
        self.scene.run(self.connection.pause_writing)

    def reads_on(self) -> None:
        self.scene.run(self.connection.resume_writing)

    @property
    def closed(self) -> bool:
        """Perhaps only half, as long as something may still come."""
        return self.transport.closed or self.transport.half_closed


class Client2(End):
    """A client that speaks HTTP/2: `events` are what came."""

    def __init__(self, scene: Scene, connection: Any) -> None:
        super().__init__(scene, connection)
        self.engine = Http2Client(Http2Limits())
        self.events: list[Event] = []

    def talk(self) -> None:
        while True:
            out = b"".join(self.engine.pending())
            if out:
                self.says(out)
            new = self.got()
            if not out and not new:
                return
            if new:
                self.take(self.engine.feed(new, self.scene.now))

    def take(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, DataReceived):
                self.engine.consumed(event.stream, event.cost)
        self.events += events

    def asks(
        self, target: bytes = b"/", fields: Iterable[Pair] = (), *, method: str = "GET", end: bool = True,
        protocol: str | None = None,
    ) -> int:  # fmt: skip
        request = outgoing(method, "http", "a.example", target, Fields(fields), protocol)
        stream = self.engine.request(request, end=end)
        self.talk()
        return stream

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]


class Far2(End):
    """A peer that speaks HTTP/2: `asked` are the requests by stream."""

    def __init__(self, scene: Scene, connection: Any) -> None:
        super().__init__(scene, connection)
        self.engine: Any = Http2Server("http", Http2Limits(streams=scene.streams), DateStamp())
        if not scene.tunnels:
            self.engine.pending()
            self.engine._out.append(bytes.fromhex("000000040000000000"))  # SETTINGS that offer nothing
        self.events: list[Event] = []
        self.asked: dict[int, Any] = {}
        self.consumes = True

    def talk(self) -> None:
        while True:
            out = b"".join(self.engine.pending())
            if out:
                self.says(out)
            new = self.got()
            if not out and not new:
                return
            for event in self.engine.feed(new, self.scene.now) if new else ():
                self.events.append(event)
                if isinstance(event, RequestReceived):
                    self.asked[event.stream] = event.request
                elif isinstance(event, DataReceived) and self.consumes:
                    self.engine.consumed(event.stream, event.cost)

    def answers(self, stream: int, status: int = 200, body: bytes = b"ok", fields: Fields = NO_FIELDS) -> None:
        self.engine.respond(stream, status, fields, body)
        self.talk()

    def told(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]


class Ended(Filter):
    """Remembers how exchanges ended."""

    def __init__(self) -> None:
        self.outcomes: list[Outcome] = []

    def on_done(self, x: Exchange, outcome: Outcome) -> None:
        self.outcomes.append(outcome)


class Waits(Filter):
    """An answer passes a coroutine, as with any filter that looks at answers."""

    def on_response(self, x: Exchange, r: Response) -> Response:
        return r


class Scene:
    """`peers` so many servers; `http2`: they speak it. `table`: the upstream's. What else there is goes to `Proxy`."""

    def __init__(
        self,
        *,
        peers: int = 1,
        http2: bool = False,
        streams: int = 128,
        accepts: bool = True,
        greets: bool = True,
        tunnels: bool = True,
        waits: bool = False,
        limits: CallLimits | None = None,
        table: UpstreamTable | None = None,
        **proxy: Any,
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self.now = 1000.0
        self.http2 = http2
        self.streams = streams
        self.accepts = accepts
        self.greets = greets
        self.tunnels = tunnels
        self.timers: list[Timer] = []
        self.dialed: list[tuple[int, Home]] = []
        self.far: list[Any] = []
        self.ends: list[End] = []
        self.meter = Meter()
        table = table or UpstreamTable(queue_timeout=10.0, eject=False)
        self.upstream = make_upstream("peers", table, self.later, lambda: self.now)
        self.context = ClientContext(
            calls=limits or CallLimits(),
            loop=self.loop,
            limits=ConnectionLimits(write_timeout=30.0),
            meter=self.meter,  # type: ignore[arg-type]
            connections=set(),
        )
        self.context.clock = lambda: self.now
        for number in range(peers):
            peer = Peer(f"http://peer{number}:80")
            peer.authority, peer.http2 = f"peer{number}", http2
            peer.pool = peer.upgrades = Pool(
                partial(self._dial, number), self.later, most=table.connections, length=table.queue,
                patience=table.queue_timeout, keep=table.keep, shared=http2,
            )  # fmt: skip
            self.upstream.join(peer)
        self.ended = Ended()
        filters: list[Filter] = [self.ended, Waits()] if waits else [self.ended]
        self.proxy = Proxy(self.upstream, **proxy)
        route = Route("", "/*", compile_chain(filters, self.proxy), (self.ended.on_done,))
        match = Match(route, {}, "")
        self.service = Service(
            loop=self.loop, find=lambda request, ends: match, refused=match, error=error_response,
            make_codec=self._server_codec, limits=ConnectionLimits(), meter=self.meter,  # type: ignore[arg-type]
            connections=set(),
        )  # fmt: skip
        self.service.clock = lambda: self.now
        self._client_http2 = False

    def close(self) -> None:
        self.settle()
        self.loop.close()

    # -- time and turns

    def run(self, what: Callable[..., T], *args: Any) -> T:
        """Do it within the loop, and what follows from it."""
        done: list[T | Exception] = []

        def attempt() -> None:
            try:
                done.append(what(*args))
            except Exception as e:
                done.append(e)

        self.loop.call_soon(attempt)
        self.settle()
        (outcome,) = done
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def settle(self) -> None:
        """Let the loop do what it was asked for, and lose what was closed."""
        again = True
        while again:
            for _ in range(6):
                self.loop.call_soon(self.loop.stop)
                self.loop.run_forever()
            again = False
            for end in self.ends:
                if end.transport.closed and not end._gone:
                    end._gone = again = True
                    self.loop.call_soon(end.connection.connection_lost, None)

    def later(self, seconds: float, what: Callable[[], None]) -> Timer:
        timer = Timer(self.now + seconds, what)
        self.timers.append(timer)
        return timer

    def wait(self, seconds: float) -> None:
        """Let time pass, with a look at everything at its end."""
        self.now += seconds
        for timer in [t for t in self.timers if t.at <= self.now]:
            self.timers.remove(timer)
            if timer.what is not None:
                self.run(timer.what)
        for connection in [*self.context.connections, *self.service.connections]:
            self.run(connection.sweep, self.now)

    # -- clients

    def _server_codec(self, is_http2: bool, now: float) -> ServerCodec:
        if self._client_http2:
            return Http2Server("http", Http2Limits(), DateStamp())
        return Http1Server("http", Http1Limits(), DateStamp(), now)

    def client(self) -> End:
        self._client_http2 = False
        end = End(self, HttpConnection(self.service))
        self.ends.append(end)
        end.connection.connection_made(end.transport)
        return end

    def client2(self) -> Client2:
        self._client_http2 = True
        end = Client2(self, HttpConnection(self.service))
        self.ends.append(end)
        end.connection.connection_made(end.transport)
        end.talk()
        return end

    # -- peers

    def _dial(self, number: int, home: Home) -> None:
        self.dialed.append((number, home))
        if self.accepts:
            self.accept()

    def accept(self) -> None:
        """The connection that was dialed first is had."""
        _, home = self.dialed.pop(0)
        connection = ClientConnection(self.context, home, lambda alpn: (self._client_codec(), self.http2))
        end = (Far2 if self.http2 else End)(self, connection)
        self.far.append(end)
        self.ends.append(end)
        connection.connection_made(end.transport)
        if isinstance(end, Far2) and self.greets:
            self.loop.call_soon(connection.data_received, b"".join(end.engine.pending()))

    def refuse(self, why: Reason) -> None:
        self.run(self.dialed.pop(0)[1].refused, why)

    def _client_codec(self) -> ClientCodec:
        return _http2_client(5.0)() if self.http2 else Http1Client(Http1Limits())

    # -- what was seen

    @property
    def reasons(self) -> list[str]:
        """Why exchanges ended as they did."""
        return [outcome.reason.name if outcome.reason else "" for outcome in self.ended.outcomes]
