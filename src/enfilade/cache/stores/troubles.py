"""What goes wrong with a store is said once, not for every request that it costs."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from enfilade.cache.stores.tally import Tally

log = logging.getLogger("enfilade.cache")

QUIET = 60.0
"""Seconds from a line to the next of the same store."""


class Troubles:
    """The troubles of the store called `name`, which `tally` counts."""

    def __init__(self, name: str, tally: Tally | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._name = name
        self._tally = tally
        self._clock = clock
        self._quiet_until = float("-inf")
        self._untold = 0

    def tell(self, what: str) -> None:
        """Something was not kept or not found that could have been: `what` says why."""
        if self._tally is not None:
            self._tally.failed()
        now = self._clock()
        if now < self._quiet_until:
            self._untold += 1
            return
        more = f" ({self._untold} more since the last such line)" if self._untold else ""
        log.warning("cache: %s: %s%s", self._name, what, more)
        self._quiet_until = now + QUIET
        self._untold = 0


def reason_of(error: OSError) -> str:
    return (
        error.strerror
        or str(error)
        or ("no answer in time" if isinstance(error, TimeoutError) else type(error).__name__)
    )
