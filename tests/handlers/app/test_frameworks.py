"""Real frameworks, unmodified, called through the handler."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import django
import fastapi
import flask
import litestar
import pytest
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.middleware import Middleware
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse as StarletteFile
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from tests.handlers.app.support import answer, body_of, content, make, run
from tests.handlers.app.test_websocket import Client, inline, settle, upgrade

from enfilade.exchange.response import FileSlice, Response
from enfilade.handlers.app.asgi import AsgiHandler
from enfilade.handlers.app.lifespan import Lifespan
from enfilade.handlers.app.load import interface_of
from enfilade.handlers.app.wsgi import WsgiHandler
from enfilade.http.reasons import reason

GONE = reason("client_gone")
JSON = [(b"content-type", b"application/json"), (b"content-length", b"7")]


def exchange(app: Any, x: Any) -> tuple[Response, bytes]:
    async def main() -> tuple[Response, bytes]:
        serve: Any = AsgiHandler(app) if interface_of(app) == "asgi" else WsgiHandler(app, 1)
        response = await answer(serve, x)
        body = await content(response)
        if isinstance(serve, AsgiHandler):  # what a framework does behind its answer, such as closing its files
            await asyncio.gather(*serve.running)
        return response, body

    result: tuple[Response, bytes] = run(main())
    return result


# -- Starlette and FastAPI


def test_fastapi() -> None:
    app = fastapi.FastAPI()

    @app.get("/items/{number}")
    async def item(number: int, q: str = "") -> dict[str, Any]:
        return {"number": number, "q": q}

    @app.get("/sync")
    def in_a_thread() -> str:
        return "sync"

    response, body = exchange(app, make(path="/items/3", query=b"q=x"))
    assert response.status == 200 and json.loads(body) == {"number": 3, "q": "x"} and isinstance(response.body, bytes)
    assert exchange(app, make(path="/items/x"))[0].status == 422
    assert exchange(app, make(path="/sync"))[1] == b'"sync"'
    assert exchange(app, make(path="/nothing"))[0].status == 404


def test_starlette_streams_and_reads() -> None:
    async def numbers() -> AsyncIterator[bytes]:
        for i in range(3):
            await asyncio.sleep(0)
            yield str(i).encode()

    async def stream(request: Request) -> StreamingResponse:
        return StreamingResponse(numbers())

    async def post(request: Request) -> JSONResponse:
        return JSONResponse(await request.json())

    app = Starlette(routes=[Route("/stream", stream), Route("/post", post, methods=["POST"])])
    assert exchange(app, make(path="/stream"))[1] == b"012"
    assert exchange(app, make("POST", "/post", fields=JSON, body=body_of(b'{"a":', b"1}")))[1] == b'{"a":1}'


def test_starlette_middleware_and_background_tasks() -> None:
    done: list[str] = []

    async def add(request: Request, call_next: Any) -> Any:
        response = await call_next(request)
        response.headers["x-seen"] = "yes"
        return response

    async def later() -> None:
        await asyncio.sleep(0)
        done.append("background")

    async def page(request: Request) -> PlainTextResponse:
        return PlainTextResponse("ok", background=BackgroundTask(later))

    app = Starlette(routes=[Route("/", page)], middleware=[Middleware(BaseHTTPMiddleware, dispatch=add)])

    async def main() -> None:
        serve = AsgiHandler(app)
        response = await answer(serve, make())
        assert await content(response) == b"ok" and response.fields.get(b"x-seen") == b"yes"
        await asyncio.wait(serve.running)
        assert done == ["background"]

    run(main())


def test_starlette_sends_files_by_pathsend(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("content")

    async def page(request: Request) -> StarletteFile:
        return StarletteFile(file)

    response, body = exchange(Starlette(routes=[Route("/", page)]), make())
    assert body == b"content" and isinstance(response.body, FileSlice)


def test_starlette_stream_ends_with_its_client_f24(caplog: pytest.LogCaptureFixture) -> None:
    ended: list[bool] = []

    async def forever() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"data: x\n\n"
                await asyncio.sleep(0.001)
        finally:
            ended.append(True)

    async def events(request: Request) -> StreamingResponse:
        return StreamingResponse(forever())

    async def main() -> None:
        serve, x = AsgiHandler(Starlette(routes=[Route("/", events)])), make()
        response = await answer(serve, x)
        assert await response.body.read() == b"data: x\n\n"
        response.body.cancel(GONE)
        x.on_abort(GONE)
        await asyncio.wait(serve.running)
        assert ended

    run(main())
    assert caplog.records == []


def test_starlette_error_is_500(caplog: pytest.LogCaptureFixture) -> None:
    async def page(request: Request) -> PlainTextResponse:
        raise ZeroDivisionError

    response, body = exchange(Starlette(routes=[Route("/", page)]), make())
    assert response.status == 500 and body == b"Internal Server Error"  # Starlette's own answer
    assert "ZeroDivisionError" in caplog.text


def test_starlette_lifespan_state_and_websocket() -> None:
    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
        yield {"greeting": "hello "}

    async def socket(websocket: WebSocket) -> None:
        await websocket.accept()
        async for text in websocket.iter_text():
            await websocket.send_text(websocket.state.greeting + text)

    app = Starlette(routes=[WebSocketRoute("/", socket)], lifespan=lifespan)

    async def main() -> None:
        life = Lifespan(app)
        await life.startup()
        serve = inline(app, life.state)
        client = Client(await answer(serve, upgrade()))
        client.send("world")
        await settle()
        assert client.texts() == [b"hello world"]
        client.protocol.send_close(1000)
        client.flush()
        await settle()
        assert not serve.running
        await life.shutdown()

    run(main())


def test_fastapi_socket_whose_client_leaves_is_no_error(caplog: pytest.LogCaptureFixture) -> None:
    app = fastapi.FastAPI()

    @app.websocket("/")
    async def echo(websocket: fastapi.WebSocket) -> None:
        await websocket.accept()
        while True:
            await websocket.send_text(await websocket.receive_text())

    async def main() -> None:
        serve = inline(app)
        client = Client(await answer(serve, upgrade()))
        client.inbound.end()
        await settle()
        assert not serve.running

    run(main())
    assert caplog.records == []


# -- Litestar


def test_litestar() -> None:
    @litestar.get("/hello/{name:str}")
    async def hello(request: litestar.Request[Any, Any, Any]) -> dict[str, str]:
        return {"hello": request.path_params["name"]}

    app = litestar.Litestar([hello])
    response, body = exchange(app, make(path="/hello/you"))
    assert response.status == 200 and json.loads(body) == {"hello": "you"}


# -- Django, both ways


def page(request: HttpRequest) -> HttpResponse:
    return JsonResponse({"path": request.path, "script": request.META["SCRIPT_NAME"], "body": request.body.decode()})


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter([b"a", b"b"]))


def this_file(request: HttpRequest) -> FileResponse:
    return FileResponse(Path(__file__).open("rb"))


async def stream_async(request: HttpRequest) -> StreamingHttpResponse:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    return StreamingHttpResponse(pieces())


urlpatterns = [path("page", page), path("stream", stream), path("async", stream_async), path("file", this_file)]


@pytest.fixture(scope="module", autouse=True)
def _django() -> None:
    if not settings.configured:
        settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="x", DEBUG=False, USE_TZ=True)
        django.setup()


@pytest.mark.parametrize("make_app", [get_asgi_application, get_wsgi_application])
def test_django(make_app: Any) -> None:
    app = make_app()
    fields = [(b"host", b"example.com"), (b"content-type", b"text/plain"), (b"content-length", b"3")]
    x = make("POST", "/mounted/page", mount="/mounted", fields=fields, body=body_of(b"abc"))
    response, body = exchange(app, x)
    assert response.status == 200
    assert json.loads(body) == {"path": "/mounted/page", "script": "/mounted", "body": "abc"}
    assert exchange(app, make(path="/none"))[0].status == 404


def test_django_streams_and_files() -> None:
    wsgi, asgi = get_wsgi_application(), get_asgi_application()
    assert exchange(wsgi, make(path="/stream"))[1] == b"ab"
    assert exchange(asgi, make(path="/async"))[1] == b"ab"
    response, body = exchange(wsgi, make(path="/file"))
    assert isinstance(response.body, FileSlice) and body == Path(__file__).read_bytes()


# -- Flask


def test_flask() -> None:
    app = flask.Flask(__name__)

    @app.route("/page", methods=["GET", "POST"])
    def page() -> Any:
        return {
            "url": flask.request.url,
            "root": flask.request.script_root,
            "body": flask.request.get_data(as_text=True),
        }

    @app.get("/stream")
    def stream() -> Any:
        return iter(["a", "b"])

    @app.get("/error")
    def error() -> Any:
        raise ZeroDivisionError

    fields = [(b"host", b"example.com"), (b"content-length", b"3")]
    x = make("POST", "/m/page", query=b"a=1", mount="/m", fields=fields, body=body_of(b"abc"))
    response, body = exchange(app, x)
    assert response.status == 200 and isinstance(response.body, bytes)
    assert json.loads(body) == {"url": "http://example.com/m/page?a=1", "root": "/m", "body": "abc"}
    assert exchange(app, make(path="/stream"))[1] == b"ab"
    assert exchange(app, make(path="/error"))[0].status == 500
