"""At the edge: an application in processes of its own, as a Handler. Its workers are the peers of an upstream."""

from __future__ import annotations

from collections.abc import Awaitable

from enfilade.exchange.call import Call
from enfilade.exchange.exchange import Exchange, Handler
from enfilade.exchange.response import Response
from enfilade.handlers.proxy.proxy import Proxy
from enfilade.http.fields import Fields
from enfilade.http.linked import LinkedRequest
from enfilade.http.request import Request
from enfilade.upstream.peer import Peer

_ALIVE = Response(
    200, Fields([(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]), b"ok\n"
)


class IsolatedApp(Proxy):
    """Hands exchanges on as they came, with what the application is to know of the client's connection; its answers are the
    client's."""

    def request_for(self, x: Exchange, peer: Peer) -> Request:
        """See `Proxy.request_for`."""
        remembered: tuple[object, Request] | None = x.request.forwarded
        if remembered is not None and remembered[0] is self:
            return remembered[1]
        request = LinkedRequest.of(x.request, x.ends, x.match.mount)
        x.request.forwarded = self, request
        return request

    def answer_of(self, x: Exchange, call: Call, answer: Response) -> Response:
        """See `Proxy.answer_of`."""
        return answer


class Alive:
    """Answers `path` in place of `app`, which may still be starting."""

    def __init__(self, path: str, app: Handler) -> None:
        self._path = path
        self._app = app

    def __call__(self, x: Exchange) -> Response | Awaitable[Response]:
        return _ALIVE if x.request.path == self._path else self._app(x)
