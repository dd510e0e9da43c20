"""The real program: an application in a process of its own, asked over links, told by a channel what to do."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.appworker.kit import ENDS, PATIENCE, Program
from tests.pythons import VERSIONS, interpreter

from enfilade.cache.purges import SIZE, Purges, State, places
from enfilade.process.shared import Shared
from enfilade.wire.websocket.plain import PIECE, PlainFrames

Start = Callable[..., Program]

ASGI = """
import asyncio, os, sys

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        scope["state"]["greeting"] = "hello from the lifespan"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print("shut down")
        await send({"type": "lifespan.shutdown.complete"})
        return
    await PATHS[scope["path"]](scope, receive, send)

async def say(send, text, more=False, status=200):
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": text.encode(), "more_body": more})

async def hello(scope, receive, send):
    await say(send, scope["state"]["greeting"])

async def facts(scope, receive, send):
    names = ("client", "server", "scheme", "root_path", "http_version", "query_string", "headers")
    await say(send, repr([scope[name] for name in names]))

async def upper(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    more = True
    while more:
        message = await receive()
        more = message["more_body"]
        await send({"type": "http.response.body", "body": message["body"].upper(), "more_body": more})

async def slow(scope, receive, send):
    await say(send, "begun", more=True)
    try:
        await asyncio.sleep(3600)
    finally:
        print("cancelled")

async def listen(scope, receive, send):
    await receive()
    await say(send, "begun", more=True)
    print((await receive())["type"])

GO = None
async def wait(scope, receive, send):
    global GO
    GO = asyncio.get_running_loop().create_future()
    await say(send, "begun", more=True)
    await GO
    await send({"type": "http.response.body", "body": b", done"})

async def go(scope, receive, send):
    GO.set_result(None)
    await say(send, "gone")

async def raises(scope, receive, send):
    raise ZeroDivisionError("oh")

async def python(scope, receive, send):
    eager = asyncio.current_task().get_name()
    ours = [name for name in ("click", "msgspec", "websockets", "cryptography") if name in sys.modules]
    await say(send, repr((sys.version_info[:2], sys.path[0], ours, sys.modules["enfilade"].__file__)))

async def large(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    for i in range(100):
        await send({"type": "http.response.body", "body": bytes([i]) * 40_000, "more_body": i < 99})

async def file(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.pathsend", "path": os.path.abspath("file")})

async def fork(scope, receive, send):
    child = os.fork()
    if not child:
        os.close(os.open("forked", os.O_WRONLY))
        open("forked").read()
        os._exit(0)
    await say(send, str(child))

async def websocket(scope, receive, send):
    assert (await receive())["type"] == "websocket.connect"
    if scope["query_string"] == b"refuse":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][-1], "headers": [(b"x-a", b"1")]})
    while (message := await receive())["type"] == "websocket.receive":
        if message.get("text") == "leave":
            await send({"type": "websocket.close", "code": 4001, "reason": "as you like"})
        else:
            await send({**message, "type": "websocket.send"})
    print("closed", message["code"], message["reason"])

PATHS = {"/" + f.__name__: f for f in
         (hello, facts, upper, slow, listen, wait, go, raises, python, large, file, fork, websocket)}
"""

WSGI = """
import threading

TOGETHER = threading.Barrier(2)

