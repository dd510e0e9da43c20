"""TlsTransport between a fake socket and a fake connection; the client is OpenSSL."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from cryptography import x509
from tests.certificates import self_signed
from tests.net.kit import Meter, Transport

from enfilade.net.context import ConnectionLimits
from enfilade.net.tls import Clients, NoContext, context_for, listener_context
from enfilade.net.tls_transport import FLUSH, NOTHING_ASKED, RECORD, TlsTransport

CERTIFICATE = self_signed(["localhost"])
CONTEXT = context_for(CERTIFICATE)
TIMEOUT = 10.0


class Socket(Transport):
    """Keeps what was written in the pieces in which it was."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[bytes] = []

    def write(self, data: Any) -> None:
        assert not self.closed
        self.pieces.append(bytes(data))

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return f"the socket's {name}"


class App:
    """Remembers what it is told; `keep`: it goes on after the client's end."""

    def __init__(self) -> None:
        self.got: list[bytes] = []
        self.told: list[str] = []
        self.keep = False

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.got.append(data)

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.keep

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")

    def __getattr__(self, name: str) -> Any:
        return lambda *args: self.told.append(name)


class World:
    """A client at the other end of a TlsTransport; it stands in for the Service, too."""

    def __init__(
        self,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        ours: ssl.SSLContext = CONTEXT,
        validations: Mapping[str, ssl.SSLContext] = NOTHING_ASKED,
        offers: Sequence[str] = ("h2",),
    ) -> None:
        self.now = 100.0
        self.clock = lambda: self.now
        self.limits = ConnectionLimits(handshake_timeout=TIMEOUT)
        self.connections: set[Any] = set()
        self.full = False
        self.meter = Meter()
        self.reasons = self.meter.reasons
        self.app, self.socket = App(), Socket()
        self.tls = TlsTransport(self, lambda: ours, lambda: self.app, validations)  # type: ignore[arg-type]
        self.tls.connection_made(self.socket)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.maximum_version = version
        context.set_alpn_protocols(offers)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.client = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    def hello(self) -> bytes:
        with pytest.raises(ssl.SSLWantReadError):
            self.client.do_handshake()
        return self._out.read()

    def hello_in_pieces(self, cut: int) -> None:
        self._out.write(self.hello())
        self.carry(cut)

    def carry(self, cut: int = 0) -> None:
        """What the client has for the server, in pieces of `cut` bytes; and back."""
        data = self._out.read()
        for at in range(0, len(data), cut or len(data) or 1):
            self.tls.data_received(data[at : at + cut] if cut else data)
        for piece in self.socket.pieces:
            self._in.write(piece)
        self.socket.pieces.clear()

    def shake_hands(self, cut: int = 0) -> World:
        while True:
            try:
                self.client.do_handshake()
            except ssl.SSLWantReadError:
                self.carry(cut)
            else:
                self.carry(cut)
                return self

    def says(self, *data: bytes, cut: int = 0) -> None:
        for piece in data:
            self.client.write(piece)
        self.carry(cut)

    def hears(self) -> bytes:
        self.carry()
        pieces = []
        while True:
            try:
                piece = self.client.read(65536)
            except ssl.SSLWantReadError:
                break
            if not piece:
                break
            pieces.append(piece)
        return b"".join(pieces)


@pytest.mark.parametrize("cut", [0, 1, 7])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_bytes_both_ways_however_they_are_cut(version: ssl.TLSVersion, cut: int) -> None:
    world = World(version).shake_hands(cut)
    world.says(b"GET /", b" HTTP/1.1", cut=cut)
    assert b"".join(world.app.got) == b"GET / HTTP/1.1" and len(world.app.got) == (2 if cut else 1)
    world.app.transport.write(b"200")
    world.app.transport.writelines([b" ", b"OK"])
    assert world.hears() == b"200 OK"


