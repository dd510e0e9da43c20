"""What the load generators have in common: how they are called, and what they say."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Collection
from typing import Any


def summary(taken: Collection[float], errors: int, seconds: float) -> dict[str, Any]:
    """`taken`: how long each request took, in seconds."""
    times = sorted(taken)
    return {
        "requests": len(times),
        "bytes": 0,
        "seconds": seconds,
        "errors": errors,
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[len(times) * 99 // 100] * 1000,
    }


def main(load: Callable[[int, float], object], about: str | None) -> None:
    """Print as JSON what `load` makes of the port and the seconds of the command line."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    print(json.dumps(load(options.port, options.seconds)))
