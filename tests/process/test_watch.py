"""Which changes the development watcher sees."""

from __future__ import annotations

import os
from pathlib import Path

from enfilade.process.watch import Watcher


def test_new_changed_and_removed_sources_are_seen_once(tmp_path: Path) -> None:
    (tmp_path / "package").mkdir()
    kept, gone = tmp_path / "package" / "kept.py", tmp_path / "gone.py"
    kept.write_text("1")
    gone.write_text("1")
    watcher = Watcher([str(tmp_path)])
    assert watcher.changed() == []
    new = tmp_path / "new.py"
    new.write_text("1")
    gone.unlink()
    os.utime(kept, ns=(1, 1))
    assert watcher.changed() == sorted(map(str, (kept, gone, new)))
    assert watcher.changed() == []


def test_other_files_and_hidden_or_foreign_folders_are_not_looked_at(tmp_path: Path) -> None:
    watcher = Watcher([str(tmp_path)])
    (tmp_path / "data.db").write_text("1")
    for folder in (".venv", "__pycache__", "node_modules"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "x.py").write_text("1")
    assert watcher.changed() == []


def test_a_single_file_can_be_watched_whatever_its_name(tmp_path: Path) -> None:
    file = tmp_path / "enfilade.conf"
    watcher = Watcher([str(file)])
    file.write_text("1")
    assert watcher.changed() == [str(file)]
