"""Somebody else is asked about each request: whom they let in comes in, and their answer goes to all others."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from enfilade.exchange.exchange import Carrier, Exchange, Filter, Handler
from enfilade.exchange.identity import Identity
from enfilade.exchange.response import Response, let_go
from enfilade.exchange.told import Told
from enfilade.http.fields import Fields, Pair
from enfilade.http.request import Request


class ForwardAuth(Filter):
    """Lets requests pass where `ask` answers 2xx to the `question` about them.

    `copy`: names of fields of that answer which whoever answers the request is told; the first says who it is. Its cookies go to
    the client in any case: they may be new ones.
    """

    def __init__(self, ask: Handler, question: Callable[[Request], Request], copy: Sequence[bytes]) -> None:
        self._ask = ask
        self._question = question
        self._copy = copy
        self._told = Told(copy)

    def on_request(self, x: Exchange) -> Response | Awaitable[Response | None] | None:
        fields = self._told.clear(x.request.fields)
        if fields is not x.request.fields:
            x.request = x.request.with_fields(fields)
        answer = self._ask(x.with_request(self._question(x.request), _Unheard(x.carrier)))
        return self._judge(x, answer) if isinstance(answer, Response) else self._wait(x, answer)

    def on_response(self, x: Exchange, r: Response) -> Response:
        cookies: list[Pair] | None = x.kept(ForwardAuth)
        return r.with_fields(r.fields.adding(*cookies)) if cookies else r

    async def _wait(self, x: Exchange, answer: Awaitable[Response]) -> Response | None:
        return self._judge(x, await answer)

    def _judge(self, x: Exchange, answer: Response) -> Response | None:
        if not 200 <= answer.status < 300:
            return answer
        let_go(answer.body)
        told = [pair for name in self._copy for pair in answer.fields if pair[0] == name]
        if told:
            x.request = x.request.with_fields(x.request.fields.adding(*told))
        x.keep(Identity, _identity(answer.fields, self._copy))
        cookies = [pair for pair in answer.fields if pair[0] == b"set-cookie"]
        if cookies:
            x.keep(ForwardAuth, cookies)
        return None


class _Unheard:
    """The client hears nothing of what comes before an answer that is not for it."""

    def __init__(self, carrier: Carrier) -> None:
        self.now = carrier.now

    def inform(self, stream: int, status: int, fields: Fields) -> None: ...


def _identity(fields: Fields, names: Sequence[bytes]) -> Identity:
    said = {
        name.decode(): value.decode("utf-8", "replace") for name in names if (value := fields.get(name)) is not None
    }
    return Identity(said.get(names[0].decode(), "") if names else "", said)
