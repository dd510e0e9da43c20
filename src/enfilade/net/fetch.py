"""THE way to fetch a URL that was written down somewhere: everything else about the answer is in doubt, too (FAILURES 35)."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence

from enfilade.exchange.bodies import BodyAborted, Stream, empty_body
from enfilade.exchange.call import Call, Channel
from enfilade.exchange.fetch import Fetched, FetchError
from enfilade.exchange.response import Response
from enfilade.http.addresses import Addresses, Networks
from enfilade.http.fields import Fields, Pair
from enfilade.http.outbound import Public
from enfilade.http.reasons import Reason
from enfilade.http.request import Request
from enfilade.http.uri import Url, parse_url
from enfilade.net.client import CallLimits, ClientConnection, ClientContext
from enfilade.net.context import ConnectionLimits
from enfilade.net.dialer import client_tls, connect
from enfilade.net.resolver import Dns, ResolveError, Resolver
from enfilade.observe.metrics import ConnectionMeter, ConnectionRows
from enfilade.upstream.addresses import is_ip
from enfilade.upstream.names import Question
from enfilade.wire.codec import ClientCodec
from enfilade.wire.http1.client import Http1Client
from enfilade.wire.http1.limits import Http1Limits

TIMEOUT = 10.0
"""Seconds for all of one: looking up, connecting, TLS, the answer."""
CONNECT_TIMEOUT = 4.0
"""Seconds for one address of several."""
BODY = 1024 * 1024
ADDRESSES = 8
"""Of one name, that are tried."""
_OURS: tuple[Pair, ...] = ((b"user-agent", b"enfilade"), (b"accept", b"*/*"))
_LIMITS = Http1Limits()


class Fetcher:
    """A `Fetch`. Each is a connection of its own, to an address that was looked at.

    - `allow`: networks that may be connected to besides the public ones. `http`: URLs of http are fetched as well.
    - `authority`: a PEM file with those who vouch for servers instead of the system's authorities; it is read now. Raises OSError
      or ssl.SSLError.
    - `timeout`: seconds for all of one; `body`: bytes that an answer may have.

    No redirect is followed, no cookie is kept, and no proxy of the environment is used.
    """

    def __init__(
        self, allow: Addresses | None = None, *, http: bool = False, authority: str | None = None, timeout: float = TIMEOUT,
        body: int = BODY, resolver: Resolver | None = None,
    ) -> None:  # fmt: skip
        self._reachable = Public(Networks(()) if allow is None else allow)
        self._http = http
        self._tls = client_tls(authority=authority, protocols=("http/1.1",))
        self._timeout = timeout
        self._most = body
        self._resolver = Resolver(Dns()) if resolver is None else resolver

    async def __call__(self, method: str, url: str, fields: Sequence[Pair] = (), body: bytes = b"") -> Fetched:
        """See `Fetch`."""
        try:
            where = parse_url(url)
        except ValueError as error:
            raise FetchError(str(error)) from None
        request = Request(
            method, where.scheme, where.authority, where.host, where.path, where.raw_path, where.query,
            Fields(_OURS).setting(*fields, *([(b"content-length", b"%d" % len(body))] if body else [])), "1.1",
        )  # fmt: skip
        try:
            async with asyncio.timeout(self._timeout):
                return await self._fetch(where, request, body)
        except TimeoutError:
            raise FetchError(f"{where}: not within {self._timeout:g} s") from None
        except _Failure as failure:
            raise FetchError(f"{where}: {failure}") from None

    async def addresses(self, host: str) -> list[str]:
        """Those of `host` that may be connected to. Raises FetchError."""
        try:
            return await self._addresses(host)
        except _Failure as failure:
            raise FetchError(f"{host}: {failure}") from None

    async def _fetch(self, where: Url, request: Request, body: bytes) -> Fetched:
        if where.scheme == "http" and not self._http:
            raise _Failure("only https is allowed")
        connection, errand = await self._connect(where, await self._addresses(where.host))
        try:
            connection.carry(Call(request, Stream.of(body) if body else empty_body(), errand))
            answer = await errand.answer
            return Fetched(answer.status, answer.fields, await _read(answer, self._most))
        except BodyAborted as broken:
            raise _Failure(broken.reason.text) from None
        finally:
            connection.close()

    async def _addresses(self, host: str) -> list[str]:
        """Those of `host` that may be connected to."""
        try:
            found = [host] if is_ip(host) else [r.host for r in (await self._resolver.find(Question(host))).records]
        except ResolveError as error:
            raise _Failure(str(error)) from None
        reachable = [ip for ip in found if ip in self._reachable]
        if not reachable:
            raise _Failure(f"{found[0]} is not a public address; if it is the right one, it must be allowed")
        return reachable[:ADDRESSES]

    async def _connect(self, where: Url, addresses: Sequence[str]) -> tuple[ClientConnection, _Errand]:
        """To the first that can be had."""
        why = ""
        for ip in addresses:
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT):
                    return await self._dial(where, ip)
            except TimeoutError:
                why = f"{ip} does not accept within {CONNECT_TIMEOUT:g} s"
            except ssl.SSLError as error:
                why = getattr(error, "verify_message", "") or error.reason or str(error)
            except OSError as error:
                why = f"{ip}: {error.strerror or error}"
        raise _Failure(why)

    async def _dial(self, where: Url, ip: str) -> tuple[ClientConnection, _Errand]:
        loop = asyncio.get_running_loop()
        errand = _Errand(loop)
        context = ClientContext(
            calls=CallLimits(), loop=loop, limits=ConnectionLimits(), meter=_UNCOUNTED, connections=set()
        )
        connection = ClientConnection(context, errand, _engine)
        tls = self._tls if where.scheme == "https" else None
        await connect(loop, lambda: connection, (ip, where.port), tls=tls, server_name=where.host)
        return connection, errand


class _Failure(Exception):
    """Why there is no answer."""


class _Errand:
    """One call: the home of its connection, and its caller."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.answer: asyncio.Future[Response] = loop.create_future()

    # -- Home

    crowded = False

    def opened(self, channel: Channel) -> None: ...
    def refused(self, why: Reason) -> None: ...
    def freed(self, channel: Channel) -> None: ...
    def lost(self, channel: Channel) -> None: ...

    # -- Caller

    def informed(self, call: Call, status: int, fields: Fields) -> None: ...

    def answered(self, call: Call, response: Response) -> None:
        if not self.answer.done():
            self.answer.set_result(response)

    def over(self, call: Call, why: Reason | None) -> None:
        if why is not None and not self.answer.done():
            self.answer.set_exception(_Failure(why.text))


async def _read(answer: Response, most: int) -> bytes:
    body = answer.body
    if isinstance(body, bytes):
        body = Stream.of(body)
    assert isinstance(body, Stream), "a call without an upgrade opens no tunnel"
    found = bytearray()
    while piece := await body.read():
        found += piece
        if len(found) > most:
            raise _Failure(f"the answer has more than {most} bytes")
    return bytes(found)


def _engine(alpn: str | None) -> tuple[ClientCodec, bool]:
    return Http1Client(_LIMITS), False


class _NoMeter(ConnectionMeter):
    """What we fetch ourselves is no traffic."""

    def received(self, size: int) -> None: ...
    def sent(self, size: int) -> None: ...
    def rejected(self, reason: Reason) -> None: ...


_UNCOUNTED = _NoMeter(memoryview(b"").cast("q"), ConnectionRows(0, 0, 0, 0, 0))
