"""`/events`: one more for each `POST /next`, until `POST /end`; `/page`; `/long`; `/echo`: how much came, and its fields."""

import asyncio

PAGE = b"<p>hello, hello</p>\n" * 500
SECTION = [b"%6d hello\n" % i for i in range(5_000)]
waiting = []
calls = []


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    await ROUTES[path](scope, receive, send)


async def answer(send, body, *headers, status=200):
    await send(
        {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/html"), *headers]}
    )
    await send({"type": "http.response.body", "body": body})


async def page(scope, receive, send):
    """Cache-Control is what the query says; `x-calls` counts."""
    calls.append(scope)
    fields = dict(scope["headers"])
    said = [(b"etag", b'"v1"'), (b"x-calls", b"%d" % len(calls))]
    if scope["query_string"]:
        said.append((b"cache-control", scope["query_string"]))
    if fields.get(b"if-none-match") == b'"v1"':
        await answer(send, b"", *said, status=304)
    elif scope["method"] == "PUT":
        await answer(send, b"", status=204 if fields.get(b"if-match") == b'"v1"' else 412)
    else:
        await answer(send, PAGE, *said, (b"content-length", b"%d" % len(PAGE)))


async def events(scope, receive, send):
    queue = asyncio.Queue()
    waiting.append(queue)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]})
    await send({"type": "http.response.body", "body": b"data: open\n\n", "more_body": True})
    try:
        while event := await queue.get():
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    except (asyncio.CancelledError, OSError):
        print("left", scope["query_string"].decode(), flush=True)
        raise
    finally:
        waiting.remove(queue)


async def more(scope, receive, send):
    for queue in waiting:
        queue.put_nowait(b"data: " + scope["query_string"] + b"\n\n")
    await answer(send, b"")


async def end(scope, receive, send):
    for queue in waiting:
        queue.put_nowait(b"")
    await answer(send, b"")


async def long(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for line in SECTION:
        await send({"type": "http.response.body", "body": line, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


async def echo(scope, receive, send):
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message["body"])
        more = message["more_body"]
    fields = dict(scope["headers"])
    said = b"%d %s %s" % (size, fields.get(b"content-encoding", b"-"), fields.get(b"content-length", b"-"))
    await answer(send, said)


ROUTES = {"/page": page, "/events": events, "/next": more, "/end": end, "/long": long, "/echo": echo}


def wsgi(environ, start_response):
    """Reads as Django does: what Content-Length says, and nothing without it."""
    size = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    start_response("200 OK", [("Content-Type", "text/html")])
    return [b"%d %s\n" % (size, environ.get("HTTP_CONTENT_ENCODING", "-").encode())] * 200
