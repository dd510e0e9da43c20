"""What a worker is told to run."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Spec(NamedTuple):
    """The supervisor's first message. Its environment, directory, user and limits a worker has from its birth.

    `name`: what the configuration calls the application. Times are seconds. `concurrency`: exchanges at once; None: as is known
    of the interface. `warm_up`: a path to ask for before the first request.
    """

    name: str
    target: str
    path: str | None
    factory: bool
    interface: Literal["auto", "asgi", "wsgi"]
    lifespan: Literal["auto", "on", "off"]
    threads: int
    concurrency: int | None
    start_timeout: float
    drain_timeout: float
    websocket_message_limit: int
    warm_up: str | None
    log_level: str
