"""ASGI over WebSocket: one coroutine a path."""

from __future__ import annotations

import asyncio
from typing import Any

ACCEPT = {"type": "websocket.accept"}


def say(text: str) -> None:
    print(text, flush=True)


async def echo(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(ACCEPT)
    while (message := await receive())["type"] == "websocket.receive":
        await send({**message, "type": "websocket.send"})
    say(f"echo ended with {message['code']} {message['reason']}".rstrip())


async def protocols(scope: Any, receive: Any, send: Any) -> None:
    """Takes the last subprotocol that is offered, and tells how it was asked."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][-1], "headers": [(b"x-from", b"app")]})
    told = (scope["scheme"], scope["http_version"], scope["path"], scope["root_path"], scope["query_string"].decode())
    await send({"type": "websocket.send", "text": " ".join(told)})
    await receive()


async def closes(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(ACCEPT)
    await send({"type": "websocket.close", "code": 4001, "reason": "as was said"})


async def returns(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(ACCEPT)


async def raises(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send(ACCEPT)
    raise ZeroDivisionError("in the WebSocket")


async def refuses(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.close"})


async def denies(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "websocket.http.response.start", "status": 402, "headers": [(b"x-why", b"money")]})
    await send({"type": "websocket.http.response.body", "body": b"pay first"})


async def raises_first(scope: Any, receive: Any, send: Any) -> None:
    raise ZeroDivisionError("before it was accepted")


async def floods(scope: Any, receive: Any, send: Any) -> None:
    """Sends for ever; only a disconnect ends it."""
    await receive()
    await send(ACCEPT)
    try:
        while True:
            await send({"type": "websocket.send", "bytes": bytes(1 << 20)})
    except (OSError, asyncio.CancelledError) as error:
        say(f"flood ended by {type(error).__name__}")
        raise


async def deaf(scope: Any, receive: Any, send: Any) -> None:
    """Accepts, then neither listens nor ends."""
    await receive()
    await send(ACCEPT)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say("the deaf one was cancelled")
        raise


PAGES = {
    "/" + page.__name__: page
    for page in (echo, protocols, closes, returns, raises, refuses, denies, raises_first, floods, deaf)
}


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "websocket":
        await PAGES[scope["path"].removeprefix(scope["root_path"])](scope, receive, send)
        return
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("sockets have shut down")
    await send({"type": "lifespan.shutdown.complete"})
