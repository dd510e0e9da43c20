"""Keeping answers: whether one is stored, under which key, and what becomes of it when it is confirmed or overtaken."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import msgspec

from enfilade.cache.combine import combine, store_part
from enfilade.cache.decide import Rules, store
from enfilade.cache.freshen import renewed, stored_fields
from enfilade.cache.invalidate import groups, invalidated, invalidated_groups, tags
from enfilade.cache.key import KeyRules, group_name, origin_host, purge_names, url_name
from enfilade.cache.purges import Purges, State, places
from enfilade.cache.query import Query, names_on
from enfilade.cache.reasons import OF_THE_REQUEST, CacheReason, cache_reason
from enfilade.cache.stored import Stored, Terms, Whole
from enfilade.cache.tiers import Tiers
from enfilade.cache.vary import signpost_names, variant_key
from enfilade.exchange.response import FileSlice
from enfilade.http.fields import Fields
from enfilade.http.memory import remember
from enfilade.http.request import Request

MAX_VARIANTS = 64
"""Answers stored for one key at once (Varnish has no limit, and suffers from it)."""
MEMORY = 4096
"""Keys whose uses are counted at most."""
_ENDLESS = Terms(0.0, float("inf"), float("inf"), float("inf"))

_PURGED = cache_reason("purged")
_TAGS = cache_reason("tags")
_MIN_USES = cache_reason("min_uses")


class Asking(NamedTuple):
    """A request on its way to the origin: when it was sent (Unix time), and the generation of the purges then."""

    sent_at: float
    generation: int


class Keeper:
    """What the caches of all routes have in common is `tiers` and `purges`; the rest is the route's.

    - `clock`: Unix time. `dice`: a number from 0 to 1, drawn anew each time.
    - `jitter`: by how much of itself freshness is shortened at most, so that what was fetched together is not fetched again
      together. `min_uses`: an answer is stored when it was asked for so often.
    """

    def __init__(
        self,
        tiers: Tiers,
        purges: Purges,
        rules: Rules,
        *,
        clock: Callable[[], float],
        dice: Callable[[], float],
        jitter: float = 0.0,
        min_uses: int = 1,
    ) -> None:
        self.tiers = tiers
        self.purges = purges
        self.rules = rules
        self.clock = clock
        self._dice = dice
        self._jitter = jitter
        self._min_uses = min_uses
        self._uses: dict[bytes, int] = {}

    def asking(self) -> Asking:
        return Asking(self.clock(), self.purges.asking())

    def judge(
        self, query: Query, request: Request, asking: Asking, status: int, fields: Fields
    ) -> Stored | CacheReason:
        """What is to be stored of an answer with `status` and `fields`, its content still to come; or why nothing is."""
        terms = store(request, query.asked, status, fields, asking.sent_at, self.clock(), self.rules)
        if isinstance(terms, CacheReason):
            return terms
        if self._min_uses > 1 and not self._used_enough(query.key):
            return _MIN_USES
        return self._judged(query, request, asking, status, fields, terms)

    def _judged(
        self, query: Query, request: Request, asking: Asking, status: int, fields: Fields, terms: Terms
    ) -> Stored | CacheReason:
        tagged, grouped = tags(fields), groups(fields)
        if tagged is None or grouped is None:
            return _TAGS
        names = places(purge_names(query.key, tagged, grouped))
        if self.purges.look(names, asking.generation) is State.DEAD:
            return _PURGED
        varies = signpost_names(fields)
        key = variant_key(query.key, varies, request.fields) if varies else query.key
        kept = stored_fields(fields, self.rules)
        return Stored(key, status, kept, self._spread(terms), names, asking.generation, Whole(b""))

    def keep(self, query: Query, stored: Stored, *, written: bool = False) -> None:
        """Store it, with the content that it has now. `written`: a writer has done so already."""
        if stored.key != query.key:
            self._point_to(query, stored)
        if written:
            self.tiers.put_written(stored)
        else:
            self.tiers.put(stored)

    def keep_part(
        self, query: Query, request: Request, asking: Asking, fields: Fields, body: bytes, known: Stored | None
    ) -> Stored | None:
        """Store the part of a 206 (RFC 9111 section 3.3), together with the part that is `known` where that goes (section 3.4).
        What is stored now: a part, or all of it; None: nothing."""
        terms = store_part(request, query.asked, fields, len(body), asking.sent_at, self.clock(), self.rules)
        if isinstance(terms, CacheReason):
            return None
        status = 206
        old = None if known is None else known.content.read(0, known.content.size)
        if known is not None and isinstance(old, bytes):
            together = combine(known.fields, old, fields, body, self.rules)
            if together is not None:
                fields, part, body = together
                status = 200 if len(body) == part.size else 206
        judged = self._judged(query, request, asking, status, fields, terms)
        if isinstance(judged, CacheReason) or len(body) > self.tiers.most:
            return None
        judged.content = Whole(body)
        self.keep(query, judged)
        return judged

    def confirm(self, query: Query, request: Request, asking: Asking, stored: Stored, fields: Fields) -> Stored | None:
        """The origin says that `stored` is still good, with `fields` (RFC 9111 section 4.3.4): what is stored from now on. None:
        its content is gone."""
        content = stored.content.read(0, stored.content.size)
        if content is None:
            return None
        if isinstance(content, FileSlice):
            content.close()
        status, sent_at = stored.status, asking.sent_at
        fresh, terms = renewed(request, query.asked, status, stored.fields, fields, sent_at, self.clock(), self.rules)
        judged: Stored | CacheReason = (
            terms if isinstance(terms, CacheReason) else self._judged(query, request, asking, status, fresh, terms)
        )
        if isinstance(judged, CacheReason):
            if judged not in OF_THE_REQUEST:
                self.tiers.remove(stored.key)
            return Stored(stored.key, status, fresh, stored.terms, stored.names, asking.generation, stored.content)
        judged.content = stored.content if isinstance(content, FileSlice) else Whole(content)
        self.keep(query, judged)
        return judged

    def invalidate(self, request: Request, status: int, fields: Fields, keys: KeyRules) -> None:
        """The answer to a request with an unsafe method came (RFC 9111 section 4.4, RFC 9875 section 3)."""
        for target in invalidated(request, status, fields):
            self.purges.purge(url_name(target, keys))
        for group in invalidated_groups(request, status, fields):
            self.purges.purge(group_name(request.scheme.encode(), origin_host(request), group))

    # -- one key, several answers

    def _point_to(self, query: Query, stored: Stored) -> None:
        """See to it that the primary key has a signpost which leads to this variant."""
        names = signpost_names(stored.fields)
        assert names, "only answers that vary have a key of their own"
        variant = stored.key[len(query.key) :]
        post = self.tiers.get(query.key)
        variants: list[bytes] = []
        if post is not None and not post.status and names_on(post) == names:
            variants = _variants(post)
            if variant in variants:
                return
        for old in variants[: 1 - MAX_VARIANTS]:
            self.tiers.remove(query.key + old)
        content = msgspec.msgpack.encode([*variants[1 - MAX_VARIANTS :], variant])
        said = Fields([(b"vary", b",".join(names))])
        self.tiers.put(Stored(query.key, 0, said, _ENDLESS, (), stored.generation, Whole(content)))

    # -- details of rules

    def _used_enough(self, key: bytes) -> bool:
        uses = self._uses.get(key, 0) + 1
        remember(self._uses, key, uses, MEMORY)
        return uses >= self._min_uses

    def _spread(self, terms: Terms) -> Terms:
        if not self._jitter:
            return terms
        early = (terms.fresh_until - self.clock()) * self._jitter * self._dice()
        return msgspec.structs.replace(
            terms,
            fresh_until=terms.fresh_until - early,
            stale_while=terms.stale_while - early,
            stale_error=terms.stale_error - early,
        )


def _variants(post: Stored) -> list[bytes]:
    """The ends of the keys that it leads to."""
    content = post.content.read(0, post.content.size)
    try:
        return [] if not isinstance(content, bytes) else msgspec.msgpack.decode(content, type=list[bytes])
    except msgspec.DecodeError:
        return []
