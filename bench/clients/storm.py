"""Two thousand requests a second, whatever happens, while the server is reloaded twenty times and five of its workers are killed.

Half of them go to an application in processes of its own, half to two peers of which one flaps (`bench.flapping`). Each is sent
when it is due, or as soon as its connection has its last answer. Who is killed is asked of the admin listener at 127.0.0.2.

A request whose connection is lost with the edge worker at its other end is sent again on a new one, once, as browsers do
(RFC 9112 section 9.3.1). Whatever then is not answered with 200 has failed.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import itertools
import json
import os
import signal
import sys
import time
from typing import Any

import uvloop
from bench import browser
from bench.clients.mix import LENGTH

RATE = 2000
CONNECTIONS = 100
RELOADS = 20
KILLS = 5
PATIENCE = 30.0
"""Seconds that anything may take."""
REQUESTS = [browser.head(path) for path in ("/app", "/peers")]


class Storm:
    def __init__(self, port: int, pid: int) -> None:
        self._port = port
        self._pid = pid
        self._over = False
        self.taken: list[float] = []
        self.failed: collections.Counter[str] = collections.Counter()
        self.repeated = 0

    async def run(self) -> None:
        begun = time.perf_counter()
        loads = [
            asyncio.create_task(self._connection(REQUESTS[i % len(REQUESTS)], begun + i / RATE))
            for i in range(CONNECTIONS)
        ]
        await asyncio.gather(self._reload(), self._kill())
        self._over = True
        await asyncio.gather(*loads)

    # -- the load

    async def _connection(self, request: bytes, begun: float) -> None:
        streams: Any = None
        for i in itertools.count():
            if self._over:
                break
            due = begun + i * CONNECTIONS / RATE
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            outcome, streams = await self._ask(request, streams)
            if outcome == "lost":
                self.repeated += 1
                outcome, streams = await self._ask(request, None)
            if outcome == "200":
                self.taken.append(time.perf_counter() - due)
            else:
                self.failed[f"{request.split()[1].decode()} {outcome}"] += 1
        if streams is not None:
            streams[1].close()

    async def _ask(self, request: bytes, streams: Any) -> tuple[str, Any]:
        """What became of it, and the connection if it can be used again."""
        try:
            if streams is None:
                streams = await asyncio.open_connection("127.0.0.1", self._port)
            reader, writer = streams
            writer.write(request)
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                length = LENGTH.search(head)
                body = await reader.readexactly(int(length[1]) if length else 0)
        except TimeoutError:
            return "no answer", None
        except (OSError, asyncio.IncompleteReadError):
            return "lost", None
        if b"connection: close" in head.lower():
            writer.close()
            streams = None
        status = head[9:12].decode()
        return status if status == "200" else f"{status} {body[:200]!r}", streams

    # -- what happens meanwhile

    async def _reload(self) -> None:
        """Each until it is done, or refused because one of the new workers was killed before it could serve."""
        for _ in range(RELOADS):
            before = await self._status()
            os.kill(self._pid, signal.SIGHUP)
            await self._until(lambda now, before=before: _asked(now) > _asked(before))

    async def _kill(self) -> None:
        """Workers of the application and of the edge in turn, where another one of its kind serves."""
        for i in range(KILLS):
            await asyncio.sleep(1)
            of_app = i % 2 == 0
            facts = await self._until(lambda now, of_app=of_app: len(_serving(now, of_app)) > 1)
            os.kill(_serving(facts, of_app)[0], signal.SIGKILL)

    async def _until(self, condition: Any) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while not condition(facts := await self._status()):  # noqa: ASYNC110 - it asks another process
                await asyncio.sleep(0.02)
        return facts

    async def _status(self) -> dict[str, Any]:
        """What the admin listener says; the worker that is asked may be killed meanwhile."""
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.2", self._port)
                writer.write(b"GET /status HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                answer = await reader.read()
                writer.close()
                facts: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
                return facts
            except (OSError, ValueError):
                await asyncio.sleep(0.02)


def _asked(facts: dict[str, Any]) -> int:
    return int(facts["reloads"] + facts["reloads_refused"])


def _serving(facts: dict[str, Any], of_app: bool) -> list[int]:
    """The workers that serve, of the generation that serves."""
    workers = facts["apps"][0]["workers"] if of_app else facts["workers"]
    return [w["pid"] for w in workers if (w["state"], w["generation"]) == ("serving", facts["generation"])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, help="it takes as long as it takes")
    parser.add_argument("--pid", type=int, required=True, help="of the supervisor")
    options = parser.parse_args()
    storm = Storm(options.port, options.pid)
    begun = time.perf_counter()
    uvloop.run(storm.run())
    print(f"{storm.repeated} sent again; failed: {dict(storm.failed)}", file=sys.stderr)
    taken = sorted(storm.taken)
    load = {
        "requests": len(taken),
        "bytes": 0,
        "seconds": time.perf_counter() - begun,
        "errors": storm.failed.total(),
        "p50_ms": taken[len(taken) // 2] * 1000,
        "p99_ms": taken[len(taken) * 99 // 100] * 1000,
    }
    print(json.dumps(load))


if __name__ == "__main__":
    main()
