"""The answers of a disk that were used last, at hand: what stands where memory is not to be used."""

from __future__ import annotations

import os

from enfilade.cache.stored import Stored
from enfilade.cache.stores.files import AnswerFile, note_use

FILES = 256
"""Files that are held open in each worker."""
ROOM = 8 * 1024 * 1024
"""Bytes of these files; so much of the disk they may keep, too, after they are removed."""


class Recent:
    """A QuickStore (tiers.py) of whole answers that the disk store read. For one thread.

    It cannot be outdated: the file that an answer was read from is held open, and once another takes its name, or it is
    removed, by whomever, there is no link to it any more.
    """

    largest = 0

    def __init__(self) -> None:
        self._held: dict[bytes, tuple[Stored, AnswerFile, int]] = {}  # by use, the latest last
        self._size = 0

    def get(self, key: bytes) -> Stored | None:
        held = self._held.get(key)
        if held is None:
            return None
        stored, file, _ = held
        try:
            state = os.fstat(file.fd)
            if state.st_nlink == 1:
                note_use(file, state)
                del self._held[key]
                self._held[key] = held
                return stored
        except OSError:  # a file system of elsewhere may tell of a removal in this way
            pass
        self.remove(key)
        return None

    def put(self, answer: Stored) -> None:
        """It is not in a file yet; the disk store tells when it was read from there."""

    def hold(self, answer: Stored, file: AnswerFile, size: int) -> None:
        """`answer` was just read from `file`, which has `size` bytes."""
        self.remove(answer.key)
        file.hold()
        self._held[answer.key] = answer, file, size
        self._size += size
        while len(self._held) > FILES or self._size > ROOM:
            self.remove(next(iter(self._held)))

    def remove(self, key: bytes) -> None:
        held = self._held.pop(key, None)
        if held is not None:
            _, file, size = held
            self._size -= size
            file.release()

    def close(self) -> None:
        for key in list(self._held):
            self.remove(key)
