"""The policies that stand in front of a handler, and the one order in which they stand."""

from __future__ import annotations

from collections.abc import Iterable

from enfilade.exchange.exchange import Filter

ORDER = (
    "Timing", "RequestId", "AccessLog", "Headers", "Firewall", "Offences", "SecurityHeaders", "ClientCertificate", "Rules",
    "Limit", "Concurrency", "Cors", "Csrf", "BasicAuth", "Jwt", "ForwardAuth", "UserLimit", "Decompress", "BodyLimit", "Cache",
    "Compress",
)  # fmt: skip
"""The classes from the door to the handler. `docs/filters.md` gives the reasons."""

ASKING = frozenset(("BasicAuth", "Jwt", "ForwardAuth", "UserLimit"))
"""Those that ask who somebody is, or go by it: not where plain HTTP leads to HTTPS, or passwords would be sent in the clear."""


def in_order(filters: Iterable[Filter]) -> list[Filter]:
    """`filters` as they stand in a chain, whatever order the configuration named them in."""
    return sorted(filters, key=lambda f: ORDER.index(type(f).__name__))
