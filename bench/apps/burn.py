"""ASGI: `/burn` keeps the processor busy for 50 ms, the rest is a hello."""

from __future__ import annotations

import time

from bench.apps.asgi import Message, Receive, Send
from bench.apps.asgi import app as hello


async def app(scope: Message, receive: Receive, send: Send) -> None:
    if scope.get("path") == "/burn":
        until = time.thread_time() + 0.05
        while time.thread_time() < until:
            pass
    await hello(scope, receive, send)
