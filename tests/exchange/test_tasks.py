"""An eager task is a genuine one whose first step has been done already."""

from __future__ import annotations

import asyncio
import contextvars
import sys
from collections.abc import Callable
from typing import Any

import pytest
import uvloop
from tests.handlers.app.support import from_callback

from enfilade.exchange.tasks import start

VAR = contextvars.ContextVar("VAR", default="outside")
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    def run(main: Any) -> Any:
        with asyncio.Runner(loop_factory=request.param) as runner:
            return runner.run(main)

    return run


def test_the_first_step_is_done_at_once(run: Any) -> None:
    async def main() -> None:
        async def work() -> str:
            return "done"

        def step() -> asyncio.Task[str]:
            task = start(work(), asyncio.get_running_loop())
            assert task.done()
            return task

        assert (await from_callback(lambda: [step()]))[0].result() == "done"

    run(main())


def test_it_is_the_current_task_and_goes_on_as_such(run: Any) -> None:
    async def main() -> None:
        seen: list[Any] = []

        async def work() -> None:
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())

        [task] = await from_callback(lambda: [start(work(), asyncio.get_running_loop())])
        await task
        assert seen == [task, task]

    run(main())


def test_each_has_a_context_of_its_own(run: Any) -> None:
    async def main() -> None:
        async def work(value: str) -> str:
            assert VAR.get() == "outside"
            VAR.set(value)
            await asyncio.sleep(0)
            return VAR.get()

        loop = asyncio.get_running_loop()
        tasks = await from_callback(lambda: [start(work("a"), loop), start(work("b"), loop)])
        assert await asyncio.gather(*tasks) == ["a", "b"]
        assert VAR.get() == "outside"

    run(main())


def test_it_can_be_cancelled(run: Any) -> None:
    async def main() -> None:
        [task] = await from_callback(lambda: [start(asyncio.sleep(3600), asyncio.get_running_loop())])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(main())


def test_within_a_running_task_it_still_runs(run: Any) -> None:
    async def main() -> None:
        async def work() -> Any:
            return asyncio.current_task()

        task = start(work(), asyncio.get_running_loop())
        assert await task is task

    run(main())


def test_the_loop_is_left_as_it_was(run: Any) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def fails() -> None:
            raise ValueError

        [task] = await from_callback(lambda: [start(fails(), loop)])
        assert "call_soon" not in vars(loop)
        with pytest.raises(ValueError):
            task.result()

    run(main())


class BareLoop:
    """A loop with nothing but what a Task asks of it, and no `__dict__`."""

    __slots__ = ("calls",)

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def call_soon(self, step: Any, *args: Any, context: Any = None) -> None:
        self.calls.append((step, context))


@pytest.mark.skipif(sys.version_info < (3, 12), reason="there are no eager tasks")
def test_python_starts_it_eagerly_by_itself() -> None:
    async def work() -> int:
        return 3

    loop: Any = BareLoop()
    task = start(work(), loop)
    assert task.done() and task.result() == 3
    assert loop.calls == []


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there a Task does this by itself")
def test_what_a_finalizer_asks_of_the_loop_meanwhile_is_not_lost() -> None:
    called: list[str] = []

    class Loop(asyncio.SelectorEventLoop):
        def get_debug(self) -> bool:  # a Task asks for it while it is constructed
            if "call_soon" in vars(self):
                self.call_soon(called.append, "stray")
            return False

    async def main() -> None:
        async def work() -> None:
            called.append("task")

        await from_callback(lambda: start(work(), asyncio.get_running_loop()) and None)
        assert called == ["task", "stray"]

    with asyncio.Runner(loop_factory=Loop) as runner:
        runner.run(main())


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="there a Task does this by itself")
def test_a_loop_that_cannot_be_asked_gets_a_plain_task() -> None:
    async def work() -> int:
        return 3

    loop: Any = BareLoop()
    task = start(work(), loop)
    [(step, context)] = loop.calls
    assert not task.done()
    context.run(step)
    assert task.result() == 3
