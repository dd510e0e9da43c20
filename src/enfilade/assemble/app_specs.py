"""Applications in processes of their own, as the supervisor starts them."""

from __future__ import annotations

import os
import sys

import enfilade
from enfilade.config.schema import App, Config, WorkerRange
from enfilade.process.app_rows import register_app
from enfilade.process.board import Board
from enfilade.process.plan import AppSpec
from enfilade.process.privileges import find_identity
from enfilade.process.shared import Shared

PROGRAM = os.path.join(os.path.dirname(enfilade.__file__), "appworker", "boot.py")
AUTO = 8
"""Workers of an application at most, where their number is "auto"."""


def app_specs(config: Config, board: Board, purges: Shared | None = None) -> list[AppSpec]:
    """`purges`: see AppSpec. Raises LookupError or PermissionError for a user that it cannot run as, BoardFull."""
    return [_spec(name, app, config, board, purges) for name, app in config.isolated_apps.items()]


def _spec(name: str, app: App, config: Config, board: Board, purges: Shared | None) -> AppSpec:
    server = config.server
    minimum, maximum = how_many(app)
    user, group = (server.user, server.group) if app.user is None and app.group is None else (app.user, app.group)
    return AppSpec(
        name=name,
        command=(os.path.abspath(app.interpreter or sys.executable), PROGRAM),
        start=_start(name, app, config),
        rows=register_app(board, name),
        start_timeout=app.start_timeout,
        drain_timeout=server.drain_timeout,
        env=_environment(app),
        cwd=None if app.cwd is None else os.path.abspath(app.cwd),
        identity=find_identity(user, group),
        memory=app.limits.memory,
        files=app.limits.files,
        minimum=minimum,
        maximum=maximum,
        max_requests=app.max_requests,
        max_memory=app.max_memory,
        idle_stop=app.idle_stop,
        purges=purges,
    )


def _start(name: str, app: App, config: Config) -> dict[str, object]:
    """What each of its workers is told first."""
    return {
        "name": name,
        "target": app.target,
        "path": os.path.abspath(app.path),
        "factory": app.factory,
        "interface": app.interface,
        "lifespan": app.lifespan,
        "threads": app.threads,
        "concurrency": None if app.concurrency == "auto" else app.concurrency,
        "start_timeout": app.start_timeout,
        "drain_timeout": config.server.drain_timeout,
        "websocket_message_limit": app.websocket_message_limit,
        "warm_up": app.warm_up,
        "log_level": config.server.log.level,
    }


def how_many(app: App) -> tuple[int, int]:
    """Its workers, at least and at most."""
    if isinstance(app.workers, WorkerRange):
        return app.workers.min, app.workers.max
    number = min(len(os.sched_getaffinity(0)), AUTO) if app.workers == "auto" else app.workers
    return number, number


def _environment(app: App) -> dict[str, str]:
    """What it finds beside the server's own variables."""
    if app.venv is None:
        return app.env
    folder = os.path.abspath(app.venv)
    path = os.pathsep.join((os.path.join(folder, "bin"), os.environ.get("PATH", os.defpath)))
    return {"VIRTUAL_ENV": folder, "PATH": path, **app.env}
