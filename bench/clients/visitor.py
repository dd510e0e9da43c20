"""A hundred requests a second, each on a connection of its own, timed from the moment at which it was due."""

from __future__ import annotations

import asyncio
import time

import uvloop
from bench import browser
from bench.clients.kit import main, summary
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
    times = [taken for taken in found if taken is not None]
    return summary(times, len(found) - len(times), time.perf_counter() - begun)


if __name__ == "__main__":
    main(lambda port, seconds: uvloop.run(load(port, seconds)), __doc__)
