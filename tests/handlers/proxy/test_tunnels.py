"""WebSockets through the proxy, in every combination of versions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.handlers.proxy.kit import GET, OK, Client2, End, Far2, Scene

from enfilade.config.schema import Upstream as UpstreamTable
from enfilade.http.fields import Fields
from enfilade.http.upgrade import accept_key
from enfilade.wire.events import DataReceived, MessageEnded, ResponseReceived, StreamClosed

Make = Callable[..., Scene]
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = (
    b"GET /chat HTTP/1.1\r\nhost: a.example\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: " + KEY + b"\r\nsec-websocket-protocol: a, b\r\n\r\n"
)
VERSIONS = [(1, 1), (2, 1), (1, 2), (2, 2)]


def key_of(head: bytes) -> bytes:
    (line,) = [line for line in head.split(b"\r\n") if line.startswith(b"sec-websocket-key: ")]
    return line.partition(b": ")[2]


def accepts(head: bytes, *, rest: bytes = b"") -> bytes:
    return (
        b"HTTP/1.1 101 On\r\nupgrade: websocket\r\nconnection: upgrade, x-hop\r\nx-hop: 1\r\nsec-websocket-protocol: b\r\n"
        b"sec-websocket-accept: " + accept_key(key_of(head)) + b"\r\n\r\n" + rest
    )


class Socket:
    """A tunnel with both its ends, whatever they speak."""

    def __init__(self, scene: Make, client: int, peer: int, early: bytes = b"", **options: Any) -> None:
        self.s = scene(http2=peer == 2, **options)
        self.client: Any = self.s.client2() if client == 2 else self.s.client()
        self.stream = 0
        if isinstance(self.client, Client2):
            fields = [(b"sec-websocket-version", b"13"), (b"sec-websocket-protocol", b"a, b")]
            self.stream = self.client.asks(b"/chat", fields, method="CONNECT", end=False, protocol="websocket")
        else:
            self.client.says(HANDSHAKE)
        self.far: Any = self.s.far[0]
        if isinstance(self.far, Far2):
            self.far.talk()
            self.far.engine.accept(1, Fields([(b"sec-websocket-protocol", b"b")]))
            if early:
                self.far.engine.data(1, early)
            self.far.talk()
            self.head = b""
        else:
            self.head = self.far.got()
            self.far.says(accepts(self.head, rest=early))
        if isinstance(self.client, Client2):
            self.client.talk()

    def send(self, end: End, data: bytes) -> None:
        if isinstance(end, Client2 | Far2):
            end.engine.data(self.stream or 1, data)
            end.talk()
        else:
            end.says(data)

    def read(self, end: End) -> bytes:
        if not isinstance(end, Client2 | Far2):
            return end.got()
        end.talk()
        data = b"".join(e.data for e in end.told(DataReceived))
        end.events = [e for e in end.events if type(e) is not DataReceived]
        return data

    def over(self, end: End) -> bool:
        """Whether this end has heard that it is."""
        if not isinstance(end, Client2 | Far2):
            return end.closed
        end.talk()
        return bool(end.told(MessageEnded) or end.told(StreamClosed))

    @property
    def forgotten(self) -> bool:
        """Nothing of it is left in between."""
        peer = self.s.upstream.peers[0]
        return peer.in_flight == 0 and not any(end.connection.open for end in self.s.ends)


@pytest.mark.parametrize(("client", "peer"), VERSIONS)
def test_bytes_flow_both_ways(scene: Make, client: int, peer: int) -> None:
    t = Socket(scene, client, peer)
    if client == 1:
        head = t.client.got()
        assert head.startswith(b"HTTP/1.1 101 ") and b"upgrade: websocket\r\n" in head and b"x-hop" not in head
        assert (
            b"sec-websocket-accept: " + accept_key(KEY) + b"\r\n" in head and b"sec-websocket-protocol: b\r\n" in head
        )
    else:
        (answer,) = t.client.told(ResponseReceived)
        assert answer.status == 200 and answer.fields.get(b"sec-websocket-protocol") == b"b"
        assert b"sec-websocket-accept" not in answer.fields and b"x-hop" not in answer.fields
    if peer == 1:
        assert t.head.startswith(b"GET /chat HTTP/1.1\r\n") and b"sec-websocket-protocol: a, b\r\n" in t.head
        assert b"upgrade: websocket\r\nconnection: upgrade\r\n" in t.head and KEY not in t.head
    else:
        asked = t.far.asked[1]
        assert (asked.method, asked.protocol, asked.raw_path) == ("CONNECT", "websocket", b"/chat")
        assert b"sec-websocket-key" not in asked.fields
    for piece in (b"one", b"two"):
        t.send(t.client, piece)
        assert t.read(t.far) == piece
        t.send(t.far, piece * 2)
        assert t.read(t.client) == piece * 2


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(("client", "peer"), VERSIONS)
def test_bytes_that_come_with_the_acceptance(scene: Make, client: int, peer: int, waits: bool) -> None:
    size = 64 * 1024
    t = Socket(scene, client, peer, early=b"x" * 16_000, waits=waits)
    assert t.read(t.client).endswith(b"x" * 16_000)
    for _ in range(5 * size // 16_000):  # all of it counts as read
        t.send(t.far, b"y" * 16_000)
        assert t.read(t.client) == b"y" * 16_000
    assert t.far.transport.reading


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(("client", "peer"), VERSIONS)
def test_the_client_closes_first(scene: Make, client: int, peer: int, waits: bool) -> None:
    t = Socket(scene, client, peer, waits=waits)
    t.send(t.client, b"bye")
    if client == 2:
        t.client.engine.end(t.stream)
        t.client.talk()
    else:
        t.client.ends()
    assert t.read(t.far).endswith(b"bye") and t.over(t.far)
    if peer == 2 and client == 2:
        t.far.engine.end(1)
        t.far.talk()
    assert t.over(t.client) and t.forgotten


@pytest.mark.parametrize("waits", [False, True])
@pytest.mark.parametrize(("client", "peer"), VERSIONS)
def test_the_peer_closes_first(scene: Make, client: int, peer: int, waits: bool) -> None:
    t = Socket(scene, client, peer, waits=waits)
    t.send(t.far, b"bye")
    if peer == 2:
        t.far.engine.end(1)
        t.far.talk()
    else:
        t.far.ends()
    assert t.read(t.client).endswith(b"bye") and t.over(t.client) and t.over(t.far)
    if client == 2:
        t.client.engine.end(t.stream)
        t.client.talk()
    assert t.forgotten and t.s.reasons == [""]


@pytest.mark.parametrize(("client", "peer"), VERSIONS)
@pytest.mark.parametrize("who", ["client", "peer"])
def test_an_end_that_vanishes(scene: Make, client: int, peer: int, who: str) -> None:
    t = Socket(scene, client, peer)
    gone, other = (t.client, t.far) if who == "client" else (t.far, t.client)
    gone.breaks()
    assert t.over(other) and t.forgotten


@pytest.mark.parametrize("early", [b"", b"early"])
def test_a_peer_that_closes_with_its_acceptance(scene: Make, early: bytes) -> None:
    """While a filter still looks at the answer."""
    s = scene(waits=True)
    client = s.client()
    client.says(HANDSHAKE)
    far = s.far[0]
    answer = accepts(far.got(), rest=early)

    def both() -> None:
        far.connection.data_received(answer)
        far.connection.eof_received()

    s.run(both)
    assert client.got().endswith(b"\r\n\r\n" + early) and client.closed
    far.breaks()
    assert s.upstream.peers[0].in_flight == 0 and not any(end.connection.open for end in s.ends)


@pytest.mark.parametrize(("client", "peer"), VERSIONS)
def test_backpressure_towards_the_client(scene: Make, client: int, peer: int) -> None:
    t = Socket(scene, client, peer)
    t.read(t.client)
    t.client.stops_reading()
    sent = 0
    while t.far.transport.reading and (peer == 1 or t.far.engine.window(1) >= 16_000):
        t.send(t.far, b"x" * 16_000)
        sent += 16_000
        assert sent < 1_000_000
    t.client.reads_on()
    got = 0
    while piece := t.read(t.client):
        got += piece.count(b"x")
        if peer == 2:
            t.far.talk()
    assert got == sent and t.far.transport.reading


@pytest.mark.parametrize(("client", "peer"), VERSIONS)
def test_backpressure_towards_the_peer(scene: Make, client: int, peer: int) -> None:
    t = Socket(scene, client, peer)
    t.read(t.far)
    t.far.stops_reading()
    sent = 0
    while t.client.transport.reading and (client == 1 or t.client.engine.window(t.stream) >= 16_000):
        t.send(t.client, b"x" * 16_000)
        sent += 16_000
        assert sent < 1_000_000
    t.far.reads_on()
    got = 0
    while piece := t.read(t.far):
        got += piece.count(b"x")
        if client == 2:
            t.client.talk()
    assert got == sent and t.client.transport.reading


def test_no_time_out_ends_a_tunnel(scene: Make) -> None:
    t = Socket(scene, 1, 1)
    t.client.got()
    t.s.wait(7200.0)
    t.send(t.far, b"still here")
    assert t.read(t.client) == b"still here"


@pytest.mark.parametrize("client", [1, 2])
@pytest.mark.parametrize("status", [200, 204, 403, 500])
def test_a_refused_upgrade(scene: Make, client: int, status: int) -> None:
    """A 2xx that opens nothing must not look to a client of HTTP/2 as if it did."""
    s = scene()
    end: Any = s.client2() if client == 2 else s.client()
    if isinstance(end, Client2):
        end.asks(b"/chat", method="CONNECT", end=False, protocol="websocket")
    else:
        end.says(HANDSHAKE)
    s.far[0].says(
        b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n" % (status, 2 * (status != 204)) + b"no" * (status != 204)
    )
    expected = 502 if status < 300 else status
    if isinstance(end, Client2):
        end.talk()
        assert [e.status for e in end.told(ResponseReceived)] == [expected]
    else:
        assert end.got().startswith(b"HTTP/1.1 %d " % expected)
    assert s.upstream.peers[0].in_flight == 0


@pytest.mark.parametrize(
    "lie",
    [
        lambda head: accepts(head).replace(
            accept_key(key_of(head)), accept_key(KEY)
        ),  # the answer to the client's own key
        lambda head: accepts(head).replace(b"sec-websocket-accept", b"x"),
        lambda head: accepts(head).replace(b"upgrade: websocket", b"upgrade: h2c"),
        lambda head: accepts(head).replace(b"connection: upgrade", b"connection: x"),
    ],
)
def test_an_acceptance_that_is_none_f5(scene: Make, lie: Callable[[bytes], bytes]) -> None:
    s = scene(table=UpstreamTable(retries=0, eject=False))
    client = s.client()
    client.says(HANDSHAKE)
    s.far[0].says(lie(s.far[0].got()))
    assert client.got().startswith(b"HTTP/1.1 502 ") and s.far[0].closed and s.upstream.peers[0].in_flight == 0


def test_an_upgraded_connection_never_goes_back_f5(scene: Make) -> None:
    t = Socket(scene, 1, 1)
    other = t.s.client()
    other.says(GET)
    assert len(t.s.far) == 2
    t.s.far[1].says(OK)
    t.far.ends()
    other.says(GET)
    assert t.s.far[1].got().count(b"GET / ") == 2 and len(t.s.far) == 2


def test_h2c_is_not_asked_for_f5(scene: Make) -> None:
    s = scene()
    s.client().says(
        b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__\r\n"
        b"connection: upgrade, http2-settings\r\n\r\n"
    )
    head = s.far[0].got()
    assert b"h2c" not in head and b"http2-settings" not in head and b"connection" not in head


def test_an_http2_peer_without_websockets(scene: Make) -> None:
    s = scene(http2=True, tunnels=False)
    client = s.client()
    client.says(HANDSHAKE)
    assert client.got().startswith(b"HTTP/1.1 502 ") and s.reasons == ["no_tunnel"]
    s.client().says(GET)
    (far,) = s.far
    far.talk()
    assert list(far.asked) == [1]


def test_at_the_end_of_the_worker_tunnels_are_cut(scene: Make) -> None:
    t = Socket(scene, 1, 1)
    t.s.run(t.client.connection.dismiss)
    assert t.client.closed and t.far.closed and t.forgotten
