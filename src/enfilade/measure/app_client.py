"""The clients of `enfilade bench app`: HTTP/1.1 over connections that are kept, with a look at every answer.

Some load one route: each asks, waits for the answer, asks again. Beside them probes ask on time, whether or not they were
answered yet, as visitors do not wait for each other.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from time import perf_counter_ns
from typing import Self

from enfilade.measure.app_ways import DONE
from enfilade.measure.histogram import Histogram

PROBE = 0.05
"""Seconds from one question of a probe to the next."""
PATIENCE = 20.0
"""Seconds without any answer after which a server is taken for broken."""
ANSWER = json.dumps(DONE).encode()
"""The body of every answer."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class WrongAnswerError(Exception):
    """Another answer than the one that must come, or none."""


class Connection:
    """One connection. Raises WrongAnswerError."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> Self:
        try:
            return cls(*await asyncio.open_connection("127.0.0.1", port))
        except OSError as error:
            raise WrongAnswerError(f"no connection: {error.strerror or error}") from error

    async def get(self, path: str) -> bytes:
        """The body of a 200."""
        self._writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await self._reader.readexactly(int(length[1]) if length else 0)
        except (OSError, asyncio.IncompleteReadError) as error:
            raise WrongAnswerError(f"GET {path}: the connection ended before the answer") from error
        if not head.startswith(b"HTTP/1.1 200 "):
            first, _, _ = head.partition(b"\r\n")
            raise WrongAnswerError(f"GET {path}: {first.decode('latin-1')}: {body[:200].decode('utf-8', 'replace')}")
        return body

    async def ask(self, path: str) -> None:
        """For what answers as all routes do."""
        body = await self.get(path)
        if body != ANSWER:
            raise WrongAnswerError(f"GET {path}: {body[:200]!r} instead of {ANSWER!r}")

    def close(self) -> None:
        self._writer.transport.abort()


@asynccontextmanager
async def connected(port: int, number: int) -> AsyncIterator[list[Connection]]:
    """So many connections, each of which was answered once: an event loop takes one a turn (uvloop), so what stands in the way
    later must not be how long it takes to be let in. Raises WrongAnswerError."""
    connections: list[Connection] = []
    try:
        for _ in range(number):
            connections.append(await Connection.open(port))
            await connections[-1].ask("/ping")
        yield connections
    finally:
        for connection in connections:
            connection.close()


class Load:
    """On each of the connections `path` is asked for as fast as it is answered."""

    def __init__(self, connections: Sequence[Connection], path: str) -> None:
        self._connections, self._path = connections, path
        self._waits = Histogram()
        self._answered = asyncio.Event()

    async def run(self) -> None:
        """Until it is cancelled. Raises WrongAnswerError, in a group."""
        async with asyncio.TaskGroup() as group:
            for connection in self._connections:
                group.create_task(self._client(connection))

    async def under_way(self) -> None:
        """Until there were as many answers as there are clients, and another one. Raises WrongAnswerError, as `next_answer`."""
        while self._waits.count < len(self._connections):
            await self.next_answer()
        await self.next_answer()

    def take(self) -> Histogram:
        """How long it took until each answer, since this was asked before."""
        taken, self._waits = self._waits, Histogram()
        return taken

    async def next_answer(self) -> None:
        """Until an answer comes. Raises WrongAnswerError where there is none for PATIENCE seconds."""
        self._answered.clear()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._answered.wait()
        except TimeoutError:
            raise WrongAnswerError(f"GET {self._path}: no answer for {PATIENCE:g} seconds") from None

    async def _client(self, connection: Connection) -> None:
        while True:
            began = perf_counter_ns()
            await connection.ask(self._path)
            self._waits.add(perf_counter_ns() - began)
            self._answered.set()


class Probe:
    """Asks for `path` every PROBE seconds on one of the connections, unless all of them still wait for answers."""

    def __init__(self, connections: Sequence[Connection], path: str) -> None:
        self._free, self._path = list(connections), path
        self._stopped = False
        self._answered = Histogram()
        self._unanswered: set[int] = set()

    def waits(self) -> Histogram:
        """How long for each answer; for what is not answered yet, how long so far."""
        everything = Histogram()
        everything.merge(self._answered)
        now = perf_counter_ns()
        for began in self._unanswered:
            everything.add(now - began)
        return everything

    def stop(self) -> None:
        """Ask no more: `run` returns when all is answered."""
        self._stopped = True

    async def run(self) -> None:
        """Raises WrongAnswerError, in a group."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            due = loop.time()
            while not self._stopped:
                if self._free:
                    group.create_task(self._ask(self._free.pop()))
                due += PROBE
                await asyncio.sleep(due - loop.time())

    async def _ask(self, connection: Connection) -> None:
        began = perf_counter_ns()
        self._unanswered.add(began)
        await connection.ask(self._path)
        self._answered.add(perf_counter_ns() - began)
        self._unanswered.remove(began)
        self._free.append(connection)
