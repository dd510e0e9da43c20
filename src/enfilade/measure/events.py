"""Clients in one thread, on an event loop (uvloop): the way that takes the least from the server on the same machine."""

from __future__ import annotations

import asyncio
from collections import deque
from time import perf_counter_ns, process_time
from typing import cast

import uvloop

from enfilade.measure.crowd import AGAIN, LOOK, MEMORY, NEVER, RETRY, Order, Span
from enfilade.measure.failures import Unanswered, kind_of
from enfilade.measure.talk import Verdict, judge, message
from enfilade.measure.tally import Tally

AT_ONCE = 100
"""Clients that connect at the same time: fewer than fit into the queue of whoever accepts."""


class Events:
    """A `Crowd` on an event loop of its own."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.tally = Tally()
        self.span = NEVER
        self._stopped = 0
        # In a Runner, Ctrl-C cancels what runs; raised in a callback, it would be taken for that one's failure.
        self._runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
        self.loop = self._runner.get_loop()
        self._again: dict[Client, asyncio.Task[None]] = {}
        kind = DatagramClient if order.target.datagrams else StreamClient
        self._clients = [kind(self, order.first + i) for i in range(order.clients)]

    def connect(self) -> None:
        self._runner.run(self._connect())

    def run(self, span: Span) -> Tally:
        began = process_time()
        self.span = span
        self._runner.run(self._run())
        self.span = NEVER
        self.tally.cpu = process_time() - began
        self._stopped = perf_counter_ns()
        self.tally.served = sum(client.sequence > 0 for client in self._clients)
        return self.tally

    def close(self) -> None:
        with self._runner:
            self._runner.run(self._close())

    async def _connect(self) -> None:
        turn = asyncio.Semaphore(AT_ONCE)

        async def one(client: Client) -> None:
            async with turn:
                await client.connect()

        await asyncio.gather(*map(one, self._clients))

    async def _run(self) -> None:
        paused = perf_counter_ns() - self._stopped
        for client in self._clients:
            if client.transport is None:
                self.connect_again(client)
            elif client.asked:
                client.resume(paused)
            elif not client.content:
                client.ask()
        while (left := (self.span.end - perf_counter_ns()) / 1e9) > 0 and not all(c.content for c in self._clients):
            await asyncio.sleep(min(left, LOOK))
            now = perf_counter_ns()
            for client in self._clients:
                client.look(now)

    async def _close(self) -> None:
        tasks = list(self._again.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for client in self._clients:
            if client.transport is not None:
                client.transport.abort()
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # transports close in the turn after the one in which they are told to

    def connect_again(self, client: Client) -> None:
        if client not in self._again:
            self._again[client] = self.loop.create_task(self._connect_again(client))

    async def _connect_again(self, client: Client) -> None:
        while client.transport is None and perf_counter_ns() < self.span.end:
            await asyncio.sleep(RETRY)
            await client.connect()
        del self._again[client]
        if client.transport is not None and not client.asked and perf_counter_ns() < self.span.end:
            client.ask()


class Client:
    """One client: what streams and datagrams have in common."""

    transport: asyncio.Transport | asyncio.DatagramTransport | None = None

    def __init__(self, crowd: Events, number: int) -> None:
        self.crowd = crowd
        self.number = number
        self.sequence = 0
        """How many answers it had."""
        self.asked = 0
        """When; 0: it waits for no answer."""
        self.message = b""
        """What it asked last, and must hear."""

    @property
    def content(self) -> bool:
        return 0 < self.crowd.span.each <= self.sequence

    async def connect(self) -> None:
        try:
            async with asyncio.timeout(self.crowd.order.patience):
                await self.dial()
        except OSError as error:
            self.crowd.tally.errors[kind_of(error)] += 1

    async def dial(self) -> None:
        raise NotImplementedError

    def send(self) -> None:
        raise NotImplementedError

    def ask(self) -> None:
        self.message = message(self.number, self.sequence)
        self.asked = perf_counter_ns()
        self.send()

    def answered(self) -> None:
        crowd = self.crowd
        now = perf_counter_ns()
        took = now - self.asked
        self.asked = 0
        self.sequence += 1
        if now < crowd.span.end:
            if now >= crowd.span.begin:
                crowd.tally.latencies.add(took)
            if not self.content:
                self.ask()

    def fail(self, error: Exception) -> None:
        """The connection is of no use any more: another one."""
        if self.transport is None:
            return
        self.transport.abort()
        self.transport = None
        self.asked = 0
        if self.crowd.span is not NEVER:
            self.crowd.tally.errors[kind_of(error)] += 1
            self.crowd.connect_again(self)

    def resume(self, paused: int) -> None:
        """For so many nanoseconds nobody listened: they do not count."""
        self.asked += paused

    def look(self, now: int) -> None:
        if self.asked and now - self.asked > self.crowd.order.patience * 1e9:
            self.fail(Unanswered("timeout"))


class StreamClient(Client, asyncio.Protocol):
    transport: asyncio.Transport | None = None
    received = b""

    async def dial(self) -> None:
        crowd, address = self.crowd, self.crowd.order.target.address
        if address.path:
            await crowd.loop.create_unix_connection(lambda: self, address.path)
        else:
            await crowd.loop.create_connection(lambda: self, address.host, address.port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.received = b""

    def send(self) -> None:
        assert self.transport is not None
        self.transport.write(self.message)

    def data_received(self, data: bytes) -> None:
        received = self.received + data if self.received else data
        verdict = judge(self.message, received) if self.asked else Verdict.WRONG
        if verdict is Verdict.WHOLE:
            self.received = b""
            self.answered()
        elif verdict is Verdict.PART:
            self.received = received
        else:
            self.fail(Unanswered("wrong"))

    def connection_lost(self, error: Exception | None) -> None:
        self.fail(error or Unanswered("closed"))


class DatagramClient(Client, asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport | None = None

    def __init__(self, crowd: Events, number: int) -> None:
        super().__init__(crowd, number)
        self.wait = 0.0
        self.sent = 0
        self.earlier: deque[bytes] = deque(maxlen=MEMORY)

    async def dial(self) -> None:
        address = self.crowd.order.target.address
        await self.crowd.loop.create_datagram_endpoint(lambda: self, remote_addr=(address.host, address.port))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def send(self) -> None:
        assert self.transport is not None
        self.wait = AGAIN
        self.sent = self.asked
        self.transport.sendto(self.message)

    def datagram_received(self, data: bytes, _address: object) -> None:
        if self.asked and data == self.message:
            self.earlier.append(data)
            self.answered()
        elif data in self.earlier:
            self.crowd.tally.late += 1
        else:
            self.fail(Unanswered("wrong"))

    def resume(self, paused: int) -> None:
        super().resume(paused)
        self.sent += paused

    def error_received(self, error: Exception) -> None:
        self.fail(error)

    def look(self, now: int) -> None:
        super().look(now)
        if self.asked and self.transport is not None and now - self.sent > self.wait * 1e9:
            self.crowd.tally.sent_again += 1
            self.wait *= 2
            self.sent = now
            self.transport.sendto(self.message)
