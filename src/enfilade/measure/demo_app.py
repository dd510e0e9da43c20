"""One FastAPI application that does the same piece of work in each way in which people write it: `enfilade bench app` loads it.

The work is either to wait for somebody else, as for a database, or to compute.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any

import anyio.to_thread
import fastapi
from fastapi import BackgroundTasks, FastAPI

from enfilade.measure.app_ways import COMPUTE, DONE, TALLY, WAIT
from enfilade.measure.work import ROUNDS, rounds_for, turn

app = FastAPI(openapi_url=None)

rounds = int(os.environ.get(ROUNDS) or rounds_for(COMPUTE))
# A byte for each piece of work that is finished, of all processes: appended, so that none is lost.
tally = os.open(os.environ.get(TALLY, os.devnull), os.O_WRONLY | os.O_APPEND)


def finished() -> None:
    os.write(tally, b".")


def wait() -> None:
    """As a database driver that blocks: the thread can do nothing else."""
    time.sleep(WAIT)
    finished()


async def await_it() -> None:
    """As a driver that is made for asyncio: the event loop serves others meanwhile."""
    await asyncio.sleep(WAIT)
    finished()


def compute() -> None:
    """As much Python as takes so long by itself."""
    turn(rounds)
    finished()


async def compute_in_the_loop() -> None:
    compute()


# -- waiting


@app.get("/wait/def")
def wait_def() -> str:  # FastAPI runs it in a thread of its pool
    wait()
    return DONE


@app.get("/wait/await")
async def wait_await() -> str:  # it runs in the event loop, which serves others meanwhile
    await await_it()
    return DONE


@app.get("/wait/blocking")
async def wait_blocking() -> str:
    wait()  # the mistake: the event loop stands still, and everybody waits
    return DONE


@app.get("/wait/to_thread")
async def wait_to_thread() -> str:
    await asyncio.to_thread(wait)  # in a thread of asyncio's executor
    return DONE


@app.get("/wait/background_def")
async def wait_background_def(later: BackgroundTasks) -> str:
    later.add_task(wait)  # after the answer, in a thread of FastAPI's pool
    return DONE


@app.get("/wait/background_async")
async def wait_background_async(later: BackgroundTasks) -> str:
    later.add_task(await_it)  # after the answer, in the event loop
    return DONE


# -- computing, which cannot be awaited


@app.get("/compute/def")
def compute_def() -> str:
    compute()
    return DONE


@app.get("/compute/blocking")
async def compute_blocking() -> str:
    compute()
    return DONE


@app.get("/compute/to_thread")
async def compute_to_thread() -> str:
    await asyncio.to_thread(compute)
    return DONE


@app.get("/compute/background_def")
async def compute_background_def(later: BackgroundTasks) -> str:
    later.add_task(compute)
    return DONE


@app.get("/compute/background_async")
async def compute_background_async(later: BackgroundTasks) -> str:
    later.add_task(compute_in_the_loop)
    return DONE


# -- what does no work


@app.get("/ping")
async def ping() -> str:
    return DONE


@app.get("/about")
async def about() -> dict[str, Any]:
    """What it runs on: versions, and how many threads the two pools may have."""
    cores = getattr(os, "process_cpu_count", os.cpu_count)()  # ThreadPoolExecutor asks the former from Python 3.13 on
    return {
        "fastapi": fastapi.__version__,
        "threads": int(anyio.to_thread.current_default_thread_limiter().total_tokens),
        "executor": min(32, (cores or 1) + 4),
    }