def app(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raises":
        raise ZeroDivisionError("oh")
    start_response("200 OK", [("Content-Type", "text/plain")])
    if path == "/together":
        TOGETHER.wait(20)
    if path == "/stream":
        return iter([b"a", environ["wsgi.input"].read(), b"c"])
    return [repr([environ[n] for n in ("SCRIPT_NAME", "PATH_INFO", "REMOTE_ADDR", "wsgi.url_scheme")]).encode()]
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    programs: list[Program] = []

    def start(source: str, **options: Any) -> Program:
        programs.append(Program(tmp_path, source, **options))
        return programs[-1]

    yield start
    for program in programs:
        program.close()


@pytest.fixture(params=[None, *VERSIONS])
def python(request: pytest.FixtureRequest) -> str:
    """Our own interpreter, with uvloop, and each of those that an application may have."""
    return sys.executable if request.param is None else interpreter(request.param)


# -- every Python


def test_purges_on_every_python(start: Start, python: str) -> None:
    source = """
from enfilade.app import purge, tag

def app(environ, start_response):
    tag("page")
    purge(environ["QUERY_STRING"])
    start_response("200 OK", [])
    return [b"done"]
"""
    shared = Shared.make("purges", SIZE)
    purges = Purges(shared.cells, shared.locked)
    before = purges.generation
    program = start(source, python=python, purges=shared)
    assert program.ready()["interface"] == "wsgi"
    link = program.link()
    head = link.head(link.ask("/?user:7"))
    assert purges.look(places([b"tag:user:7"]), before) is State.DEAD
    assert head.fields.get(b"cache-tag") == b"page"


def test_asgi_on_every_python(start: Start, python: str) -> None:
    program = start(ASGI, python=python)
    assert program.ready() == {"interface": "asgi", "concurrency": 0}
    link = program.link()
    assert link.get("/hello") == (200, b"hello from the lifespan")
    stream = link.ask("/upper", method="POST", body=b"abc", end=False)
    assert link.piece(stream) == b"ABC"
    link.codec.data(stream, b"def", end=True)
    link.flush()
    assert link.rest(stream) == b"DEF"
    assert link.cut(link.ask("/raises")).reason.name == "application_raised"
    version, path, ours, package = eval(link.get("/python")[1])
    assert (path, ours) == (str(program.log.parent), []) and package.endswith("src/enfilade/__init__.py")
    assert python == sys.executable or f"{version[0]}.{version[1]}" in python
    program.channel.send({"drain": PATIENCE})
    link.drained()
    assert program.ends() == 0
    said = program.log.read_text()
    assert said.count("Traceback") == 1 and said.splitlines()[-1] == "shut down"
    assert "ERROR enfilade.app: application raised while answering GET /raises\n    Traceback" in said


def test_wsgi_on_every_python(start: Start, python: str) -> None:
    program = start(WSGI, python=python, threads=2)
    assert program.ready() == {"interface": "wsgi", "concurrency": 2}
    link = program.link()
    first, second = link.ask("/shop/together", mount="/shop"), link.ask("/together")
    assert eval(link.answer(first)[1]) == ["/shop", "/together", "198.51.100.7", "https"]
    assert eval(link.answer(second)[1]) == ["", "/together", "198.51.100.7", "https"]
    stream = link.ask("/stream", method="POST", body=b"b" * 100_000)
    assert link.answer(stream) == (200, b"a" + b"b" * 100_000 + b"c")
    assert link.cut(link.ask("/raises")).reason.name == "application_raised"
    program.channel.send({"stop": True})
    assert program.ends() == 0


def test_websockets_on_every_python(start: Start, python: str) -> None:
    program = start(ASGI, python=python)
    program.ready()
    link = program.link()
    stream = link.ask("/websocket", protocol="websocket", fields=((b"sec-websocket-protocol", b"a, b"),))
    head = link.head(stream)
    assert head.status == 101
    assert set(head.fields.pairs) == {(b"x-a", b"1"), (b"sec-websocket-protocol", b"b")}
    frames = PlainFrames(1 << 20)
    long = "ä" * PIECE
    frames.text(long)
    frames.binary(b"\x00\xff")
    frames.text("leave")
    link.codec.data(stream, frames.pending())
    link.flush()
    messages: list[str | bytes] = []
    while not frames.over:
        messages += frames.feed(link.piece(stream))
    assert messages == [long, b"\x00\xff"]
    assert (frames.code, frames.reason) == (4001, "as you like")
    assert link.piece(stream) == b""
    refused = link.cut(link.ask("/websocket?refuse", protocol="websocket"))
    assert refused.reason.name == "websocket_refused"


# -- what it is told about clients


def test_the_scope_is_the_clients_not_the_links(start: Start) -> None:
    program = start(ASGI)
    program.ready()
    link = program.link()
    facts = eval(link.get("/facts?q=1", fields=((b"x-a", b"1"),))[1])
    headers = [(b"host", b"a.example"), (b"x-a", b"1")]
    assert facts == [ENDS.client, ENDS.server, "https", "", "1.1", b"q=1", headers]


def test_two_links_are_served_at_once(start: Start) -> None:
    program = start(ASGI)
    program.ready()
    one, other = program.link(), program.link()
    stream = one.ask("/wait")
    assert one.piece(stream) == b"begun"
    assert other.get("/go") == (200, b"gone")
    assert one.rest(stream) == b", done"


def test_bodies_flow_as_fast_as_they_are_taken_and_hold_nobody_up(start: Start, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(1 << 20))
    program = start(ASGI)
    program.ready()
    link = program.link()
    link.takes = False
    large, file = link.ask("/large"), link.ask("/file")
    assert link.head(large).status == link.head(file).status == 200
    assert link.get("/hello")[0] == 200
    link.takes = True
    link.take()
    assert link.rest(file) == (tmp_path / "file").read_bytes()
    assert link.rest(large) == b"".join(bytes([i]) * 40_000 for i in range(100))


# -- clients that go away (FAILURES 24)


def test_a_reset_cancels_the_application_f24(start: Start) -> None:
    program = start(ASGI)
    program.ready()
    link = program.link()
    for path in ("/slow", "/listen"):
        stream = link.ask(path)
        assert link.piece(stream) == b"begun"
        link.codec.reset(stream, link.codec.gone)
        link.flush()
    assert link.get("/hello")[0] == 200
    program.channel.send({"drain": PATIENCE})
    link.drained()
    assert program.ends() == 0
    assert sorted(program.log.read_text().split("\n")[:-1]) == ["cancelled", "http.disconnect", "shut down"]


def test_an_edge_worker_that_dies_takes_only_its_own_requests(start: Start) -> None:
    program = start(ASGI)
    program.ready()
    dead, alive = program.link(), program.link()
    assert dead.piece(dead.ask("/slow")) == b"begun"
    stream = alive.ask("/wait")
    assert alive.piece(stream) == b"begun"
    dead.sock.close()
    assert alive.get("/go")[0] == 200
    assert alive.rest(stream) == b", done"


def test_a_process_that_it_has_forked_does_not_hold_its_ends(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "forked")
    program = start(ASGI)
    program.ready()
    link = program.link()
    stream = link.ask("/fork")
    with (tmp_path / "forked").open():  # the child is there
        child = int(link.answer(stream)[1])
        program.process.kill()
        program.ends()
        assert link.sock.recv(1) == b"" and program.hear() == {}
        os.kill(child, 0)
        os.kill(child, signal.SIGKILL)


# -- the start


@pytest.mark.parametrize(
    ("source", "spec", "text"),
    [
        ("import missing_module", {}, "main: 'main' needs the module 'missing_module', which is not installed"),
        ("", {}, "main: there is no app or application or create_app in it: write main:NAME"),
        ("1 / 0", {}, "ZeroDivisionError: division by zero"),
        ("import sys; sys.exit('no')", {}, "it called sys.exit('no')"),
        ("def app(x): pass", {}, "could be ASGI or WSGI"),
        ("async def app(s, r, t): pass", {"lifespan": "on"}, "it does not know the lifespan protocol, and lifespan is on"),
        (
            "async def app(scope, receive, send): await send({'type': 'lifespan.startup.failed', 'message': 'no database'})",
            {},
            "the application failed to start: no database",
        ),
        (
            "import asyncio\nasync def app(scope, receive, send): await asyncio.sleep(60)",
            {"start_timeout": 0.01},
            "the application did not start within 0.01 seconds",
        ),
        (ASGI, {"warm_up": "/raises"}, "GET /raises was answered with 500"),
        (ASGI, {"warm_up": "/slow", "start_timeout": 0.5}, "GET /slow was not answered within 0.5 seconds"),
        (ASGI, {"warm_up": "hello"}, "'hello' is not a path that can be asked for"),
    ],
)  # fmt: skip
def test_an_application_that_cannot_start_says_why(start: Start, source: str, spec: dict[str, Any], text: str) -> None:
    program = start(source, **spec)
    assert text in program.hear()["failed"]
    assert program.ends() == 1


@pytest.mark.parametrize("path", ["/hello", "/facts?a=b"])
def test_it_is_warm_before_it_is_ready(start: Start, path: str) -> None:
    program = start(ASGI.replace("async def say(", "print('asked')\n\nasync def say("), warm_up=path)
    program.ready()
    assert program.log.read_text().startswith("asked\n")


def test_wsgi_is_warmed_up_too(start: Start) -> None:
    program = start(WSGI, warm_up="/raises")
    assert program.hear() == {"failed": "GET /raises was answered with 500"}


def test_the_configuration_knows_better_how_much_it_can_take(start: Start) -> None:
    assert start(ASGI, concurrency=7).ready()["concurrency"] == 7


def test_a_start_that_nobody_waits_for_any_more_ends(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    program = start(
        "import asyncio\nasync def app(scope, receive, send):\n open('fifo', 'w').close(); await asyncio.sleep(3600)"
    )
    with (tmp_path / "fifo").open():  # it has begun
        program.channel.send({"drain": PATIENCE})
    assert program.ends() == 0


def test_a_start_that_cannot_hear_is_ended_by_a_signal(start: Start, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    program = start("import time\nopen('fifo', 'w').close()\ntime.sleep(3600)")
    with (tmp_path / "fifo").open():
        program.process.terminate()
    assert program.ends() == -signal.SIGTERM


# -- the end


def test_a_drain_waits_for_answers_but_takes_no_links(start: Start) -> None:
    program = start(ASGI)
    program.ready()
    link = program.link()
    stream = link.ask("/wait")
    assert link.piece(stream) == b"begun"
    program.channel.send({"drain": PATIENCE})
    link.drained()
    late = program.link()
    assert late.sock.recv(1) == b""
    assert link.codec.available == 0
    program.process.send_signal(signal.SIGTERM)  # as an init system says it to everybody
    program.process.send_signal(signal.SIGINT)
    program.channel.send({"drain": 0.0})  # once told, it knows
    link.codec.reset(stream, link.codec.gone)
    link.flush()
    assert link.codec.closing and program.ends() == 0
    assert program.log.read_text().endswith("shut down\n")


def test_when_the_time_for_a_drain_is_up_answers_are_cut(start: Start) -> None:
    program = start(ASGI)
    program.ready()
    link = program.link()
    stream = link.ask("/slow")
    assert link.piece(stream) == b"begun"
    program.channel.send({"drain": 0.0})
    link.drained()
    link.closed()
    assert program.ends() == 0
    assert program.log.read_text() == "cancelled\nshut down\n"


def test_when_the_time_is_up_websockets_say_goodbye(start: Start) -> None:
    program = start(ASGI)
    program.ready()
    link = program.link()
    stream = link.ask("/websocket", protocol="websocket", fields=((b"sec-websocket-protocol", b"a"),))
    assert link.head(stream).status == 101
    program.channel.send({"drain": 0.0})
    frames = PlainFrames(1000)
    while not frames.over:
        frames.feed(link.piece(stream))
    assert frames.code == 1012
    link.codec.end(stream)
    link.flush()
    assert program.ends() == 0
    assert program.log.read_text() == "closed 1012 \nshut down\n"


def test_the_end_of_the_channel_is_a_drain(start: Start) -> None:
    program = start(ASGI)
    program.ready()
    link = program.link()
    assert link.get("/hello")[0] == 200
    program.channel.close()
    link.drained()
    assert program.ends() == 0
    assert program.log.read_text() == "shut down\n"


def test_the_end_of_the_channel_before_the_start_is_the_end(start: Start) -> None:
    program = start("import time\ntime.sleep(0.01)\nasync def app(s, r, t): pass")
    program.channel.close()
    assert program.ends() == 0


@pytest.mark.parametrize("draining", [False, True])
def test_a_stop_waits_for_nothing_but_the_shutdown(start: Start, draining: bool) -> None:
    program = start(ASGI)
    program.ready()
    link = program.link()
    assert link.piece(link.ask("/slow")) == b"begun"
    if draining:
        program.channel.send({"drain": PATIENCE})
        link.drained()
    program.channel.send({"stop": True})
    assert program.ends() == 0
    assert program.log.read_text() == "cancelled\nshut down\n"
