"""Listeners: what a loop accepts on, and how it stops."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from enfilade.net.edge import EdgeLoop
from enfilade.net.listeners import Listeners


@pytest.mark.parametrize("make_loop", [EdgeLoop, asyncio.SelectorEventLoop])
def test_the_file_of_a_unix_socket_outlives_the_worker_that_listens_on_it(
    make_loop: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path
) -> None:
    """The next generation listens on the same one: it is the supervisor that removes it."""
    path = tmp_path / "web.sock"

    async def main() -> None:
        listeners = Listeners(asyncio.get_running_loop())
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            await listeners.listen(listening, asyncio.Protocol)
            await listeners.close()
            await asyncio.sleep(0)  # the server's handle is closed in the loop's next turn
            assert path.exists()

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(main())
    assert path.exists()
