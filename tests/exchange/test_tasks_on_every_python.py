"""Tasks start eagerly on every Python that an application may have."""

from __future__ import annotations

import pytest
from tests.pythons import VERSIONS, run

PROGRAM = """
import asyncio, contextvars
from enfilade.exchange.tasks import start

VAR = contextvars.ContextVar("VAR", default="outside")
steps = []

async def work():
    steps.append(asyncio.current_task())
    VAR.set("inside")
    await asyncio.sleep(0)
    steps.append(asyncio.current_task())
    return VAR.get()

async def main():
    loop = asyncio.get_running_loop()
    started = loop.create_future()

    def begin():
        task = start(work(), loop)
        assert steps == [task] and not task.done()
        started.set_result(task)

    loop.call_soon(begin)
    task = await started
    print(await task, VAR.get(), steps == [task, task])

asyncio.run(main())
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_the_first_step_is_done_at_once(version: str) -> None:
    assert run(version, PROGRAM) == "inside outside True\n"
