"""What a request asks of the cache: read once, and remembered on the request."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from enfilade.cache.decide import Asked
from enfilade.cache.stored import Stored
from enfilade.cache.vary import variant_key
from enfilade.http.fields import Fields

T = TypeVar("T")


class Query:
    """`owner`: who read it. `key`: the primary one; `asked`: the request's directives. `head`: its method is HEAD, not GET.
    `bars`: flags of stored answers that are not simply used for it.
    `signpost`: says how the answers to this key vary, if they do; then `variant` is the key that it leads to."""

    __slots__ = ("asked", "bars", "fields", "head", "key", "owner", "signpost", "variant")

    def __init__(self, owner: object, key: bytes, asked: Asked, bars: int, fields: Fields, *, head: bool) -> None:
        self.owner = owner
        self.key = key
        self.asked = asked
        self.fields = fields
        self.head = head
        self.bars = bars
        self.signpost: Stored | None = None
        self.variant = key

    def follow(self, found: Stored | None, get: Callable[[bytes], T]) -> Stored | T | None:
        """What is stored for this request: what was `found` under its key, or what `get` finds where that is a signpost."""
        if found is None or found.status:
            return found
        if self.signpost is not found:
            self.signpost = found
            self.variant = variant_key(self.key, names_on(found), self.fields)
        return get(self.variant)


def names_on(signpost: Stored) -> tuple[bytes, ...]:
    """The request fields that the answers depend on."""
    return tuple((signpost.fields.get(b"vary") or b"").split(b","))
