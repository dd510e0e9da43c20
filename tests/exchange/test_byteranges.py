"""Parts of a file that shrinks while it is read."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.exchange.byteranges import SMALL, FileChanged, several_parts
from enfilade.http.fields import NO_FIELDS


def test_a_small_answer_is_not_begun(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123")
    before = len(os.listdir("/dev/fd"))
    with pytest.raises(FileChanged):
        several_parts(NO_FIELDS, [(0, 1), (3, 9)], 10, None, lambda: os.open(path, os.O_RDONLY))
    assert len(os.listdir("/dev/fd")) == before


def test_a_large_answer_is_cut_with_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123")

    async def scenario() -> str:
        r = several_parts(NO_FIELDS, [(0, 1), (3, SMALL)], SMALL, None, lambda: os.open(path, os.O_RDONLY))
        assert isinstance(r.body, Stream)
        with pytest.raises(BodyAborted):
            await r.body.read_all()
        assert r.body.failure is not None
        return r.body.failure.name

    assert asyncio.run(scenario()) == "file_changed"
