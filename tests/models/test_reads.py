"""What models on an event loop have in common."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import pytest
import uvloop

from enfilade.models.on_loop import read_less
from enfilade.models.server import READ


async def size_of_reads() -> int | None:
    """What a transport of the running loop reads at once; None: it does not say."""
    loop = asyncio.get_running_loop()
    ours, theirs = socket.socketpair()
    stream, _ = await loop.create_connection(asyncio.Protocol, sock=ours)
    read_less(stream)
    stream.close()
    theirs.close()
    await asyncio.sleep(0)
    return getattr(stream, "max_size", None)


@pytest.mark.parametrize(
    ("new_loop", "size"), [(asyncio.SelectorEventLoop, READ), (uvloop.new_event_loop, None)], ids=["asyncio", "uvloop"]
)
def test_no_read_makes_malloc_ask_the_system(
    new_loop: Callable[[], asyncio.AbstractEventLoop], size: int | None
) -> None:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(size_of_reads()) == size
    assert READ < 128 * 1024, "M_MMAP_THRESHOLD of mallopt(3)"
