"""The admin listener: metrics and status to read, reload, stop and purge to ask for. Off unless the configuration names it."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import parse_qsl

import msgspec

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.handlers.methods import refuse_method
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

NO_ROUTE = reason("no_route")
REFUSED = reason("admin_refused")
JSON = (b"content-type", b"application/json")
NO_STORE = (b"cache-control", b"no-store")
TOO_LARGE = reason("body_too_large")
MAX_BODY = 1 << 20
"""Bytes of what is asked for."""
LOCAL_HOSTS = frozenset(("localhost", "127.0.0.1", "::1", ""))

Answer = tuple[int, object]
"""A status, and what becomes JSON."""
Reader = Callable[[], tuple[bytes, bytes]]
Question = Callable[[dict[str, str]], Awaitable[Answer]]
Action = Callable[[bytes], Awaitable[Answer]]


class Admin:
    """`readers` answer GET with a media type and a body. `questions` answer GET, of whose query they take what it names, and
    `actions` POST, of which they take the body.

    Without a token only who names this machine is heard, which a web page that points a name of its own at us does not; with
    one, who knows it. POST must say that it is JSON: a form of another site's page cannot.
    """

    def __init__(
        self,
        readers: dict[str, Reader],
        questions: dict[str, Question],
        actions: dict[str, Action],
        token: str | None = None,
    ) -> None:
        self._readers = readers
        self._questions = questions
        self._actions = actions
        self._token = None if token is None else b"Bearer " + token.encode()

    def __call__(self, x: Exchange) -> Response | Awaitable[Response]:
        request = x.request
        if not self._trusts(x):
            return error_response(REFUSED, x)
        question = self._questions.get(request.path)
        if question is not None or request.path in self._readers:
            if request.method not in ("GET", "HEAD"):
                return refuse_method(x, ("GET", "HEAD"))
            if question is not None:
                return _answered(question(dict(parse_qsl(request.query.decode("latin-1")))))
            media, body = self._readers[request.path]()
            return Response(200, Fields([(b"content-type", media), NO_STORE]), body)
        action = self._actions.get(request.path)
        if action is None:
            return error_response(NO_ROUTE, x)
        if request.method != "POST":
            return refuse_method(x, ("POST",))
        if (request.fields.get(b"content-type") or b"").partition(b";")[0].strip().lower() != b"application/json":
            return error_response(REFUSED, x)
        return _act(action, x)

    def _trusts(self, x: Exchange) -> bool:
        fields = x.request.fields
        if self._token is not None:
            return hmac.compare_digest(fields.get(b"authorization") or b"", self._token)
        return x.request.host in LOCAL_HOSTS and b"origin" not in fields


async def _act(action: Action, x: Exchange) -> Response:
    body = b""
    while piece := await x.body.read():
        body += piece
        if len(body) > MAX_BODY:
            return error_response(TOO_LARGE, x)
    return await _answered(action(body))


async def _answered(answering: Awaitable[Answer]) -> Response:
    status, facts = await answering
    return Response(status, Fields([JSON, NO_STORE]), msgspec.json.encode(facts))
