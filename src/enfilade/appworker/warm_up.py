"""A request of our own before the first of anybody else: what the application makes at the first one is there then."""

from __future__ import annotations

import asyncio
import time

from enfilade.exchange.bodies import Stream, empty_body
from enfilade.exchange.exchange import Exchange, Handler, Match, Route
from enfilade.exchange.response import FileSlice, Response
from enfilade.http.ends import Ends
from enfilade.http.fields import Fields
from enfilade.http.request import Request
from enfilade.http.uri import UriError, split_target

_FIELDS = Fields([(b"host", b"localhost"), (b"user-agent", b"enfilade"), (b"accept", b"*/*")])
_ENDS = Ends(("127.0.0.1", 0), ("127.0.0.1", 80))


class WarmUpFailed(Exception):
    """The application cannot serve; the text says why."""


async def warm_up(handler: Handler, target: str, timeout: float) -> None:
    """Have `handler` answer `GET target` as asked from this machine. Raises WarmUpFailed where the answer is not complete within
    `timeout` seconds, or is an error of the server's (5xx)."""
    try:
        path, raw_path, query = split_target(target.encode())
    except UriError:
        raise WarmUpFailed(f"{target!r} is not a path that can be asked for") from None
    request = Request("GET", "http", "localhost", "localhost", path, raw_path, query, _FIELDS, "1.1")
    match = Match(Route("", "", handler), {}, "")
    x = Exchange(request, empty_body(), _ENDS, _Nobody(), 1, time.monotonic(), match)
    try:
        status = await asyncio.wait_for(_status_of(handler, x), timeout)
    except asyncio.TimeoutError:  # another one before Python 3.11
        raise WarmUpFailed(f"GET {target} was not answered within {timeout:g} seconds") from None
    if status >= 500:
        raise WarmUpFailed(f"GET {target} was answered with {status}")


async def _status_of(handler: Handler, x: Exchange) -> int:
    answer = handler(x)
    response = answer if isinstance(answer, Response) else await answer
    body = response.body
    if isinstance(body, Stream):
        while await body.read():
            pass
    elif isinstance(body, FileSlice):
        body.close()
    return response.status


class _Nobody:
    """There is no connection."""

    def inform(self, stream: int, status: int, fields: Fields) -> None:
        """Nobody is there to be informed."""

    def now(self) -> float:
        return time.monotonic()