def test_the_connection_sees_the_handshake_and_the_socket() -> None:
    transport = World().shake_hands().app.transport
    assert transport.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    assert transport.get_extra_info("peername") == "the socket's peername"
    assert not transport.can_write_eof()


def test_the_first_request_may_come_with_the_end_of_the_handshake() -> None:
    world = World()
    world.hello()
    world = World()
    with pytest.raises(ssl.SSLWantReadError):
        world.client.do_handshake()
    world.carry()
    world.client.do_handshake()
    assert not world.app.got
    world.says(b"early")
    assert world.app.got == [b"early"]


def test_what_is_long_goes_in_pieces_and_comes_whole() -> None:
    world = World().shake_hands()
    sent = bytes(range(256)) * 2000
    world.app.transport.write(sent)
    assert max(map(len, world.socket.pieces)) <= FLUSH + RECORD
    assert world.hears() == sent
    world.says(sent)
    assert world.app.got == [sent], "all records of a read are handed on at once"


def test_close_says_so_to_the_client() -> None:
    world = World().shake_hands()
    world.app.transport.write(b"bye")
    world.app.transport.close()
    assert world.socket.closed and not world.socket.aborted
    assert world.hears() == b"bye"
    assert world.client.read(1) == b"", "close_notify, RFC 8446 section 6.1"
    world.app.transport.close()
    world.tls.connection_lost(None)
    assert world.app.told == ["lost"]


def test_what_is_written_behind_the_end_goes_nowhere() -> None:
    world = World().shake_hands()
    world.app.transport.close()
    world.app.transport.write(b"late")
    assert world.hears() == b"" and not world.reasons


def test_nothing_is_not_written() -> None:
    world = World().shake_hands()
    world.app.transport.write(b"")
    world.app.transport.writelines([])
    assert not world.socket.pieces and not world.socket.closed


@pytest.mark.parametrize("keep", [False, True])
def test_the_clients_close_notify_comes_behind_its_last_bytes(keep: bool) -> None:
    world = World().shake_hands()
    world.app.keep = keep
    world.client.write(b"last")
    with pytest.raises(ssl.SSLWantReadError):
        world.client.unwrap()
    world.carry()
    assert world.app.got == [b"last"] and world.app.told == ["eof"]
    assert world.socket.closed is not keep


def test_the_end_of_the_socket_is_the_end() -> None:
    world = World().shake_hands()
    assert world.tls.eof_received() is True
    assert world.app.told == ["eof"] and world.socket.closed
    assert not world.socket.pieces, "who is cut off is told nothing"


def test_whoever_stays_behind_the_end_of_the_socket_says_when_it_leaves() -> None:
    world = World().shake_hands()
    world.app.keep = True
    world.tls.eof_received()
    assert not world.socket.closed
    world.app.transport.close()
    world.hears()
    assert world.client.read(1) == b"", "close_notify"


@pytest.mark.parametrize("over", [False, True])
def test_nothing_stays_of_a_connection_that_is_lost(over: bool) -> None:
    """OpenSSL's memory for it is there for the next one at once, not only when Python looks for cycles."""
    world = World()
    if over:
        world.shake_hands()
    ours = weakref.ref(world.tls._tls)
    gc.disable()
    try:
        world.tls.eof_received()
        world.tls.connection_lost(None)
        del world.tls, world.app
        assert ours() is None
    finally:
        gc.enable()


def test_pressure_is_handed_on() -> None:
    world = World().shake_hands()
    world.tls.pause_writing()
    world.tls.resume_writing()
    assert world.app.told == ["pause_writing", "resume_writing"]


# -- protocols


@pytest.mark.parametrize("cut", [0, 1])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_who_offers_only_other_protocols_gets_an_alert_and_is_counted(version: ssl.TLSVersion, cut: int) -> None:
    world = World(version, listener_context(CONTEXT, lambda host: None), offers=("imap", "h3"))
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        world.shake_hands(cut)
    assert world.socket.closed and world.reasons == ["tls_error"] and not world.app.told


