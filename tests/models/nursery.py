"""A process of which servers are forked: small, with one thread and everything imported, so that a test has a server in a
moment. It is told by one end of a socket pair: an order, as JSON, with the descriptors that go with it; it answers with a
process id, or, asked to reap a server that has ended, with its exit status."""

from __future__ import annotations

import asyncio
import ctypes
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

# What is looked after once a second is looked after ten times a second; all other modules of the room read it from here.
server.TICK = 0.1

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
    line = socket.socket(fileno=int(sys.argv[1]))
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
            _be_server(order, *fds)
        for fd in fds:
            os.close(fd)
        line.send(json.dumps(pid).encode())


def _be_server(order: dict[str, Any], records: int, errors: int, *doors: int) -> None:
    status = 1
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    try:
        os.dup2(errors, 2)
        os.close(errors)
        _serve(order, Records(records), [socket.socket(fileno=fd) for fd in doors])
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _serve(order: dict[str, Any], records: Records, socks: list[socket.socket]) -> None:
    logging.basicConfig(stream=sys.stderr)
    context = None
    if order["certificate"]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(order["certificate"])
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
