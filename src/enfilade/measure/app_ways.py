"""The ways in which `demo_app` does its work, and what it has in common with what measures it."""

from __future__ import annotations

from typing import Literal, NamedTuple

WAIT = 0.020
"""Seconds that a piece of work of the kind `wait` waits."""
COMPUTE = 0.005
"""Seconds of processor time that a piece of work of the kind `compute` takes."""
SECONDS = {"wait": WAIT, "compute": COMPUTE}

DONE = "done"
"""What every route answers, as JSON."""
TALLY = "ENFILADE_BENCH_TALLY"
"""Environment variable: the file to which the application appends a byte for each piece of work that it has finished."""

Holds = Literal["nothing", "loop", "threads", "executor"]


class Way(NamedTuple):
    """`holds`: what a piece of work has for itself while it lasts: nothing, the worker's event loop, a thread of FastAPI's pool,
    one of asyncio's executor. `later`: it is a background task, done after the answer."""

    title: str
    holds: Holds
    later: bool = False


WAYS = {
    "wait/def": Way("def", "threads"),
    "wait/await": Way("async def, await", "nothing"),
    "wait/blocking": Way("async def, blocking call", "loop"),
    "wait/to_thread": Way("async def, to_thread", "executor"),
    "wait/background_def": Way("background task, def", "threads", later=True),
    "wait/background_async": Way("background task, async def", "nothing", later=True),
    "compute/def": Way("def", "threads"),
    "compute/blocking": Way("async def", "loop"),
    "compute/to_thread": Way("async def, to_thread", "executor"),
    "compute/background_def": Way("background task, def", "threads", later=True),
    "compute/background_async": Way("background task, async def", "loop", later=True),
}
"""Each route of the application: its kind of work and a name for the way."""
