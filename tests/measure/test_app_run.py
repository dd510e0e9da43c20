"""`bench app` with real servers, for moments."""

from __future__ import annotations

from pathlib import Path

import pytest

from enfilade.measure import app_run
from enfilade.measure.app_run import AppBenchError, Cell, cells, measure
from enfilade.measure.app_ways import WAYS
from enfilade.measure.demo_app import app

TARGET = "enfilade.measure.demo_app:app"
HALF = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    right = {"/ping": b'"done"', "/about": b'{"fastapi": "none", "threads": 1, "executor": 1}'}
    body = right.get(scope["path"], b"oh")
    await send({"type": "http.response.start", "status": 200 if scope["path"] in right else 503,
                "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})
"""


def test_each_way_is_a_route_of_the_application() -> None:
    paths = {getattr(route, "path", "") for route in app.routes}
    assert {f"/{route}" for route in WAYS} | {"/ping", "/about"} <= paths


def test_all_places_are_measured_for_each_route() -> None:
    assert cells(["wait/def"], [1, 2]) == [
        Cell("wait/def", "inline", 1),
        Cell("wait/def", "inline", 2),
        Cell("wait/def", "isolated", 1),
        Cell("wait/def", "isolated", 2),
    ]


def test_a_short_run() -> None:
    heard: list[str] = []
    wanted = [*cells(["wait/blocking"], [1]), Cell("wait/background_def", "inline", 1)]
    result = measure(wanted, 3, 0.1, heard.append)
    assert heard[0] == "[1/3] wait/blocking, inline, 1 worker" and len(heard) == 3
    assert result.about.threads == 40
    blocking, isolated, later = result.rows
    for row in result.rows:
        assert row.answers > 0 and row.seconds >= 0.1 and 0 < row.p50 <= row.p99
        assert row.ping.worst > 0 and row.beside.worst > 0
    assert later.threads > blocking.threads, "FastAPI's pool has begun"
    assert (blocking.processes, isolated.processes) == (2, 3)
    assert blocking.memory > 10_000_000 and blocking.threads >= 2


def test_an_application_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_run, "CONFIG", app_run.CONFIG.replace(TARGET, "enfilade.nowhere:app"))
    with pytest.raises(AppBenchError, match=r"wait/def, inline, 1 worker: (.|\n)*enfilade\.nowhere"):
        measure([Cell("wait/def", "inline", 1)], 1, 0.1, lambda text: None)


def test_an_application_that_fails_under_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half.py").write_text(HALF)
    changed = app_run.CONFIG.replace(TARGET, "half:app") + f'path = "{tmp_path}"\n'
    monkeypatch.setattr(app_run, "CONFIG", changed)
    with pytest.raises(AppBenchError, match=r"GET /wait/def: HTTP/1.1 503 Service Unavailable: oh"):
        measure([Cell("wait/def", "inline", 1)], 1, 0.1, lambda text: None)
