"""Files that are looked at now and then, to be read again when somebody has written them."""

from __future__ import annotations

import os
from collections.abc import Sequence


class WatchedFiles:
    """The files at `paths`, as they are when it is made."""

    def __init__(self, paths: Sequence[str]) -> None:
        self._paths = paths
        self._taken = self._seen = self._stamps()

    def changed(self) -> bool:
        """Whether they have changed since this was last true. Two looks must have seen the same, so that no half of a file
        is taken for the whole while it is written."""
        stamps = self._stamps()
        settled = stamps == self._seen and stamps != self._taken
        if settled:
            self._taken = stamps
        self._seen = stamps
        return settled

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._paths]


def _stamp(path: str) -> tuple[int, int, int] | None:
    """What tells one state of a file from another; a file that takes its name has another inode. None: there is none."""
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_size
