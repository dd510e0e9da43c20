"""Lists of networks at URLs: each is kept in a file, which one worker writes anew now and then, and all workers watch."""

from __future__ import annotations

import asyncio
import logging
import os
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import blake2b

from enfilade.atomic import replace_file
from enfilade.exchange.fetch import Fetch, FetchError
from enfilade.http.fields import Pair

log = logging.getLogger("enfilade.firewall")

LARGEST = 32 * 1024 * 1024
"""Bytes of a list."""
TIMEOUT = 20.0
"""Seconds in which one must be here for which nobody waits."""
SPEAK_AFTER = 1.0
"""Seconds after which a start says what it waits for."""
_SPREAD = 0.1
"""So much earlier or later may it be asked for again, so that not all servers ask at once."""
_ASKED_BY = {b"etag": b"if-none-match", b"last-modified": b"if-modified-since"}


class FetchedLists:
    """The lists at `urls`. `make_fetch(timeout)` makes what fetches them, on the loop that runs. `check(url, text)` raises
    ValueError for a text that is no list. `keep`: the directory of their copies, `files`; it need not be there."""

    def __init__(
        self, urls: Sequence[str], make_fetch: Callable[[float], Fetch], check: Callable[[str, str], None], keep: str
    ) -> None:
        self._urls = urls
        self._make_fetch = make_fetch
        self._check = check
        self._keep = keep
        self.files = [self._path(url) for url in urls]
        self._fetched: dict[str, str] = {}
        self._known: dict[str, list[Pair]] = {}

    def load(self, wait: float) -> None:
        """Those of which there is no copy, in `wait` seconds, where no loop runs. Raises ValueError where one cannot be had."""
        missing = [url for url in self._urls if not self._has_copy(url)]
        if missing:
            asyncio.run(self._load(missing, wait))

    def write(self) -> None:
        """What was fetched, as copies. Raises OSError."""
        fetched, self._fetched = self._fetched, {}
        os.makedirs(self._keep, 0o700, exist_ok=True)
        for url, text in fetched.items():
            replace_file(self._path(url), text.encode())

    def texts(self) -> dict[str, str]:
        """What they say, by URL. Raises ValueError."""
        return {url: self._fetched[url] if url in self._fetched else self._copy(url) for url in self._urls}

    async def follow(self, every: float, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Without end, in one of the workers: ask for each again when a copy is `every` seconds old, and write what is new. What
        cannot be had stays as it is."""
        fetch = self._make_fetch(TIMEOUT)
        await sleep(self._first_wait(every))
        while True:
            for url in self._urls:
                await self._renew(fetch, url)
            await sleep(every * random.uniform(1 - _SPREAD, 1 + _SPREAD))

    def _first_wait(self, every: float) -> float:
        """It was asked for by whoever was here before: starts that follow one another ask no more often."""
        oldest = min(map(_written, self.files), default=0.0)
        return min(max(0.0, oldest + every - time.time()), every)

    async def _renew(self, fetch: Fetch, url: str) -> None:
        try:
            if await self._ask(fetch, url):
                self.write()
        except (FetchError, ValueError) as error:
            log.error("a list of the firewall stays as it was: %s", error)
        except OSError as error:
            self._known.pop(url, None)
            log.error("a list of the firewall stays as it was: %s", error)

    async def _load(self, urls: Sequence[str], wait: float) -> None:
        fetch = self._make_fetch(wait)
        await asyncio.gather(*[self._load_one(fetch, url) for url in urls])

    async def _load_one(self, fetch: Fetch, url: str) -> None:
        said = asyncio.get_running_loop().call_later(
            SPEAK_AFTER, log.info, "waiting for a list of the firewall: %s", _plain(url)
        )
        try:
            await self._ask(fetch, url)
        except (FetchError, ValueError) as error:
            raise ValueError(f"{error}; and there is no copy of it in {self._keep}") from None
        finally:
            said.cancel()

    async def _ask(self, fetch: Fetch, url: str) -> bool:
        """Whether there is something new (RFC 9110 section 13.1): then it is in `_fetched`."""
        answer = await fetch("GET", url, self._known.get(url, ()) if _written(self._path(url)) else ())
        if answer.status == 304:
            return False
        if answer.status != 200:
            raise FetchError(f"{_plain(url)}: its answer is {answer.status}")
        text = answer.body.decode("utf-8", "replace")
        new = await asyncio.get_running_loop().run_in_executor(None, self._is_new, url, text)
        said = [(ours, answer.fields.get(theirs)) for theirs, ours in _ASKED_BY.items()]
        self._known[url] = [(name, value) for name, value in said if value is not None]
        if new:
            self._fetched[url] = text
        return new

    def _is_new(self, url: str, text: str) -> bool:
        """Raises ValueError where it is no list. What is written is read again by all workers."""
        self._check(url, text)
        return not _written(self._path(url)) or text != self._copy(url)

    def _has_copy(self, url: str) -> bool:
        """Whether there is a good one."""
        if not _written(self._path(url)):
            return False
        try:
            self._check(url, self._copy(url))
        except ValueError as error:
            log.warning("the copy of a list of the firewall is of no use: %s", error)
            return False
        return True

    def _copy(self, url: str) -> str:
        """Raises ValueError."""
        try:
            with open(self._path(url), encoding="utf-8", errors="replace", newline="") as file:
                return file.read()
        except OSError as error:
            raise ValueError(f"the copy of {_plain(url)}, {self._path(url)}, cannot be read: {error}") from None

    def _path(self, url: str) -> str:
        return f"{self._keep}/{blake2b(url.encode(), digest_size=16).hexdigest()}"


def _written(path: str) -> float:
    """When, in seconds since 1970; 0 where it is not there."""
    try:
        return os.stat(path).st_mtime
    except OSError:
        return 0.0


def _plain(url: str) -> str:
    """Without the query, which may be a secret."""
    return url.partition("?")[0]
