"""The process around an application: its event loop, its signals, its end."""

from __future__ import annotations

import asyncio
import atexit
import io
import os
import signal
import socket
import sys
from contextlib import suppress
from typing import NoReturn

from enfilade.appworker.signals import overhear
from enfilade.appworker.worker import AppWorker
from enfilade.process.channel import Channel

try:
    from uvloop import new_event_loop
except ImportError:  # the application's environment has none
    from asyncio import new_event_loop  # type: ignore[assignment]

GOODBYE = 1.0
"""Seconds that tasks which the application has left behind may take to hear that they are cancelled."""


def main(fd: int) -> NoReturn:
    """Do what the supervisor says over the channel `fd`."""
    overhear(signal.SIGINT, signal.SIGHUP)
    os.set_inheritable(fd, False)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a pipe: a line is to be logged when it is printed
        sys.stdout.reconfigure(line_buffering=True)
    loop = new_event_loop()
    asyncio.set_event_loop(loop)
    code = 1
    try:
        worker = AppWorker(Channel(socket.socket(fileno=fd)), loop)
        os.register_at_fork(after_in_child=worker.disown)
        code = loop.run_until_complete(worker.run())
        _end_tasks(loop)
        loop.run_until_complete(loop.shutdown_asyncgens())
        atexit._run_exitfuncs()
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
    finally:
        os._exit(code)  # whatever the application's threads still do


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=GOODBYE))
