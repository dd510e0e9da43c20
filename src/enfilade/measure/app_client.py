"""The clients of `enfilade bench app`: HTTP/1.1 over connections that are kept, with a look at every answer.

Some load one route: each asks, waits for the answer, asks again. Beside them a probe asks every PROBE seconds, on time whether or
not it was answered yet, as visitors do not wait for each other.
"""

from __future__ import annotations

import asyncio
import json
import re
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


async def fetch(port: int, path: str) -> bytes:
    """The body of the answer, on a connection of its own. Raises WrongAnswerError."""
    connection = await Connection.open(port)
    try:
        async with asyncio.timeout(PATIENCE):
            return await connection.get(path)
    except TimeoutError:
        raise WrongAnswerError(f"GET {path}: no answer for {PATIENCE:g} seconds") from None
    finally:
        connection.close()


class Load:
    """`clients` connections that ask for `path` as fast as they are answered. `waits`: how long for each answer since `begin`."""

    def __init__(self, port: int, path: str, clients: int) -> None:
        self.waits = Histogram()
        self._answered = asyncio.Event()
        self._port, self._path, self._clients = port, path, clients

    async def run(self) -> None:
        """Until it is cancelled. Raises WrongAnswerError, in a group."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._clients):
                group.create_task(self._client())

    async def under_way(self) -> None:
        """Until there were as many answers as there are clients, and another one. Raises WrongAnswerError, as `next_answer`."""
        while self.waits.count < self._clients:
            await self.next_answer()
        await self.next_answer()

    def begin(self) -> None:
        """Count from now on."""
        self.waits = Histogram()

    async def next_answer(self) -> None:
        """Until an answer comes. Raises WrongAnswerError where there is none for PATIENCE seconds."""
        self._answered.clear()
        try:
            async with asyncio.timeout(PATIENCE):
                await self._answered.wait()
        except TimeoutError:
            raise WrongAnswerError(f"GET {self._path}: no answer for {PATIENCE:g} seconds") from None

    async def _client(self) -> None:
        connection = await Connection.open(self._port)
        try:
            while True:
                began = perf_counter_ns()
                await connection.ask(self._path)
                self.waits.add(perf_counter_ns() - began)
                self._answered.set()
        finally:
            connection.close()


class Probe:
    """Asks for `path` every PROBE seconds, on a connection that is free, or a new one."""

    def __init__(self, port: int, path: str) -> None:
        self._port, self._path = port, path
        self._answered = Histogram()
        self._unanswered: set[int] = set()
        self._free: list[Connection] = []

    def waits(self) -> Histogram:
        """How long for each answer, connecting included; for what is not answered yet, how long so far."""
        everything = Histogram()
        everything.merge(self._answered)
        now = perf_counter_ns()
        for began in self._unanswered:
            everything.add(now - began)
        return everything

    async def run(self) -> None:
        """Until it is cancelled. Raises WrongAnswerError, in a group."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.TaskGroup() as group:
                due = loop.time()
                while True:
                    group.create_task(self._ask())
                    due += PROBE
                    await asyncio.sleep(due - loop.time())
        finally:
            for connection in self._free:
                connection.close()

    async def _ask(self) -> None:
        began = perf_counter_ns()
        self._unanswered.add(began)
        connection = self._free.pop() if self._free else await Connection.open(self._port)
        try:
            await connection.ask(self._path)
        except BaseException:
            connection.close()
            raise
        self._answered.add(perf_counter_ns() - began)
        self._unanswered.remove(began)
        self._free.append(connection)
