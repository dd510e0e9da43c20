"""What a worker knows of the storage."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

import pytest

from enfilade.acme.disk import Disk, prepare
from enfilade.acme.storage import Kind
from enfilade.acme.view import View


def no_validation(pem: bytes) -> ssl.SSLContext:
    raise ssl.SSLError(1, "not this one")


def view_of(storage: Disk) -> View:
    return View(storage, lambda name, held: None, no_validation)


class SlowDisk(Disk):
    """Its first list of answers comes only when somebody else has looked, or has to wait for it."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.waiting, self.go_on = asyncio.Event(), asyncio.Event()

    async def list(self, kind: Kind) -> Mapping[str, object]:
        found = await super().list(kind)
        if kind == "http-01" and not self.waiting.is_set():
            self.waiting.set()
            await self.go_on.wait()
        return found


def test_two_looks_at_once_do_not_forget_what_the_later_one_saw(tmp_path: Path) -> None:
    prepare(str(tmp_path))

    async def both() -> None:
        disk = SlowDisk(str(tmp_path))
        view = view_of(disk)
        first = asyncio.create_task(view.look())
        await disk.waiting.wait()
        await disk.put("http-01", "token", b"answer")
        second = asyncio.create_task(view.look())
        await asyncio.wait([second], timeout=0.2)  # it could be through by then, and must wait
        disk.go_on.set()
        await asyncio.gather(first, second)
        assert view.answers == {"token": b"answer"}

    asyncio.run(both())


def test_what_is_gone_from_the_storage_is_forgotten(tmp_path: Path) -> None:
    prepare(str(tmp_path))

    async def work() -> None:
        disk = Disk(str(tmp_path))
        view = view_of(disk)
        await disk.put("http-01", "token", b"answer")
        await view.look()
        assert view.answers == {"token": b"answer"}
        await disk.delete("http-01", "token")
        await view.look()
        assert view.answers == {}

    asyncio.run(work())


def test_what_cannot_be_read_is_passed_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    prepare(str(tmp_path))

    async def work() -> None:
        disk = Disk(str(tmp_path))
        await disk.put("states", "a", b"[")
        await disk.put("tls-alpn-01", "b", b"x")
        await disk.put("http-01", "token", b"answer")
        view = view_of(disk)
        await view.look()
        assert (view.answers, view.states, view.validations) == ({"token": b"answer"}, {}, {})

    asyncio.run(work())
    assert "states of a in the storage cannot be used" in caplog.text
    assert "tls-alpn-01 of b in the storage cannot be used" in caplog.text


def test_a_storage_that_is_away_is_told_once_and_what_was_known_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    prepare(str(tmp_path / "s"))

    async def work() -> None:
        disk = Disk(str(tmp_path / "s"))
        view = view_of(disk)
        await disk.put("http-01", "token", b"answer")
        await view.look()
        (tmp_path / "s/version").unlink()
        (tmp_path / "s/states").rename(tmp_path / "away")
        await view.look()
        await view.look()
        assert view.answers == {"token": b"answer"}
        (tmp_path / "away").rename(tmp_path / "s/states")
        await view.look()

    asyncio.run(work())
    assert caplog.text.count("certificates stay as they are") == 1
