"""Files that are read again when they have changed."""

from __future__ import annotations

import os
from pathlib import Path

from enfilade.net.watched import WatchedFiles


def write(path: Path, text: str, at: int) -> None:
    """With a time of its own, as if there was time between two writes."""
    path.write_text(text)
    os.utime(path, ns=(at, at))


def test_a_change_is_told_once_and_not_before_it_is_over(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    write(one, "1", 1)
    watched = WatchedFiles([str(one), str(other)])
    assert not watched.changed()
    write(one, "2", 2)
    assert not watched.changed()
    write(one, "22", 3)
    assert not watched.changed(), "somebody is still writing it"
    assert watched.changed()
    assert not watched.changed()


def test_a_file_that_comes_goes_or_is_replaced_has_changed(tmp_path: Path) -> None:
    path = tmp_path / "list"
    watched = WatchedFiles([str(path)])
    write(path, "1", 1)
    assert [watched.changed(), watched.changed()] == [False, True]
    write(tmp_path / "new", "2", 1)
    (tmp_path / "new").rename(path)
    assert [watched.changed(), watched.changed()] == [False, True]
    path.unlink()
    assert [watched.changed(), watched.changed()] == [False, True]
