"""What a request asks of the cache: read once, and remembered on the request."""

from __future__ import annotations

from enfilade.cache.decide import Asked
from enfilade.cache.stored import Flag, Stored
from enfilade.cache.vary import variant_key
from enfilade.http.conditionals import CONDITIONAL
from enfilade.http.fields import Fields


class Query:
    """`owner`: who read it. `key`: the primary one; `asked`: the request's directives. `head`: its method is HEAD, not GET.
    `bars`: flags of stored answers that are not simply used for it, `ready`: a fresh one without them is, as it is. `tag`: the
    one entity tag that the client has, where that is all that it asks about.
    `signpost`: says how the answers to this key vary, if they do; then `variant` is the key that it leads to."""

    __slots__ = ("asked", "bars", "fields", "head", "key", "owner", "ready", "signpost", "tag", "variant")

    def __init__(
        self, owner: object, key: bytes, asked: Asked, fields: Fields, *, head: bool, cookies_keyed: bool
    ) -> None:
        self.owner = owner
        self.key = key
        self.asked = asked
        self.fields = fields
        self.head = head
        self.bars = int(Flag.VALIDATE)
        if asked.authorized or (asked.cookies and not cookies_keyed):
            self.bars |= Flag.GUESSED
        self.ready = asked.silent and not asked.conditional
        self.tag = _only_tag(fields) if asked.silent and asked.conditional else None
        self.signpost: Stored | None = None
        self.variant = key

    def follow(self, signpost: Stored) -> bytes:
        """The key of the variant that `signpost` leads this request to."""
        if self.signpost is not signpost:
            self.signpost = signpost
            self.variant = variant_key(self.key, names_on(signpost), self.fields)
        return self.variant


def _only_tag(fields: Fields) -> bytes | None:
    """What If-None-Match says, if no other condition counts beside it (RFC 9110 section 13.2.2)."""
    others = CONDITIONAL.intersection(fields.names) - {b"if-none-match", b"if-modified-since"}
    return None if others else fields.get(b"if-none-match")


def names_on(signpost: Stored) -> tuple[bytes, ...]:
    """The request fields that the answers depend on."""
    return tuple((signpost.fields.get(b"vary") or b"").split(b","))
