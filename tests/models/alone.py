"""A server as a program. Its arguments: model, handler, how many threads or processes of a pool, how many clients the doorkeeper
lets in at once, and the descriptor of the listening socket. What the ledger is told goes to standard output, a line each, with
whether it was told in the process that was started. SIGTERM dismisses it."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import sys
from functools import partial

from enfilade.http.reasons import Reason, reason
from enfilade.models import server

server.TICK = 0.05

from enfilade.models.handler import load  # noqa: E402
from enfilade.models.server import Door, Ended, Leave, Limits, Server  # noqa: E402
from enfilade.models.table import MODELS  # noqa: E402


class Lines:
    """A ledger."""

    def say(self, *what: object) -> None:
        os.write(1, json.dumps((os.getpid() == PARENT, *what)).encode() + b"\n")

    def opened(self) -> None:
        self.say("opened")

    def moved(self, received: int, sent: int, requests: int) -> None:
        if received or sent or requests:
            self.say("moved", received, sent, requests)

    def ended(self, ended: Ended) -> None:
        self.say("ended", None if ended.why is None else ended.why.name, ended.client[0], ended.received, ended.sent)
        self.moved(*ended.moved)

    def refused(self, why: Reason) -> None:
        self.say("refused", why.name)

    def look(self, now: float) -> None:
        pass


class Doorkeeper:
    def __init__(self, ledger: Lines, most: int) -> None:
        self.most = most
        self.ledger = ledger
        self.inside = 0

    def refuses(self, client: str) -> Reason | None:
        return None

    def enter(self, client: str) -> Reason | Leave:
        if self.inside == self.most:
            return reason("banned")
        self.inside += 1
        self.ledger.say("entered", client)
        return self.leave

    def leave(self) -> None:
        self.inside -= 1
        self.ledger.say("left")


def main(model: str, handler: str, threads: str, most: str, fd: str) -> None:
    logging.basicConfig(stream=sys.stderr)
    door = Door(socket.socket(fileno=int(fd)))
    ledger = Lines()
    limits = Limits(threads=int(threads))
    served = Server(load(handler), [door], limits, ledger, doorkeeper=Doorkeeper(ledger, int(most)))
    served.on_look.append(partial(ledger.say, "looked"))
    signal.signal(signal.SIGTERM, lambda *_: served.dismiss())
    MODELS[model].load()(served)


if __name__ == "__main__":
    PARENT = os.getpid()
    main(*sys.argv[1:])
