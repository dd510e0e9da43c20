"""The server that is measured is started, found and ended."""

from __future__ import annotations

import os
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from enfilade.measure.procfs import descendants
from enfilade.measure.server import NoServer, server


def test_it_runs_until_the_block_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("hello")
    with server(["serve", str(tmp_path), "--http", "127.0.0.1:0", "--no-log"]) as running:
        connection = HTTPConnection(urlsplit(running.url).netloc, timeout=20)
        connection.request("GET", "/a.txt")
        assert connection.getresponse().read() == b"hello"
        connection.close()
        workers = descendants(running.pid)
        assert workers
    assert not [pid for pid in (running.pid, *workers) if os.path.exists(f"/proc/{pid}")]


def test_a_server_that_does_not_start_says_why() -> None:
    with pytest.raises(NoServer, match="does not exist"), server(["serve", "/does/not/exist", "--http", "127.0.0.1:0"]):
        pass
