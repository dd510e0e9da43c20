"""What models on an event loop have in common."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from enfilade.models.on_loop import read_less
from enfilade.models.server import READ


async def sizes() -> list[int | None]:
    """What a stream transport and a datagram transport of the running loop read at once; None: they do not say."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    stream, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    datagrams, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
    for transport in (stream, datagrams):
        read_less(transport)
        transport.close()
    theirs.close()
    await asyncio.sleep(0)
    return [getattr(transport, "max_size", None) for transport in (stream, datagrams)]


@pytest.mark.parametrize(
    ("new_loop", "size"), [(asyncio.SelectorEventLoop, READ), (uvloop.new_event_loop, None)], ids=["asyncio", "uvloop"]
)
def test_no_read_makes_malloc_ask_the_system(
    new_loop: Callable[[], asyncio.AbstractEventLoop], size: int | None
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(sizes()) == [size, size]
    assert READ < 128 * 1024, "M_MMAP_THRESHOLD of mallopt(3)"
