"""A process of which servers are forked: small, with one thread and everything at hand that they need, so that a test has a
server in a moment. It is told by one end of a socket pair: an order, as JSON, with the descriptors that go with it; it answers
with a process id, or, asked to reap a server that has ended, with its exit status. Its arguments: the descriptor of that end,
and the file of the certificate that servers show."""

from __future__ import annotations

import asyncio
import ctypes
import gc
import json
import logging
import os
import resource
import signal
import socket
import ssl
import sys
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

import uvloop

from enfilade.models import server

# What is looked after once a second is looked after ten times a second; and on a machine that stalls, who had half a second to
# finish needs more. All other modules of the room read these from here.
server.TICK = 0.1
server.FAREWELL = 1.5

from enfilade.http.reasons import Reason  # noqa: E402
from enfilade.models.handler import load  # noqa: E402
from enfilade.models.server import Door, Ended, Limits, Server  # noqa: E402
from enfilade.models.table import MODELS, model_for  # noqa: E402

_PR_SET_PDEATHSIG = 1
"""prctl(2): what a process gets when its parent ends. A server does not outlive the test."""
_libc = ctypes.CDLL(None)


class Records:
    """A ledger that writes each line to a file."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def _write(self, *what: object) -> None:
        os.write(self._fd, json.dumps(what).encode() + b"\n")

    def opened(self) -> None:
        self._write("opened")

    def moved(self, received: int, sent: int, requests: int) -> None:
        if received or sent or requests:
            self._write("moved", received, sent, requests)

    def ended(self, ended: Ended) -> None:
        self.moved(*ended.moved)
        self._write("ended", None if ended.why is None else ended.why.name)

    def refused(self, why: Reason) -> None:
        self._write("refused", why.name)

    def look(self, now: float) -> None:
        pass


TOLD = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGQUIT)
"""What a server is told things by. They wait until it can hear them."""


def main() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, TOLD)
    for model in MODELS.values():
        try:
            model.load()
        except ModuleNotFoundError:
            pass
    load("echo"), load("tests.models.handlers:lines")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[2])
    line = socket.socket(fileno=int(sys.argv[1]))
    gc.collect()
    gc.freeze()  # what is there is there to stay: servers would look through it, and have a copy of it made by that
    while True:
        data, fds, _, _ = socket.recv_fds(line, 65536, 32)
        if not data:
            line.close()
            return
        order = json.loads(data)
        if "reap" in order:
            line.send(json.dumps(os.waitpid(order["reap"], 0)[1]).encode())
            continue
        pid = os.fork()
        if pid == 0:
            line.close()
            _be_server(order, context, *fds)
        for fd in fds:
            os.close(fd)
        line.send(json.dumps(pid).encode())


def _be_server(order: dict[str, Any], context: ssl.SSLContext, records: int, errors: int, *doors: int) -> None:
    status = 1
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        os.dup2(errors, 2)
        os.close(errors)
        _serve(order, context, Records(records), [socket.socket(fileno=fd) for fd in doors])
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _serve(order: dict[str, Any], context: ssl.SSLContext, records: Records, socks: list[socket.socket]) -> None:
    logging.basicConfig(stream=sys.stderr)
    for sock in socks:
        sock.setblocking(False)
    doors = [Door(sock, (lambda: context) if tls else None) for sock, tls in zip(socks, order["tls"], strict=True)]
    handler = load(order["handler"])
    model = model_for(handler, order["model"], udp=doors[0].udp)
    if order["descriptors"]:
        resource.setrlimit(resource.RLIMIT_NOFILE, (order["descriptors"], order["descriptors"]))
    served = Server(handler, doors, Limits(**order["limits"]), records)
    told: dict[int, Callable[[], None]] = {
        signal.SIGTERM: served.dismiss,
        signal.SIGUSR2: partial(served.drain, order["drain"]),
        signal.SIGQUIT: served.abort,
        signal.SIGUSR1: lambda: None,
    }
    serve = model.load()
    if model.loop is None:
        for number, act in told.items():
            signal.signal(number, lambda *_, act=act: act())
        signal.pthread_sigmask(signal.SIG_UNBLOCK, TOLD)
        serve(served)
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop if model.loop == "uvloop" else None) as runner:
            runner.run(_serve_on_loop(serve, served, told))


async def _serve_on_loop(serve: Any, served: Server, told: dict[int, Callable[[], None]]) -> None:
    for number, act in told.items():
        asyncio.get_running_loop().add_signal_handler(number, act)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, TOLD)
    await serve(served)


if __name__ == "__main__":
    main()
