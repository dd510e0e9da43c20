"""Fakes of the connection, for applications called through their handler."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import uvloop

from enfilade.exchange.bodies import Stream, empty_body
from enfilade.exchange.exchange import Exchange, Match, Route
from enfilade.exchange.response import Response, Tunnel
from enfilade.http.ends import Ends
from enfilade.http.fields import Fields
from enfilade.http.request import Request


class FakeCarrier:
    def __init__(self) -> None:
        self.informed: list[tuple[int, Fields]] = []

    def inform(self, stream: int, status: int, fields: Fields) -> None:
        self.informed.append((status, fields))

    def now(self) -> float:
        return 0.0


def body_of(*pieces: bytes) -> Stream:
    body = Stream()
    for piece in pieces:
        body.write(piece)
    body.end()
    return body


def make(
    method: str = "GET", path: str = "/", *, query: bytes = b"", fields: Any = (), body: Stream | None = None, mount: str = "",
    version: str = "1.1", scheme: str = "http", protocol: str | None = None, raw_path: bytes | None = None,
    ends: Ends | None = None,
) -> Exchange:  # fmt: skip
    raw = path.encode() if raw_path is None else raw_path
    request = Request(method, scheme, "example.com", "example.com", path, raw, query, Fields(fields), version, protocol)
    ends = ends or Ends(("198.51.100.7", 4711), ("192.0.2.1", 80), scheme)
    match = Match(Route("example.com", mount + "/*", lambda x: Response(404)), {}, mount)
    return Exchange(request, empty_body() if body is None else body, ends, FakeCarrier(), 1, 0.0, match)


def from_callback(call: Callable[[], Any]) -> Awaitable[Any]:
    """`call()` as the connection does it: in a callback of the loop, where no task is running."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Any] = loop.create_future()

    def step() -> None:
        try:
            result.set_result(call())
        except BaseException as error:
            result.set_exception(error)

    loop.call_soon(step)
    return result


async def answer(handler: Any, x: Exchange) -> Response:
    got = await from_callback(lambda: [handler(x)])
    response = got[0]
    if not isinstance(response, Response):
        response = await response
    assert isinstance(response, Response)
    return response


async def content(response: Response) -> bytes:
    body = response.body
    assert not isinstance(body, Tunnel)
    if isinstance(body, bytes):
        return body
    if isinstance(body, Stream):
        return await body.read_all()
    try:
        return os.pread(body.fd, body.length, body.offset)
    finally:
        body.close()


def run(main: Coroutine[Any, Any, Any]) -> Any:
    return uvloop.run(asyncio.wait_for(main, 10))
