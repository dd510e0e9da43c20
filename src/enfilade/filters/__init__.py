"""The policies that stand in front of a handler, and the one order in which they stand."""

from __future__ import annotations

from collections.abc import Iterable

from enfilade.cache.filter import Cache
from enfilade.exchange.exchange import Filter
from enfilade.filters.access_log import AccessLog
from enfilade.filters.body_limit import BodyLimit
from enfilade.filters.compress import Compress
from enfilade.filters.decompress import Decompress
from enfilade.filters.headers import Headers
from enfilade.filters.request_id import RequestId
from enfilade.filters.timing import Timing

ORDER: tuple[type[Filter], ...] = (
    Timing, RequestId, AccessLog, Headers, Decompress, BodyLimit, Cache, Compress,
)  # fmt: skip
"""From the door to the handler. `docs/filters.md` gives the reasons."""


def in_order(filters: Iterable[Filter]) -> list[Filter]:
    """`filters` as they stand in a chain, whatever order the configuration named them in."""
    return sorted(filters, key=lambda f: ORDER.index(type(f)))
