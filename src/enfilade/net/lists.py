"""Lists of networks at URLs: fetched before the fork, and from then on now and then in each worker."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b

from enfilade.exchange.fetch import Fetch, FetchError
from enfilade.http.fields import Pair

log = logging.getLogger("enfilade.firewall")

LARGEST = 32 * 1024 * 1024
"""Bytes of a list."""
TIMEOUT = 20.0
"""Seconds in which it must be here."""
_SPREAD = 0.1
"""So much earlier or later may one worker ask than another."""
_ASKED_BY = {b"etag": b"if-none-match", b"last-modified": b"if-modified-since"}


class FetchedLists:
    """The texts at `urls`: `texts`, by URL. `make_fetch` makes what fetches them, on the loop that runs. `check(url, text)`
    raises ValueError for a text that is no list. `keep`: a directory in which each is written down; it need not be there."""

    def __init__(
        self, urls: Sequence[str], make_fetch: Callable[[], Fetch], check: Callable[[str, str], None], keep: str | None
    ) -> None:
        self.texts: dict[str, str] = {}
        self._urls = urls
        self._make_fetch = make_fetch
        self._check = check
        self._keep = keep
        self._known: dict[str, list[Pair]] = {}

    def load(self) -> None:
        """All of them, where no loop runs. In place of one that cannot be had, what was kept of it. Raises ValueError."""
        asyncio.run(self._load())

    def write(self) -> None:
        """What was fetched, into the directory, if there is one. Raises OSError."""
        if self._keep is None:
            return
        os.makedirs(self._keep, 0o700, exist_ok=True)
        for url, text in self.texts.items():
            path = self._path(url)
            with open(f"{path}.new", "w", encoding="utf-8", newline="") as file:
                file.write(text)
            os.replace(f"{path}.new", path)

    async def follow(
        self,
        every: float,
        changed: Callable[[], None],
        writes: bool = False,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """Without end: ask for each again after `every` seconds. What cannot be had stays as it is. `writes`: this one of several
        workers does."""
        fetch = self._make_fetch()
        while True:
            await sleep(every * random.uniform(1 - _SPREAD, 1 + _SPREAD))
            if any([await self._renewed(fetch, url) for url in self._urls]):
                changed()
                if writes:
                    self._try_to_write()

    def _try_to_write(self) -> None:
        try:
            self.write()
        except OSError as error:
            log.error("a list of the firewall is not kept: %s", error)

    async def _renewed(self, fetch: Fetch, url: str) -> bool:
        try:
            return await self._ask(fetch, url)
        except (FetchError, ValueError) as error:
            log.error("a list of the firewall stays as it was: %s", error)
            return False

    async def _load(self) -> None:
        fetch = self._make_fetch()
        await asyncio.gather(*[self._load_one(fetch, url) for url in self._urls])

    async def _load_one(self, fetch: Fetch, url: str) -> None:
        try:
            await self._ask(fetch, url)
        except (FetchError, ValueError) as error:
            kept = self._kept(url)
            if kept is None:
                raise ValueError(f"{error}; and no copy of it was kept") from None
            self._check(url, kept)
            self.texts[url] = kept
            log.warning("%s; a list of the firewall is as it was kept", error)

    async def _ask(self, fetch: Fetch, url: str) -> bool:
        """Whether there is something new (RFC 9110 section 13.1)."""
        answer = await fetch("GET", url, self._known.get(url, ()))
        if answer.status == 304:
            return False
        if answer.status != 200:
            raise FetchError(f"{url.partition('?')[0]}: its answer is {answer.status}")
        text = answer.body.decode("utf-8", "replace")
        if text == self.texts.get(url):
            return False
        await asyncio.get_running_loop().run_in_executor(None, self._check, url, text)
        self.texts[url] = text
        said = [(ours, answer.fields.get(theirs)) for theirs, ours in _ASKED_BY.items()]
        self._known[url] = [(name, value) for name, value in said if value is not None]
        return True

    def _kept(self, url: str) -> str | None:
        if self._keep is None:
            return None
        try:
            with open(self._path(url), encoding="utf-8", newline="") as file:
                return file.read()
        except OSError:
            return None

    def _path(self, url: str) -> str:
        return f"{self._keep}/{blake2b(url.encode(), digest_size=16).hexdigest()}"
