"""Edge: what a worker accepts on, and how it stops."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

from enfilade.net.edge import Edge, EdgeLoop
from enfilade.wire.codec import DateStamp


def test_the_file_of_a_unix_socket_outlives_the_worker_that_listens_on_it(tmp_path: Path) -> None:
    """The next generation listens on the same one: it is the supervisor that removes it."""
    path = tmp_path / "web.sock"

    async def main() -> None:
        edge = Edge(asyncio.get_running_loop(), DateStamp())
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(str(path))
            await edge.listen(listening, asyncio.Protocol)
            await edge.stop_accepting()
            await asyncio.sleep(0)  # the server's handle is closed in the loop's next turn
            assert path.exists()
        edge.close()

    with asyncio.Runner(loop_factory=EdgeLoop) as runner:
        runner.run(main())
    assert path.exists()
