"""Running a command for as long as it is registered: what `enfilade register` does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Sequence

from enfilade.net.registry import Registration

NOTICE = 0.5
"""Seconds between the end of a registration and the signal that ends the command: nobody sends it new requests any more when it
stops to take them."""
PATIENCE = 2.0
"""Seconds that the end of a registration may take."""
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)


async def run_registered(registration: Registration, command: Sequence[str] = ()) -> int:
    """Keep the registration while `command` runs, or until a signal comes, which the command gets as well. The exit code: that of
    the command, as shells have it. Raises OSError where the command cannot be run."""
    loop = asyncio.get_running_loop()
    signals: asyncio.Queue[signal.Signals] = asyncio.Queue()
    for number in SIGNALS:
        loop.add_signal_handler(number, signals.put_nowait, number)
    child = await asyncio.create_subprocess_exec(*command) if command else None
    keeping = loop.create_task(registration.keep())
    told = loop.create_task(signals.get())
    over = loop.create_task(child.wait() if child is not None else asyncio.Event().wait())
    await asyncio.wait((told, over), return_when=asyncio.FIRST_COMPLETED)
    keeping.cancel()
    await asyncio.wait((keeping,))
    await _end(registration)
    if child is None:
        return 0
    await asyncio.wait((over,), timeout=NOTICE)
    while not over.done():
        child.send_signal(await told)
        told = loop.create_task(signals.get())
        await asyncio.wait((told, over), return_when=asyncio.FIRST_COMPLETED)
    code = await child.wait()
    return code if code >= 0 else 128 - code


async def _end(registration: Registration) -> None:
    try:
        async with asyncio.timeout(PATIENCE):
            await registration.end()
    except TimeoutError:
        pass  # its time to live ends it
