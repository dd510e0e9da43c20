"""How the small origins are called: with the port that they serve at."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop


def serve_at_port(about: str | None, serve: Callable[[int], Coroutine[Any, Any, None]]) -> None:
    """Until it is ended. `about`: what --help says."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, required=True)
    uvloop.run(serve(parser.parse_args().port))
