"""A file is replaced whole, or stays as it was."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from enfilade.atomic import replace_file


@pytest.fixture(autouse=True)
def _umask() -> object:
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_what_was_there_is_replaced_and_may_be_read_by_whom_it_is_for(tmp_path: Path, mode: int) -> None:
    """The umask neither opens nor closes it."""
    file = tmp_path / "a"
    file.write_bytes(b"before")
    file.chmod(0o666)
    replace_file(str(file), b"after", mode)
    assert file.read_bytes() == b"after"
    assert stat.S_IMODE(file.stat().st_mode) == mode
    assert os.listdir(tmp_path) == ["a"]


def test_a_secret_is_nobody_elses_unless_it_is_said(tmp_path: Path) -> None:
    replace_file(str(tmp_path / "a"), b"secret")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_link_is_replaced_not_followed(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"somebody else's")
    (tmp_path / "a").symlink_to("target")
    replace_file(str(tmp_path / "a"), b"ours")
    assert not (tmp_path / "a").is_symlink()
    assert (tmp_path / "target").read_bytes() == b"somebody else's"


def test_what_fails_leaves_everything_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(str(tmp_path / "a"), b"x")
    assert os.listdir(tmp_path) == ["a"]


def test_an_error_names_the_file_that_was_meant(tmp_path: Path) -> None:
    file = str(tmp_path / "none" / "a")
    with pytest.raises(FileNotFoundError, match=f"'{file}'$"):
        replace_file(file, b"x")


def test_a_file_in_the_directory_where_we_are_needs_no_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    replace_file("a", b"x")
    assert (tmp_path / "a").read_bytes() == b"x"
