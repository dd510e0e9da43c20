"""An application, imported and started as its table says."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from enfilade.assemble.apps import start_app
from enfilade.config.schema import App
from enfilade.handlers.app.running import RunningApp, RunningAsgi, RunningWsgi
from enfilade.handlers.app.websocket import WebSockets
from enfilade.http.fields import Fields
from enfilade.http.reasons import Reason
from enfilade.http.request import Request
from enfilade.process.plan import StartError

MODULE = """
import asyncio, os

NAME = os.environ.get("APP_NAME")
said = []

async def app(scope, receive, send):
    if scope["type"] != "lifespan":
        return
    said.append((await receive())["type"])
    await send({"type": "lifespan.startup.complete"})
    said.append((await receive())["type"])
    await send({"type": "lifespan.shutdown.complete"})

async def plain(scope, receive, send):
    assert scope["type"] != "lifespan"

async def slow(scope, receive, send):
    await asyncio.sleep(60)

def wsgi(environ, start_response):
    return []

def make():
    return app

def either(*args):
    return []
"""


HANDSHAKE = Request(
    "GET", "http", "a", "a", "/", b"/", b"",
    Fields([(b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="), (b"sec-websocket-version", b"13")]),
    "1.1", protocol="websocket",
)  # fmt: skip


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a fresh module in `tmp_path`."""
    name = f"application_{tmp_path.name.replace('-', '_')}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setenv("APP_NAME", "")
    yield name
    sys.modules.pop(name, None)


def started(tmp_path: Path, target: str, **options: Any) -> RunningApp:
    async def main() -> RunningApp:
        running = await start_app("main", App(target=target, path=str(tmp_path), **options))
        await running.stop(0.0)
        return running

    return asyncio.run(main())


def test_it_is_imported_from_its_path_with_its_env(module: str, tmp_path: Path) -> None:
    started(tmp_path, f"{module}:app", env={"APP_NAME": "shop"})
    assert sys.modules[module].NAME == "shop" == os.environ["APP_NAME"]


def test_a_factory_makes_the_application(module: str, tmp_path: Path) -> None:
    running = started(tmp_path, f"{module}:make", factory=True)
    assert isinstance(running, RunningAsgi)
    assert running.handler.app is sys.modules[module].app


@pytest.mark.parametrize(("interface", "kind"), [("asgi", RunningAsgi), ("wsgi", RunningWsgi)])
def test_the_interface_can_be_said(module: str, tmp_path: Path, interface: str, kind: type) -> None:
    assert isinstance(started(tmp_path, f"{module}:either", interface=interface, lifespan="off"), kind)
    with pytest.raises(StartError, match="could be ASGI or WSGI"):
        started(tmp_path, f"{module}:either")


def test_wsgi_has_its_threads(module: str, tmp_path: Path) -> None:
    running = started(tmp_path, f"{module}:wsgi", threads=3)
    assert isinstance(running, RunningWsgi)
    assert running.handler.pool._threads == 3


@pytest.mark.parametrize(
    ("target", "lifespan", "said"),
    [("app", "auto", ["lifespan.startup", "lifespan.shutdown"]), ("app", "off", []), ("plain", "auto", [])],
)
def test_lifespan(module: str, tmp_path: Path, target: str, lifespan: str, said: list[str]) -> None:
    started(tmp_path, f"{module}:{target}", lifespan=lifespan)
    assert sys.modules[module].said == said


def test_lifespan_that_must_be_there(module: str, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="does not know the lifespan protocol, and lifespan is on"):
        started(tmp_path, f"{module}:plain", lifespan="on")


def test_a_start_that_takes_too_long(module: str, tmp_path: Path) -> None:
    with pytest.raises(StartError, match="did not start within"):
        started(tmp_path, f"{module}:slow", start_timeout=0.05)


def test_the_limit_of_websocket_messages(module: str, tmp_path: Path) -> None:
    running = started(tmp_path, f"{module}:app", websocket_message_limit=123)
    assert isinstance(running, RunningAsgi)
    assert isinstance(running.handler.websocket, WebSockets)
    handshake = running.handler.websocket.negotiate(HANDSHAKE)
    assert not isinstance(handshake, Reason)
    for size, fits in ((123, True), (124, False)):
        frames = handshake.frames()
        messages = frames.feed(bytes((0x82, 0x80 | size, 0, 0, 0, 0)) + bytes(size))
        assert (bool(messages), frames.failure is None) == (fits, fits)


def test_work_in_the_background_is_waited_for_then_cancelled(module: str, tmp_path: Path) -> None:
    async def main() -> list[str]:
        ends: list[str] = []
        running = await start_app("main", App(target=f"{module}:plain", path=str(tmp_path)))
        assert isinstance(running, RunningAsgi)

        async def work(seconds: float, name: str) -> None:
            try:
                await asyncio.sleep(seconds)
                ends.append(name)
            except asyncio.CancelledError:
                ends.append(f"{name} cancelled")

        for seconds, name in ((0.01, "short"), (60, "long")):
            task = asyncio.create_task(work(seconds, name))
            running.handler.running.add(task)
            task.add_done_callback(running.handler.running.discard)
        await running.stop(0.1)
        return ends

    assert asyncio.run(main()) == ["short", "long cancelled"]
