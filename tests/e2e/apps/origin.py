"""An origin for caches, which does what the query of a request says, and counts by the last part of the path.

`cc`: Cache-Control. `h`: a field, `name:value`; as often as wanted. `etag`, with what is asked by it. `status`. `size`: bytes
of the body, in pieces; `ranges`: a part of it for who asks for one. `gate`: wait for `POST /open/NAME`, `before` the answer or
in the `middle` of its body; `fail`: raise there. `echo`: the body is what that field says.
`/count/NAME`: how often it was asked for. `/left/NAME`: how often its client went away meanwhile. `POST /fail/NAME`: 503 from
now on; `POST /move/NAME`: another entity tag from now on. `/pid`: of its process.
"""

import asyncio
import os
from collections import Counter, defaultdict
from urllib.parse import parse_qsl

PIECE = 65536
asked, left = Counter(), Counter()
gates = defaultdict(asyncio.Event)
failing, moved = set(), set()


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise NotImplementedError
    rest, _, name = scope["path"].rpartition("/")
    control = CONTROLS.get(rest.rpartition("/")[2])
    if control is not None:
        await answer(send, 200, [(b"cache-control", b"no-store")], str(control(name) or 0).encode())
    elif name == "pid":
        await answer(send, 200, [(b"cache-control", b"no-store")], b"%d" % os.getpid())
    else:
        await say(name, scope, receive, send)


CONTROLS = {
    "count": lambda name: asked[name],
    "left": lambda name: left[name],
    "open": lambda name: gates[name].set(),
    "fail": failing.add,
    "move": moved.add,
}


async def answer(send, status, headers, body):
    headers = [(b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def say(name, scope, receive, send):
    asked[name] += 1
    number = asked[name]
    pairs = parse_qsl(scope["query_string"].decode("latin-1"))
    options = dict(pairs)
    fields = {k.lower(): v for k, v in scope["headers"]}
    headers = [tuple(part.encode("latin-1") for part in v.split(":", 1)) for k, v in pairs if k == "h"]
    if "cc" in options:
        headers.append((b"cache-control", options["cc"].encode("latin-1")))
    tag = f'"{options["etag"]}-moved"' if name in moved else f'"{options["etag"]}"' if "etag" in options else None
    if tag is not None:
        headers.append((b"etag", tag.encode()))
    if not any(name == b"content-type" for name, _ in headers):
        headers.append((b"content-type", b"text/plain"))
    await hold(name, "before", options, receive)
    if name in failing:
        await answer(send, 503, headers, b"failing")
    elif tag is not None and fields.get(b"if-none-match") == tag.encode():
        await answer(send, 304, headers, b"")
    elif "size" in options or options.get("gate") == "middle" or options.get("fail") == "middle":
        await flow(name, headers, options, receive, send, fields.get(b"range") if "ranges" in options else None)
    else:
        body = fields.get(options["echo"].encode(), b"-") if "echo" in options else f"{name} {number}".encode()
        await answer(send, int(options.get("status", 200)), headers, body)


async def flow(name, headers, options, receive, send, wanted=None):
    size = int(options.get("size", 2 * PIECE))
    start, stop, status = 0, size, int(options.get("status", 200))
    if wanted is not None:
        first, _, last = wanted.decode().removeprefix("bytes=").partition("-")
        start, stop, status = int(first), min(size, int(last or size) + 1), 206
        headers.append((b"content-range", b"bytes %d-%d/%d" % (start, stop - 1, size)))
    if "chunked" not in options:
        headers.append((b"content-length", b"%d" % (stop - start)))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    for at in range(start // PIECE * PIECE, stop, PIECE):
        if at:
            await hold(name, "middle", options, receive)
        part = piece(at // PIECE)[max(0, start - at) : stop - at]
        await send({"type": "http.response.body", "body": part, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def piece(number):
    """No two are the same."""
    return number.to_bytes(4, "big") * (PIECE // 4)


async def hold(name, where, options, receive):
    if options.get("gate") == where and not gates[name].is_set():
        await receive()
        opened, gone = asyncio.ensure_future(gates[name].wait()), asyncio.ensure_future(receive())
        await asyncio.wait((opened, gone), return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        gone.cancel()
        if not gates[name].is_set():
            left[name] += 1
            raise OSError("the client went away")
    if options.get("fail") == where:
        raise RuntimeError("as it was told")


def wsgi(environ, start_response):
    """The same in few words: only `cc`."""
    name = environ["PATH_INFO"].rpartition("/")[2]
    asked[name] += 1
    options = dict(parse_qsl(environ.get("QUERY_STRING", "")))
    start_response("200 OK", [("Content-Type", "text/plain"), ("Cache-Control", options.get("cc", "no-store"))])
    return [f"{name} {asked[name]}".encode()]
