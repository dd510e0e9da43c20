"""ASGI without a framework: one coroutine a path, for what frameworks do not let one do."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

MB = bytes(1 << 20)
FILE = __file__
SIZE = os.path.getsize(FILE)


def say(text: str) -> None:
    print(text, flush=True)


async def start(send: Any, *headers: tuple[bytes, bytes], status: int = 200, trailers: bool = False) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers), "trailers": trailers})


async def body(send: Any, data: bytes, more: bool = False) -> None:
    await send({"type": "http.response.body", "body": data, "more_body": more})


async def answer(send: Any, data: bytes, *headers: tuple[bytes, bytes]) -> None:
    await start(send, *headers)
    await body(send, data)


async def pid(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, str(os.getpid()).encode())


async def sse(scope: Any, receive: Any, send: Any) -> None:
    """One event at once, the next ones never: only a cancellation ends it."""
    await start(send, (b"content-type", b"text/event-stream"))
    await body(send, b"data: first\n\n", more=True)
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        say(f"cancelled {scope['query_string'].decode()}")
        raise


async def silent(scope: Any, receive: Any, send: Any) -> None:
    """Listens for the disconnect."""
    await receive()
    say("is listening")
    message = await receive()
    say(f"was told {message['type']}")


async def background(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"answered")
    say("background task begins")
    await asyncio.sleep(0.5)
    say(f"background task is done {scope['query_string'].decode()}")


async def gigabyte(scope: Any, receive: Any, send: Any) -> None:
    name = scope["query_string"].decode()
    await start(send)
    try:
        for i in range(1024):
            await body(send, MB, more=True)
            if i == 0:
                say(f"first megabyte is out {name}")
        await body(send, b"")
    except asyncio.CancelledError:
        say(f"gone {name}")
        raise


async def endless(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    try:
        while True:
            await body(send, MB, more=True)
    except (OSError, asyncio.CancelledError):
        say(f"gone {scope['query_string'].decode()}")
        raise


async def slow_reader(scope: Any, receive: Any, send: Any) -> None:
    """Takes its time for the first pieces, then reads as fast as it can."""
    size, pieces = 0, 0
    while True:
        message = await receive()
        size += len(message["body"])
        pieces += 1
        if pieces <= 20:
            await asyncio.sleep(0.02)
        if not message["more_body"]:
            break
    await answer(send, str(size).encode())


async def echo(scope: Any, receive: Any, send: Any) -> None:
    data = b""
    while (message := await receive())["more_body"]:
        data += message["body"]
    await answer(send, data + message["body"])


async def unread(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"did not look")


async def trailers(scope: Any, receive: Any, send: Any) -> None:
    await start(send, (b"trailer", b"x-sum"), trailers=True)
    await body(send, b"content", more=True)
    await body(send, b"")
    await send({"type": "http.response.trailers", "headers": [(b"x-sum", b"7")]})


async def hints(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.early_hint", "links": [b"</style.css>; rel=preload"]})
    await answer(send, b"page")


async def pathsend(scope: Any, receive: Any, send: Any) -> None:
    await start(send, (b"content-length", b"%d" % SIZE))
    await send({"type": "http.response.pathsend", "path": FILE})


async def blocks(scope: Any, receive: Any, send: Any) -> None:
    time.sleep(0.2)  # noqa: ASYNC251
    await answer(send, b"at last")


async def raises(scope: Any, receive: Any, send: Any) -> None:
    raise ZeroDivisionError("before the answer")


async def raises_midstream(scope: Any, receive: Any, send: Any) -> None:
    await start(send)
    await body(send, b"half of it", more=True)
    raise ZeroDivisionError("in the middle")


async def too_short(scope: Any, receive: Any, send: Any) -> None:
    await start(send, (b"content-length", b"100"))
    await body(send, b"short", more=True)
    await body(send, b"")


async def too_long(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"much too long", (b"content-length", b"3"))


async def says_nothing(scope: Any, receive: Any, send: Any) -> None:
    return


async def bad_fields(scope: Any, receive: Any, send: Any) -> None:
    await answer(send, b"", (b"x-split", b"a\r\nset-cookie: evil=1"))


PAGES = {
    "/" + page.__name__: page
    for page in (
        pid, sse, silent, background, gigabyte, endless, slow_reader, echo, unread, trailers, hints, pathsend, blocks, raises,
        raises_midstream, too_short, too_long, says_nothing, bad_fields,
    )
}  # fmt: skip


async def app(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await PAGES[scope["path"].removeprefix(scope["root_path"])](scope, receive, send)
        return
    assert scope["type"] == "lifespan"
    assert (await receive())["type"] == "lifespan.startup"
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("plain has shut down")
    await send({"type": "lifespan.shutdown.complete"})


async def refuses(scope: Any, receive: Any, send: Any) -> None:
    """Its start-up fails."""
    assert scope["type"] == "lifespan"
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "the database is not there"})
