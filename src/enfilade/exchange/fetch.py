"""Fetching what is at a URL: the words for it. `net/fetch.py` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from enfilade.http.fields import Fields, Pair


class Fetched(NamedTuple):
    """An answer, whatever its status: redirects are not followed."""

    status: int
    fields: Fields
    body: bytes


class FetchError(Exception):
    """There is no answer, or none that may be had. The text is for people, and names the URL without its query."""


class Fetch(Protocol):
    """Raises FetchError. `fields`: names in lower case; they stand in place of our own of the same name."""

    async def __call__(self, method: str, url: str, fields: Sequence[Pair] = (), body: bytes = b"") -> Fetched: ...
