"""A file that lists peers, read again when it changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from enfilade.net.discover import OnChange, Sleep
from enfilade.net.watched import WatchedFiles
from enfilade.upstream.addresses import Wanted

log = logging.getLogger("enfilade.upstream")

LOOK = 0.25
"""Seconds between two looks at the file."""


class PeerFile:
    """The `Source` that reads the file at `path`. `parse` makes the peers of its text, or raises ValueError; then, and while it
    cannot be read, those that were read last stay."""

    def __init__(self, path: str, parse: Callable[[str], Sequence[Wanted]], *, sleep: Sleep = asyncio.sleep) -> None:
        self._path = path
        self._parse = parse
        self._sleep = sleep

    async def watch(self, on_change: OnChange) -> None:
        """See `Source`."""
        file = WatchedFiles([self._path])
        peers = self._read(())
        on_change(peers)
        while True:
            await self._sleep(LOOK)
            if file.changed():
                peers = self._read(peers)
                on_change(peers)

    def _read(self, last: Sequence[Wanted]) -> Sequence[Wanted]:
        try:
            with open(self._path, encoding="utf-8") as file:
                return self._parse(file.read())
        except (OSError, ValueError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            log.error("the list of peers in %s stays at %d: %s", self._path, len(last), why)
            return last
