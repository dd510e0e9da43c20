"""The policies that stand in front of a handler, and the one order in which they stand."""

from __future__ import annotations

from enfilade.exchange.exchange import Filter

ORDER = (
    "Timing", "RequestId", "AccessLog", "Headers", "Firewall", "Offences", "SecurityHeaders", "ClientCertificate", "Rules",
    "Limit", "Concurrency", "Cors", "Csrf", "BasicAuth", "Jwt", "ForwardAuth", "UserLimit", "Decompress", "BodyLimit", "Cache",
    "Compress",
)  # fmt: skip
"""The classes from the door to the handler. `docs/filters.md` gives the reasons."""

ASKING = frozenset(("BasicAuth", "Jwt", "ForwardAuth", "UserLimit"))
"""Those that ask who somebody is, or go by it: not where plain HTTP leads to HTTPS, or passwords would be sent in the clear."""


def rank(filter: Filter) -> int:
    """Its place in ORDER: what filters are sorted by, whatever order the configuration named them in."""
    return ORDER.index(type(filter).__name__)
