"""The lifespan specification."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from tests.handlers.app.support import run

from enfilade.handlers.app.lifespan import Lifespan, LifespanFailed

UP = {"type": "lifespan.startup.complete"}
DOWN = {"type": "lifespan.shutdown.complete"}


def test_start_and_end_with_state() -> None:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["asgi"])
        seen.append(await receive())
        scope["state"]["db"] = "open"
        await send(UP)
        seen.append(await receive())
        await send(DOWN)

    async def main() -> None:
        lifespan = Lifespan(app)
        await lifespan.startup()
        assert lifespan.state == {"db": "open"}
        await lifespan.shutdown()

    run(main())
    assert seen == [
        {"version": "3.0", "spec_version": "2.0"},
        {"type": "lifespan.startup"},
        {"type": "lifespan.shutdown"},
    ]


@pytest.mark.parametrize("raises", [True, False])
def test_an_application_that_does_not_know_it_goes_on(raises: bool, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if raises:
            assert scope["type"] == "http"

    async def main() -> None:
        lifespan = Lifespan(app)
        await lifespan.startup()
        assert lifespan.state is None
        await lifespan.shutdown()

    with caplog.at_level(logging.INFO):
        run(main())
    assert caplog.records == []


def test_startup_failed_says_why() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no database"})
        raise RuntimeError

    async def main() -> None:
        with pytest.raises(LifespanFailed, match="no database"):
            await Lifespan(app).startup()

    run(main())


def test_a_startup_that_takes_too_long() -> None:
    ended = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            ended.append(True)

    async def main() -> None:
        with pytest.raises(LifespanFailed, match="within"):
            await Lifespan(app, startup_timeout=0.001).startup()

    run(main())
    assert ended


@pytest.mark.parametrize("how", ["failed", "raises", "hangs"])
def test_a_shutdown_that_goes_wrong_is_logged(how: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send(UP)
        await receive()
        if how == "failed":
            await send({"type": "lifespan.shutdown.failed", "message": "still busy"})
        elif how == "raises":
            raise ZeroDivisionError
        else:
            await asyncio.sleep(3600)

    async def main() -> None:
        lifespan = Lifespan(app, shutdown_timeout=0.001 if how == "hangs" else 5)
        await lifespan.startup()
        await lifespan.shutdown()

    run(main())
    assert len(caplog.records) == 1


def test_shutdown_without_startup() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError

    run(Lifespan(app).shutdown())
