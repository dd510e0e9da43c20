"""Which source files changed: for `--reload`, in development.

The .py files beneath the directories of applications, and the configuration itself."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

INTERVAL = 0.5
"""Seconds between two looks: below what a person notices, and a thousand files cost a few milliseconds."""
_SUFFIX = ".py"
_SKIPPED = {"__pycache__", "node_modules", "site-packages"}


class Watcher:
    """Looks at the modification times of `paths`: of files, and of all .py files in directories."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._seen = self._look()

    def changed(self) -> list[str]:
        """The files that are new, gone or different since the last call, sorted."""
        before, self._seen = self._seen, self._look()
        return sorted({path for path, _ in before.items() ^ self._seen.items()})

    def _look(self) -> dict[str, tuple[int, int]]:
        found = {}
        for path in self._paths:
            for file in _files(path):
                try:
                    stat = os.stat(file)
                except OSError:  # an editor replaces files: the next look sees the new one
                    continue
                found[file] = (stat.st_mtime_ns, stat.st_size)
        return found


def _files(path: str) -> Iterator[str]:
    if os.path.isfile(path):
        yield path
        return
    for folder, folders, names in os.walk(path):
        folders[:] = [name for name in folders if name not in _SKIPPED and not name.startswith(".")]
        yield from (os.path.join(folder, name) for name in names if name.endswith(_SUFFIX))
