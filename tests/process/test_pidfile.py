"""The pid file is never believed blindly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from enfilade.process.pidfile import PidFileError, read_pid, remove_pid, write_pid

GONE = "999999999"


@pytest.mark.parametrize("content", ["", "x", GONE, "99999999999999999999"])
def test_a_stale_or_broken_file_names_nobody_and_is_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "pid"
    path.write_text(content)
    assert read_pid(path) is None
    write_pid(path)
    assert read_pid(path) == os.getpid()
    assert list(tmp_path.iterdir()) == [path]


def test_no_file_names_nobody(tmp_path: Path) -> None:
    assert read_pid(tmp_path / "pid") is None


def test_a_live_process_refuses_us(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text(str(os.getppid()))
    with pytest.raises(PidFileError, match=f"live process {os.getppid()}"):
        write_pid(tmp_path / "pid")


@pytest.mark.parametrize("content", ["0", "-1"])
def test_a_group_of_processes_is_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "pid").write_text(content)
    assert read_pid(tmp_path / "pid") is None


def test_only_our_own_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text(str(os.getppid()))
    remove_pid(path)
    assert path.exists()
    path.write_text(str(os.getpid()))
    remove_pid(path)
    assert not path.exists()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(PidFileError, match="cannot write the pid file"):
        write_pid(tmp_path / "no" / "pid")
