"""Content negotiation (RFC 9110 section 12): what the client likes best of what there is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

MAX_PREFERENCES = 64
"""Members of an Accept or Accept-Encoding list that are looked at."""


def vary_by(name: bytes, vary: bytes | None) -> bytes:
    """The Vary field of an answer that depends on the request's field `name` (section 12.5.5); `vary`: what it is without."""
    if vary is None:
        return name
    names = [known.strip(b" \t") for known in vary.lower().split(b",")]
    return vary if b"*" in names or name in names else vary + b", " + name


def parse_weights(value: bytes) -> list[tuple[bytes, int]]:
    """The members of a list with their weights (section 12.4.2) in thousandths, in order; names in lower case.
    Parameters but `q` stay out; a weight that is malformed counts as 0."""
    weights: list[tuple[bytes, int]] = []
    for member in value.split(b",")[:MAX_PREFERENCES]:
        name, *parameters = member.lower().split(b";")
        if name := name.strip(b" \t"):
            q = next((p for p in (p.strip(b" \t") for p in parameters) if p.startswith(b"q=")), b"q=1")
            weights.append((name, _thousandths(q[2:])))
    return weights


@lru_cache(maxsize=256)
def choose_encoding(accept: bytes | None, available: tuple[bytes, ...]) -> bytes | None:
    """The content coding of `available` (ours, best first) that `accept`, the Accept-Encoding field, weighs most.
    None: identity, which is also what is left when nothing is acceptable (section 12.5.3)."""
    if not accept:
        return None
    weights = _coding_weights(accept)
    rest = weights.get(b"*", 0)
    best = max(available, key=lambda coding: weights.get(coding, rest), default=b"")
    q = weights.get(best, rest) if best else 0
    # Identity, where it is not weighed by name, is only a last resort.
    return best if q > 0 and q >= weights.get(b"identity", 0) else None


@lru_cache(maxsize=256)
def forbids_identity(accept: bytes | None) -> bool:
    """Whether `accept`, the Accept-Encoding field, leaves only coded content acceptable (section 12.5.3)."""
    if not accept:
        return False
    weights = _coding_weights(accept)
    return weights.get(b"identity", weights.get(b"*", 1)) == 0


@lru_cache(maxsize=256)
def choose_type(accept: bytes | None, offers: tuple[bytes, ...]) -> bytes | None:
    """The media type of `offers` (ours, best first) that `accept`, the Accept field, weighs most; None: none is acceptable."""
    if not accept:
        return offers[0]
    weights = dict(parse_weights(accept))
    best = max(offers, key=lambda offer: _type_weight(offer, weights))
    return best if _type_weight(best, weights) > 0 else None


def _coding_weights(accept: bytes) -> dict[bytes, int]:
    return {b"gzip" if name == b"x-gzip" else name: q for name, q in parse_weights(accept)}


def _type_weight(offer: bytes, weights: dict[bytes, int]) -> int:
    """Section 12.5.1: the most specific range decides."""
    ranges: Sequence[bytes] = (offer, offer.partition(b"/")[0] + b"/*", b"*/*")
    return next((weights[r] for r in ranges if r in weights), 0)


def _thousandths(q: bytes) -> int:
    whole, _, fraction = q.partition(b".")
    if whole not in (b"0", b"1") or len(fraction) > 3 or (fraction and not fraction.isdigit()):
        return 0
    return min(1000, int(whole) * 1000 + int(fraction.ljust(3, b"0")))
