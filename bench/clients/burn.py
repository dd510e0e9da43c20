"""A hundred requests a second on forty connections, nine in ten quick, one in ten burning 50 ms of processor (`bench.apps.burn`).

Each is timed from the moment it was due. Only the quick ones count: how long do they wait for a processor that others burn, or
behind a burning request that they were given to the same worker with?
"""

from __future__ import annotations

import asyncio
import random
import time

import uvloop
from bench import browser
from bench.clients.kit import main, summary
from bench.clients.mix import answer

CONNECTIONS = 40
EVERY = 0.4
"""Seconds between two requests of a connection."""


async def connection(port: int, begun: float, until: float, chance: random.Random, quick: list[float]) -> int:
    """Errors; latencies of quick requests go to `quick`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    due = begun + chance.random() * EVERY
    while due < until:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        burns = chance.random() < 0.1
        writer.write(browser.head("/burn" if burns else "/"))
        if await answer(reader) != b"200":
            return 1
        if not burns:
            quick.append(time.perf_counter() - due)
        due += EVERY
    writer.close()
    return 0


async def load(port: int, seconds: float) -> dict[str, float]:
    begun = time.perf_counter()
    quick: list[float] = []
    errors = await asyncio.gather(
        *(connection(port, begun, begun + seconds, random.Random(i), quick) for i in range(CONNECTIONS))
    )
    return summary(quick, sum(errors), seconds)


if __name__ == "__main__":
    main(lambda port, seconds: uvloop.run(load(port, seconds)), __doc__)
