"""ASGI: what a bad day brings. `/slow` answers after a second, `/fail` raises, `/large` is one megabyte, the rest is a hello."""

from __future__ import annotations

import asyncio

from bench.apps.asgi import Message, Receive, Send
from bench.apps.asgi import app as hello

LARGE = b"x" * 1_000_000


async def app(scope: Message, receive: Receive, send: Send) -> None:
    path = scope.get("path")
    if path == "/fail":
        raise RuntimeError("as asked for")
    if path == "/large":
        headers = [(b"content-length", b"%d" % len(LARGE))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": LARGE})
        return
    if path == "/slow":
        await asyncio.sleep(1)
    await hello(scope, receive, send)