@pytest.mark.parametrize("offers", [("imap", "h2"), ("http/1.1",), ()])
def test_who_offers_one_of_ours_or_none_comes_in(offers: Sequence[str]) -> None:
    world = World(ours=listener_context(CONTEXT, lambda host: None), offers=offers).shake_hands()
    assert world.client.selected_alpn_protocol() == (offers[-1] if offers else None)
    world.says(b"hello")
    assert world.app.got == [b"hello"]


def test_where_no_protocol_is_ours_any_is_offered_in_vain() -> None:
    plain = context_for(CERTIFICATE, ())
    world = World(ours=listener_context(plain, lambda host: None, alpn=()), offers=("imap",))
    assert world.shake_hands().client.selected_alpn_protocol() is None


# -- what is no TLS


def test_no_tls_is_answered_by_an_alert_and_counted() -> None:
    world = World()
    world.tls.data_received(b"GET / HTTP/1.1\r\n\r\n")
    assert world.socket.closed and world.reasons == ["tls_error"]
    world.tls.connection_lost(None)
    assert not world.connections and not world.app.told


def test_a_malformed_record_ends_the_connection_and_is_counted() -> None:
    world = World().shake_hands()
    world.client.write(b"secret")
    data = bytearray(world._out.read())
    data[-1] ^= 1
    world.tls.data_received(bytes(data))
    assert world.socket.pieces and world.socket.closed and world.reasons == ["tls_error"] and not world.app.got


# -- as long as the handshake lasts


def test_a_handshake_that_takes_too_long_is_cut_and_counted_f11() -> None:
    world = World()
    world.tls.data_received(world.hello()[:20])
    assert world.connections == {world.tls}
    world.tls.sweep(world.now + TIMEOUT - 0.1)
    assert not world.socket.closed
    world.tls.sweep(world.now + TIMEOUT)
    assert world.socket.aborted and world.reasons == ["handshake_timeout"]


def test_without_a_time_out_it_may_last() -> None:
    world = World()
    world.limits.handshake_timeout = 0.0
    world.tls.sweep(world.now + 1e9)
    assert not world.socket.closed


def test_one_too_many_gets_no_handshake() -> None:
    world = World()
    world.full, socket = True, Socket()
    TlsTransport(world, lambda: CONTEXT, lambda: world.app).connection_made(socket)  # type: ignore[arg-type]
    assert socket.aborted and not socket.pieces and world.connections == {world.tls}
    assert world.reasons == ["connection_limit"]


@pytest.mark.parametrize("cut", [0, 1, 7])
@pytest.mark.parametrize("asking", ["the site", "the default site"])
def test_where_clients_are_asked_the_handshake_is_begun_with_the_sites_own_context(cut: int, asking: str) -> None:
    clients = Clients(CERTIFICATE.chain, b"", required=False)
    other = context_for(CERTIFICATE, clients=clients if asking == "the default site" else None)
    site = context_for(CERTIFICATE, clients=clients if asking == "the site" else None)
    world = World(ours=listener_context(other, {"localhost": site}.get)).shake_hands(cut)
    world.says(b"GET /", cut=cut)
    assert world.app.got == [b"GET /"]
    tls = world.app.transport.get_extra_info("ssl_object")
    assert tls.context is site and tls.sni == "localhost" and tls.getpeercert() is None
    assert not world.reasons


class Later:
    """Finds a context when there is one; until then it is to be looked for again when `ready` is done, or never."""

    def __init__(self, ready: asyncio.Future[None] | None) -> None:
        self.ready, self.found = ready, None  # type: asyncio.Future[None] | None, ssl.SSLContext | None

    def __call__(self, host: str) -> ssl.SSLContext:
        if self.found is None:
            raise NoContext(self.ready)
        return self.found


