"""Which worker fetches what: so that workers do not ask the origin for the same at once.

A claim is a word to the others, not a lock: who holds one for too long, or dies, is not waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from hashlib import blake2b

PLACES = 4096
"""Fetches at once, over all workers, that are known of; two that share a place are not told apart, and both are made."""
_PLACE = 3  # what is fetched, by whom, until when
SIZE = PLACES * _PLACE * 8
"""Bytes of memory that Claims need."""
PATIENCE = 10.0
"""Seconds for which others wait for a fetch (nginx: 5)."""
FLOWING = 0.25
"""Seconds for which others wait for the end of a body whose beginning has come."""
LOOK = 0.005
"""Seconds between two looks of who waits for another worker."""


class Claims:
    """Over `cells`, SIZE bytes of zeros that all workers share; who writes has it `locked`. `me`: a number of this worker's own,
    not 0. `clock`: monotonic, in seconds, the same for all workers."""

    def __init__(
        self,
        cells: memoryview[int],
        locked: AbstractContextManager[object],
        me: int,
        clock: Callable[[], float],
    ) -> None:
        self._cells = cells
        self._locked = locked
        self._me = me
        self._clock = clock

    def take(self, key: bytes) -> bool:
        """Whether `key` is ours to fetch; False: somebody else fetches it now."""
        what, place = _find(key)
        cells = self._cells
        now = int(self._clock() * 1e9)
        with self._locked:
            if cells[place] == what and cells[place + 1] != self._me and cells[place + 2] > now:
                return False
            cells[place] = what
            cells[place + 1] = self._me
            cells[place + 2] = now + int(PATIENCE * 1e9)
        return True

    def release(self, key: bytes, after: float = 0.0) -> None:
        """The fetch is over, or others need not wait for it any longer than for `after` seconds."""
        what, place = _find(key)
        cells = self._cells
        with self._locked:
            if cells[place] == what and cells[place + 1] == self._me:
                cells[place + 2] = int((self._clock() + after) * 1e9)


def _find(key: bytes) -> tuple[int, int]:
    """What stands for `key`, and where."""
    what = int.from_bytes(blake2b(key, digest_size=8).digest(), "little", signed=True)
    return what, what % PLACES * _PLACE
