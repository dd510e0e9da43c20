"""Requests that go one way or another, and requests that go two ways."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from enfilade.exchange.bodies import Stream
from enfilade.exchange.call import Call
from enfilade.exchange.exchange import Exchange, Handler
from enfilade.exchange.response import Response
from enfilade.handlers.proxy.proxy import Proxy
from enfilade.http.fields import Fields
from enfilade.http.reasons import Reason, reason
from enfilade.upstream.peer import Peer
from enfilade.upstream.split import Split

_CLIENT_GONE = reason("client_gone")


class SplitHandler:
    """Each exchange is answered by the branch that `split` chooses."""

    def __init__(self, split: Split, branches: Sequence[Handler]) -> None:
        self._split = split
        self._branches = branches

    def __call__(self, x: Exchange) -> Response | Awaitable[Response]:
        return self._branches[self._split.choose(x)](x)


class Mirror:
    """Asks `proxy`'s upstream the same as was asked for an exchange, where `sampled` says so, and forgets the answer. Only
    requests whose body is there as a whole (or that have none): one that flows has one reader only."""

    def __init__(self, proxy: Proxy, sampled: Callable[[], bool]) -> None:
        self._proxy = proxy
        self._sampled = sampled

    def __call__(self, x: Exchange) -> None:
        if x.request.protocol is None and x.body.whole is not None and self._sampled():
            self._proxy.upstream.send(_Shadow(self._proxy, x, x.body.whole))


class _Shadow:
    """The errand and the caller of a request that nobody waits for."""

    key = b""
    wanted: Peer | None = None

    def __init__(self, proxy: Proxy, x: Exchange, body: bytes) -> None:
        self._proxy = proxy
        self._x = x
        self._body = body
        self._peer: Peer | None = None

    def go(self, peer: Peer) -> None:
        self._peer = peer
        request = self._proxy.request_for(self._x, peer)
        self._proxy.upstream.carry(peer, Call(request, Stream.of(self._body), self))

    def give_up(self, why: Reason) -> None: ...

    def informed(self, call: Call, status: int, fields: Fields) -> None: ...

    def answered(self, call: Call, response: Response) -> None:
        assert self._peer is not None
        upstream = self._proxy.upstream
        upstream.answered(self._peer, call)
        if type(response.body) is bytes:
            upstream.finished(self._peer, call, None)
        else:
            upstream.cancel(self._peer, call, _CLIENT_GONE)

    def over(self, call: Call, why: Reason | None) -> None:
        assert self._peer is not None
        self._proxy.upstream.finished(self._peer, call, why)
