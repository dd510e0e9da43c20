"""Our own ACME server: what it may sign and where it remembers it, made before the fork; and a desk in each worker."""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import NamedTuple, TypeVar

from enfilade.config.schema import Config
from enfilade.exchange.exchange import Handler
from enfilade.handlers.acme import AcmeHandler
from enfilade.http.addresses import Networks
from enfilade.net.fetch import Fetcher
from enfilade.net.shown import shown_certificate
from enfilade.pki.acme.bound import read_bound
from enfilade.pki.acme.names import Names
from enfilade.pki.acme.problem import Problem
from enfilade.pki.acme.records import MEMORY, Records
from enfilade.pki.acme.server import AcmeServer, new_secret
from enfilade.pki.acme.validation import Validator
from enfilade.pki.acme.words import Answer, Asked, Rules, Task
from enfilade.pki.authority import Authority
from enfilade.process.privileges import Identity, acting_as

log = logging.getLogger("enfilade.pki")

T = TypeVar("T")
THREADS = 2
WAITING = 64
"""Requests of one worker at most that wait for a thread, and challenges that are looked at, each."""
PROOF = 4096
"""Bytes of an answer to http-01 at most."""


class PreparedAcme(NamedTuple):
    """`path`: of the records. `networks`: private ones in which challenges are looked at."""

    authority: Authority
    rules: Rules
    secret: bytes
    path: str
    networks: Networks


def prepare_acme_server(config: Config, authority: Authority, identity: Identity | None) -> PreparedAcme:
    """In the supervisor. Workers run as `identity`: the records are theirs. Raises OSError or ValueError."""
    path = MEMORY if config.pki.root is None else make_records(config.pki.root, identity)
    return PreparedAcme(authority, rules_of(config), new_secret(), path, Networks(config.pki.networks))


def rules_of(config: Config) -> Rules:
    """Raises OSError or ValueError."""
    pki = config.pki
    bound = {} if pki.external_accounts is None else read_bound(pki.external_accounts)
    return Rules(Names(pki.names), timedelta(seconds=pki.lifetime), bound)


def make_records(directory: str, identity: Identity | None) -> str:
    """A directory for the records in `directory`: the file, and what SQLite puts beside it. Raises OSError or ValueError."""
    home = os.path.join(directory, "acme")
    path = os.path.join(home, "records.sqlite")
    try:
        os.mkdir(home, 0o700)
    except FileExistsError:
        pass
    if identity is not None:
        os.chown(home, identity.uid, identity.gid, follow_symlinks=False)
    # What is in there is the workers', who may have made it anything: root does not touch it.
    with acting_as(identity):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        try:
            Records(path).close()
        except sqlite3.Error as error:
            raise ValueError(f"{path} cannot be used: {error}") from None
    return path


def acme_handler(prepared: PreparedAcme) -> Handler:
    """In a worker."""
    return AcmeHandler(Desk(prepared).answer)


class Desk:
    """Answers in threads, as records and signatures take their time, and looks at challenges in the loop."""

    def __init__(self, prepared: PreparedAcme, clock: Callable[[], float] = time.time) -> None:
        self._server = AcmeServer(prepared.authority, Records(prepared.path), prepared.rules, prepared.secret)
        fetcher = Fetcher(prepared.networks, http=True, body=PROOF)
        self._validator = Validator(fetcher, partial(shown_certificate, fetcher))
        self._threads = ThreadPoolExecutor(THREADS, "acme")
        self._clock = clock
        self._waiting = 0
        self._looking: set[asyncio.Task[None]] = set()

    async def answer(self, asked: Asked) -> Answer | None:
        """None: too many wait already."""
        if self._waiting >= WAITING or len(self._looking) >= WAITING:
            return None
        self._waiting += 1
        try:
            answer = await self._threaded(partial(self._server.answer, asked, self._clock()))
        finally:
            self._waiting -= 1
        if answer.task is not None:
            task = asyncio.create_task(self._look(answer.task))
            self._looking.add(task)
            task.add_done_callback(self._looking.discard)
        return answer

    async def _look(self, task: Task) -> None:
        try:
            problem = await self._validator.validate(task)
        except Exception:  # the client waits for an answer
            log.exception("a challenge could not be looked at")
            problem = Problem("serverInternal", "something went wrong in the server", 500)
        await self._threaded(partial(self._server.settle, task, problem, self._clock()))

    async def _threaded(self, what: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, what)