@pytest.mark.parametrize("cut", [0, 1, 7])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_handshake_waits_for_a_context_that_is_to_come(version: ssl.TLSVersion, cut: int) -> None:
    async def wait() -> None:
        later = Later(asyncio.get_running_loop().create_future())
        world = World(version, listener_context(CONTEXT, later))
        world.hello_in_pieces(cut)
        assert not world.socket.reading and not world.socket.pieces and not world.socket.closed
        assert later.ready is not None
        later.found = CONTEXT
        later.ready.set_result(None)
        await asyncio.sleep(0)
        assert world.socket.reading
        world.shake_hands(cut)
        world.says(b"GET /", cut=cut)
        assert b"".join(world.app.got) == b"GET /"
        assert world.app.transport.get_extra_info("ssl_object").sni == "localhost" and not world.reasons

    asyncio.run(wait())


@pytest.mark.parametrize("waited", [False, True])
def test_who_asks_for_a_name_that_has_none_is_told_and_counted(waited: bool) -> None:
    async def ask() -> None:
        ready = asyncio.get_running_loop().create_future()
        later = Later(ready if waited else None)
        world = World(ours=listener_context(CONTEXT, later))
        world.hello_in_pieces(0)
        if waited:
            later.ready = None
            ready.set_result(None)
            await asyncio.sleep(0)
        world.carry()
        with pytest.raises(ssl.SSLError, match="UNRECOGNIZED_NAME"):
            world.client.do_handshake()
        assert world.socket.closed and world.reasons == ["unknown_server_name"]

    asyncio.run(ask())


def test_who_does_not_wait_is_not_kept() -> None:
    async def leave() -> None:
        later = Later(asyncio.get_running_loop().create_future())
        world = World(ours=listener_context(CONTEXT, later))
        world.hello_in_pieces(0)
        world.tls.connection_lost(None)
        assert not world.connections
        assert later.ready is not None and not later.ready._callbacks  # type: ignore[attr-defined]

    asyncio.run(leave())


def test_after_it_the_worker_sees_the_connection_itself() -> None:
    world = World().shake_hands()
    assert not world.connections


def test_a_connection_whose_handshake_ends_in_a_drain_is_told() -> None:
    world = World()
    world.tls.drain()
    world.shake_hands()
    assert world.app.told == ["drain"]


VALIDATION = context_for(self_signed(["validation"]), ["acme-tls/1"])


@pytest.mark.parametrize("cut", [0, 1, 100])
def test_an_authority_that_looks_sees_what_it_asked_for_and_no_more(cut: int) -> None:
    world = World(validations={"localhost": VALIDATION}, offers=["acme-tls/1"]).shake_hands(cut)
    assert world.client.selected_alpn_protocol() == "acme-tls/1"
    shown = x509.load_der_x509_certificate(world.client.getpeercert(True) or b"")
    assert "validation" in shown.subject.rfc4514_string()
    assert world.socket.is_closing() and not world.app.told and not world.connections


@pytest.mark.parametrize(
    ("name", "offers"), [("localhost", ("h2", "acme-tls/1")), ("localhost", ("h2",)), ("other", ("acme-tls/1", "h2"))]
)
def test_everybody_else_is_served_meanwhile(name: str, offers: Sequence[str]) -> None:
    world = World(validations={name: VALIDATION}, offers=offers).shake_hands()
    assert world.client.selected_alpn_protocol() == "h2"
    world.says(b"GET")
    assert world.app.got == [b"GET"]


def test_who_asks_like_an_authority_without_having_to_is_served_nothing_special() -> None:
    world = World(validations={"other": VALIDATION}, offers=["acme-tls/1"]).shake_hands()
    assert world.client.selected_alpn_protocol() is None


def test_what_only_looks_like_it_is_no_reason_to_fail_otherwise() -> None:
    world = World(validations={"localhost": VALIDATION})
    world.tls.data_received(b"GET /acme-tls/1 HTTP/1.1\r\n\r\n")
    assert world.reasons == ["tls_error"]
