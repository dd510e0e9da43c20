"""Checks of peers that do not speak HTTP."""

from __future__ import annotations

import asyncio

from enfilade.net.dialer import OUR_SHORTAGE, connect
from enfilade.stream.udp import LARGEST, open_socket
from enfilade.stream.upstream import StreamUpstream
from enfilade.upstream.peer import Peer
from enfilade.upstream.probe import READ_AT_MOST, Check
from enfilade.upstream.prober import Done


class StreamProbe:
    """A peer is well that accepts a connection, TLS included. Where the check says what to `send`, or what an answer `contains`,
    there must be an answer that does; over UDP there is nothing else to go by."""

    def __init__(self, upstream: StreamUpstream, peer: Peer, check: Check, now: float, done: Done) -> None:
        self.began = now
        self._peer = peer
        self._check = check
        self._done: Done | None = done
        self._target = upstream.targets[peer]
        self._announcement = b"" if upstream.announce is None else upstream.announce(None)
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """See `Probe.begin`."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    def cancel(self) -> None:
        """See `Probe.cancel`."""
        self._finish(False)
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        ask = self._ask_udp if self._target.address.protocol == "udp" else self._ask
        try:
            good: bool | None = await ask()
        except OSError as e:
            good = None if e.errno in OUR_SHORTAGE else False
        except UnicodeError:  # a name that cannot be one in DNS
            good = False
        self._finish(good)

    def _finish(self, ok: bool | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(self._peer, ok)

    async def _ask(self) -> bool:
        check, target = self._check, self._target
        loop = asyncio.get_running_loop()
        answer = _Answer(check.contains, loop.create_future())
        transport, _ = await connect(
            loop, lambda: answer, target.address.where, announcement=self._announcement, tls=target.tls,
            server_name=target.server_name or "",
        )  # fmt: skip
        try:
            if check.send:
                transport.write(check.send)
            return not (check.send or check.contains) or await answer.good
        finally:
            transport.abort()

    async def _ask_udp(self) -> bool:
        loop = asyncio.get_running_loop()
        with open_socket(self._target.address) as sock:
            await loop.sock_sendall(sock, self._check.send)
            return self._check.contains in await loop.sock_recv(sock, LARGEST)


class _Answer(asyncio.Protocol):
    """`good`: whether the answer contains that. It is read so far, and no further."""

    def __init__(self, contains: bytes, good: asyncio.Future[bool]) -> None:
        self.good = good
        self._contains = contains
        self._heard = b""

    def data_received(self, data: bytes) -> None:
        self._heard = (self._heard + data)[:READ_AT_MOST]
        if self._contains in self._heard:
            self._tell(True)
        elif len(self._heard) == READ_AT_MOST:
            self._tell(False)

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell(False)

    def _tell(self, good: bool) -> None:
        if not self.good.done():
            self.good.set_result(good)
