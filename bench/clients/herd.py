"""A thousand connections ask for the same thing at the same moment, which nobody has asked for before; then for the next."""

from __future__ import annotations

import itertools
import time

from bench.clients.crowd import Crowd
from bench.clients.kit import main

CLIENTS = 1000


def load(port: int, seconds: float) -> dict[str, float]:
    crowd = Crowd(port, CLIENTS)
    crowd.ask_all(["/1k.html"] * CLIENTS)  # each connection has been accepted
    begun = time.perf_counter()
    taken: list[float] = []
    for n in itertools.count(1):
        taken += (answer.seconds for answer in crowd.ask_all([f"/slow/{n}"] * CLIENTS))
        if time.perf_counter() - begun > seconds:
            break
    taken.sort()
    return {
        "herds": n,
        "p50 ms": taken[len(taken) // 2] * 1000,
        "p99 ms": taken[len(taken) * 99 // 100] * 1000,
        "max ms": taken[-1] * 1000,
    }


if __name__ == "__main__":
    main(load, __doc__)
