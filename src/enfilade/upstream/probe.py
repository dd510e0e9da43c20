"""Active checks: what is asked of a peer to see how it is, and which answers are good. Who asks is elsewhere."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from enfilade.http.fields import Fields, Pair
from enfilade.http.request import Request
from enfilade.http.uri import parse_authority, split_target

READ_AT_MOST = 65536
"""Bytes of an answer's body that are read and looked at."""

_ASKS: tuple[Pair, ...] = ((b"user-agent", b"enfilade (health check)"), (b"accept", b"*/*"))


def parse_statuses(text: str) -> Collection[int]:
    """The statuses that `text` names: `200`, `2xx`, `200-399`, several with commas. ValueError for others."""
    found: set[int] = set()
    for part in text.split(","):
        said = _STATUSES(part.strip())
        if said is None:
            raise ValueError(f'"{text}" names no statuses; write "200", "2xx" or "200-399", several with commas')
        kind, first, last = said.groups()
        found.update(
            range(int(kind) * 100, int(kind) * 100 + 100) if kind else range(int(first), int(last or first) + 1)
        )
    return frozenset(found)


_STATUSES = re.compile(r"([1-5])xx|([1-5][0-9]{2})(?:-([1-5][0-9]{2}))?").fullmatch


@dataclass(frozen=True)
class Check:
    """One kind of active check. Times are seconds.

    - `send`: of a peer that does not speak HTTP, what it is sent; the following are of one that does.
    - `path`: what is asked for, with its query, percent-encoded. `host`: for whom; the peer's own authority if empty.
      `fields`: what is sent beside, names in lower case; a field of our own is replaced by one of the same name.
    - `statuses`: the good ones; redirects are not followed. `contains`: what must stand in the first READ_AT_MOST bytes of the
      body, or of whatever else the answer is.
    - `interval`: from one check to the next. `timeout`: for all of one.
    - `fall`: so many bad checks in a row take a peer out, `rise`: so many good ones bring it back.
    """

    path: str = "/"
    host: str = ""
    fields: tuple[Pair, ...] = ()
    statuses: Collection[int] = range(200, 400)
    contains: bytes = b""
    send: bytes = b""
    interval: float = 5.0
    timeout: float = 2.0
    rise: int = 2
    fall: int = 3

    def request_for(self, authority: str, scheme: str = "http") -> Request:
        """What is sent to the peer at `authority`. Raises UriError where the path, the host or the authority is malformed."""
        path, raw_path, query = split_target(self.path.encode())
        authority, host = parse_authority((self.host or authority).encode())
        fields = Fields(_ASKS).setting(*self.fields)
        return Request("GET", scheme, authority, host, path, raw_path, query, fields, "1.1")

    def judge(self, status: int, body: bytes) -> bool:
        """Whether an answer is good. No answer in time is not."""
        return status in self.statuses and self.contains in body[:READ_AT_MOST]

    def next_due(self, now: float, jitter: float) -> float:
        """When to check again: after the interval, give or take a tenth by `jitter` (0 to 1, random), so that the checks of many
        peers do not fall together."""
        return now + self.interval * (0.9 + 0.2 * jitter)
