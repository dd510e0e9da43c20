"""A hundred requests a second, each on a connection of its own, timed from the moment at which it was due."""

from __future__ import annotations

import argparse
import asyncio
import json
import time

import uvloop

from bench import browser
from bench.clients.mix import answer

A_SECOND = 100
PATIENCE = 10.0


async def visit(port: int, due: float) -> float | None:
    """Seconds; None where there was no good answer."""
    await asyncio.sleep(max(0.0, due - time.perf_counter()))
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(browser.head("/1k.html"))
            status = await answer(reader)
    except (OSError, TimeoutError, asyncio.IncompleteReadError):
        return None
    writer.close()
    return time.perf_counter() - due if status == b"200" else None


async def load(port: int, seconds: float) -> dict[str, float]:
    begun = time.perf_counter()
    visits = [visit(port, begun + n / A_SECOND) for n in range(int(seconds * A_SECOND))]
    found = await asyncio.gather(*visits)
    times = sorted(taken for taken in found if taken is not None)
    return {
        "requests": len(times),
        "bytes": 0,
        "seconds": time.perf_counter() - begun,
        "errors": len(found) - len(times),
        "p50_ms": times[len(times) // 2] * 1000,
        "p99_ms": times[len(times) * 99 // 100] * 1000,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(load(options.port, options.seconds))))


if __name__ == "__main__":
    main()
