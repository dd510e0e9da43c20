"""The edge's line about applications: what the supervisor says is called back, and sockets arrive."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from enfilade.process.channel import Channel
from enfilade.process.links import Links

Ends = tuple[Channel, Channel]


@pytest.fixture
def ends() -> Iterator[Ends]:
    supervisor, edge = map(Channel, socket.socketpair())
    yield supervisor, edge
    supervisor.close()
    edge.close()


async def turn() -> None:
    """One look at the selector."""
    await asyncio.sleep(0)
    await asyncio.sleep(0.001)


def test_what_was_said_before_anybody_listened_is_heard(ends: Ends) -> None:
    supervisor, edge = ends
    heard: list[object] = []
    ours, theirs = socket.socketpair()

    def linked(app: str, id: int, slot: int, concurrency: int, sock: socket.socket) -> None:
        heard.append((app, id, slot, concurrency))
        with sock:
            sock.sendall(b"here")

    async def main() -> None:
        supervisor.send({"worker": {"app": "shop", "id": 7, "slot": 2, "concurrency": 8}}, theirs.fileno())
        supervisor.send({"leaving": 7})
        links = Links(edge)
        links.on_worker(linked)
        links.on_leaving(heard.append)
        links.on_failed(lambda app, why: heard.append((app, why)))
        links.attach(asyncio.get_running_loop())
        assert heard == [("shop", 7, 2, 8), 7], "at once"
        supervisor.send({"failed": {"app": "shop", "why": "as told"}})
        await turn()
        asyncio.get_running_loop().remove_reader(edge.fileno())

    with ours, theirs:
        asyncio.run(main())
        assert heard == [("shop", 7, 2, 8), 7, ("shop", "as told")]
        assert ours.recv(10) == b"here"


def test_a_wish_reaches_the_supervisor(ends: Ends) -> None:
    supervisor, edge = ends
    Links(edge).wake("shop")
    assert supervisor.receive() == [({"wake": "shop"}, None)]


def test_the_end_of_the_supervisor_harms_nobody(ends: Ends) -> None:
    supervisor, edge = ends

    async def main() -> None:
        loop = asyncio.get_running_loop()
        links = Links(edge)
        links.attach(loop)
        supervisor.close()
        await turn()
        assert not loop.remove_reader(edge.fileno()), "it listens no more"
        links.wake("shop")

    asyncio.run(main())
