"""What a shared cache may do (RFC 9111), in pure functions: whether an answer may be stored, whether a stored one may be used.

Times are Unix times in seconds, and are passed in. How a stored answer is changed by others is in `freshen.py`, what it is purged
by in `invalidate.py`.
"""

from __future__ import annotations

from copy import copy
from enum import IntEnum
from math import inf
from typing import NamedTuple

from enfilade.cache.reasons import CacheReason, cache_reason
from enfilade.cache.stored import Flag, Terms
from enfilade.cache.vary import signpost_names
from enfilade.http.cache_control import NONE, Directives, delta_seconds, field_names, parse_cache_control, targeted
from enfilade.http.conditionals import CONDITIONAL, is_conditional
from enfilade.http.dates import parse_date
from enfilade.http.fields import Fields
from enfilade.http.request import Request

HEURISTIC = frozenset((200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501))
"""Statuses that are heuristically cacheable (RFC 9110 section 15.1), less 206, which is never stored."""
NEGATIVE = frozenset((404, 410, 500, 502, 503, 504))
"""What a configuration may say a lifetime of for the sake of the origin. Not what a strange request alone can bring about (400,
405, 414, 501): one would be enough to take a page away from everybody."""
UNDERSTOOD = HEURISTIC | NEGATIVE | {302, 303, 307, 451}
"""Statuses whose requirements on caches are kept here, for `must-understand`."""
UNSTORABLE = frozenset((206, 304, 412, 416))
"""What answers a condition or a range of one request."""
ORIGIN_FAILS = frozenset((500, 502, 503, 504))
"""Errors in the sense of RFC 5861 section 4."""

HEURISTIC_FRACTION = 0.1
HEURISTIC_MOST = 86400.0
"""A heuristic lifetime: so much of the time since Last-Modified (section 4.2.2), and never more than a day."""

_CDN = (b"cdn-cache-control",)
_SHAREABLE = (b"public", b"s-maxage", b"must-revalidate")

# Operations of IntFlag cost ten times those of int.
_VALIDATE, _STRICT, _GUESSED, _IMMUTABLE = map(int, (Flag.VALIDATE, Flag.STRICT, Flag.GUESSED, Flag.IMMUTABLE))

_HIT = cache_reason("hit")
_STALE_ALLOWED = cache_reason("stale_allowed")
_STALE_REFRESHING = cache_reason("stale_refreshing")
_STALE = cache_reason("stale")
_MUST_VALIDATE = cache_reason("must_validate")
_REQUEST = cache_reason("request")
_COOKIE = cache_reason("cookie")
_AUTHORIZATION = cache_reason("authorization")
_NO_FRESHNESS = cache_reason("no_freshness")
_REQUEST_METHOD, _REQUEST_NO_STORE = cache_reason("request_method"), cache_reason("request_no_store")
_REQUEST_COOKIE, _REQUEST_AUTHORIZATION = cache_reason("request_cookie"), cache_reason("request_authorization")
_STATUS, _PARTIAL, _NO_STORE = cache_reason("status"), cache_reason("partial_answer"), cache_reason("no_store")
_PRIVATE, _VARY_STAR, _SET_COOKIE = cache_reason("private"), cache_reason("vary_star"), cache_reason("set_cookie")
_STALE_ALREADY = cache_reason("stale_already")


class Rules(NamedTuple):
    """What a route's configuration says. Lifetimes in seconds, for answers that say nothing themselves.

    - `ttl`: fresh for so long; None: the heuristic of section 4.2.2. `negative`: the same for NEGATIVE statuses.
    - `grace`: may be served stale for so long while the origin fails. `refresh`: while it is refreshed.
    - `cookies_keyed`: the key holds what matters of the request's cookies.
    - `targets`: targeted fields that are heard (RFC 9213), the most specific first.
    """

    ttl: float | None = None
    negative: float | None = None
    grace: float = 0.0
    refresh: float = 0.0
    cookies_keyed: bool = False
    targets: tuple[bytes, ...] = _CDN


class Asked:
    """What a request asks of a cache (section 5.2.1), read once per request head.

    `max_age`, `min_fresh`, `max_stale` (infinite without a value), `stale_if_error`: seconds, None where it says nothing.
    `authorized`, `cookies`: it has Authorization, Cookie. `conditional`: it has a precondition or a range.
    `silent`: it says nothing of how fresh the answer is to be; `bars`: flags of stored answers that are then not simply used.
    `ready`: a fresh answer without them is used, as it is. `tag`: the one entity tag that the client has, where that is all that
    it asks about.
    """

    __slots__ = (
        "authorized", "bars", "conditional", "cookies", "max_age", "max_stale", "min_fresh", "no_cache", "no_store",
        "only_if_cached", "ready", "silent", "stale_if_error", "tag",
    )  # fmt: skip

    def __init__(self, fields: Fields) -> None:
        said = fields.get(b"cache-control")
        asked = parse_cache_control(said)
        # Section 5.4: Pragma is for those who do not know Cache-Control.
        self.no_cache = b"no-cache" in (asked if said is not None else parse_cache_control(fields.get(b"pragma")))
        self.no_store = b"no-store" in asked
        self.only_if_cached = b"only-if-cached" in asked
        self.max_age = _seconds(asked, b"max-age")
        self.min_fresh = _seconds(asked, b"min-fresh")
        self.stale_if_error = _seconds(asked, b"stale-if-error")
        self.max_stale: float | None = _seconds(asked, b"max-stale")
        if asked.get(b"max-stale", b"") is None:
            self.max_stale = inf
        # RFC 9440 section 3: an answer to a certificate is as much for one client as one to a password.
        self.authorized = b"authorization" in fields or b"client-cert" in fields
        self.cookies = b"cookie" in fields
        self.conditional = is_conditional(fields)
        self.silent = not self.no_cache and self.max_age is None and self.min_fresh is None
        self.bars = _VALIDATE | _GUESSED if self.authorized or self.cookies else _VALIDATE
        self.ready = self.silent and not self.conditional
        self.tag = _only_tag(fields) if self.silent and self.conditional else None

    def let_in(self) -> Asked:
        """The same of somebody who was let in by what is no Authorization: their answers are for them alone as well."""
        asked = copy(self)
        asked.authorized, asked.bars = True, _VALIDATE | _GUESSED
        return asked


def read_request(request: Request) -> Asked:
    """Remembered on the fields, which come again with other paths, or on their shape: what a cookie says is not asked."""
    fields = request.fields
    fields = fields if fields.shape is None else fields.shape
    asked: Asked | None = fields.asked
    if asked is None:
        asked = fields.asked = Asked(fields)
    return asked


class Use(IntEnum):
    """What may be done with a stored answer. FRESH: serve it. STALE: serve it, stale as it is. REFRESH: serve it and ask the
    origin in the background. VALIDATE: ask the origin first. UNUSABLE: it is not for this request."""

    FRESH = 0
    STALE = 1
    REFRESH = 2
    VALIDATE = 3
    UNUSABLE = 4


_FRESH_HIT = (Use.FRESH, _HIT)


def use(asked: Asked, terms: Terms, now: float, rules: Rules) -> tuple[Use, CacheReason]:
    """Sections 4, 4.2.4 and 5.2.1. That the key and the fields of Vary match is taken for granted."""
    flags = terms.flags
    late = now - terms.fresh_until
    if late < 0 and asked.silent and not flags & asked.bars:
        return _FRESH_HIT
    if flags & _GUESSED:
        if asked.authorized:
            return Use.UNUSABLE, _AUTHORIZATION
        if asked.cookies and not rules.cookies_keyed:
            return Use.UNUSABLE, _COOKIE
    if flags & _VALIDATE:
        return Use.VALIDATE, _MUST_VALIDATE
    if _unwanted(asked, terms, now):
        return Use.VALIDATE, _REQUEST
    if late < 0:
        return _FRESH_HIT
    # Section 5.2.1.1: who says max-age wants nothing stale, unless max-stale says otherwise.
    if now < terms.stale_while and (asked.max_age is None or asked.max_stale is not None):
        return Use.REFRESH, _STALE_REFRESHING
    if asked.max_stale is not None and late <= asked.max_stale and not flags & _STRICT:
        return Use.STALE, _STALE_ALLOWED
    return Use.VALIDATE, _STALE


def on_error(asked: Asked, terms: Terms, now: float) -> bool:
    """Whether an answer that `use` says to VALIDATE may be served although the origin gives none, or one of ORIGIN_FAILS (section
    4.3.3, RFC 5861 section 4)."""
    if asked.no_cache or terms.flags & _VALIDATE:
        return False
    if now < terms.stale_error:
        return True
    allowed = 0 if terms.flags & _STRICT else max(asked.stale_if_error or 0, asked.max_stale or 0)
    return now - terms.fresh_until < allowed


def store(
    request: Request, asked: Asked, status: int, fields: Fields, sent_at: float, came_at: float, rules: Rules
) -> Terms | CacheReason:
    """The terms on which the answer to `request`, which was sent at `sent_at` and came at `came_at`, may be stored (section 3),
    or why it may not."""
    if request.method != "GET":
        return _REQUEST_METHOD
    said = policy(fields, rules.targets)
    reason = _unstorable(asked, status, fields, said)
    if reason is not None:
        return reason
    age = _age(fields, sent_at, came_at)
    lifetime = _explicit(fields, said, rules.targets, came_at)
    guessed = lifetime is None
    if lifetime is None:
        lifetime = _guess(status, fields, said, came_at, rules)
    if lifetime is None:
        return _NO_FRESHNESS
    flags = _flags(asked, said, guessed)
    if flags & _GUESSED:
        if asked.authorized:
            return _REQUEST_AUTHORIZATION
        if asked.cookies and not rules.cookies_keyed:
            return _REQUEST_COOKIE
    refresh, grace = _allowances(status, said, flags, rules)
    until = came_at - age + lifetime
    usable = until + grace > came_at and not flags & _VALIDATE
    if not (usable or b"etag" in fields or b"last-modified" in fields):
        return _STALE_ALREADY
    return Terms(came_at - age, until, until + refresh, until + grace, flags)


def policy(fields: Fields, targets: tuple[bytes, ...]) -> Directives:
    """The directives that count for us: those of the first targeted field that is valid (RFC 9213 section 2.2), or else of
    Cache-Control."""
    target = _target(fields, targets)
    return parse_cache_control(fields.get(b"cache-control")) if target is None else target


def unshared_names(said: Directives) -> list[bytes]:
    """The fields that `private="..."` and `no-cache="..."` list. They are not stored (sections 5.2.2.4 and 5.2.2.7): of those of
    `no-cache` that is one of the two ways that there are, and the other would have the whole answer validated every time."""
    return [name for directive in (b"no-cache", b"private") for name in field_names(said.get(directive) or b"")]


def _unwanted(asked: Asked, terms: Terms, now: float) -> bool:
    """The request has no use for this answer, however fresh it is (sections 5.2.1.1, 5.2.1.3, 5.2.1.4)."""
    if asked.no_cache:
        return True
    if asked.min_fresh is not None and terms.fresh_until - now < asked.min_fresh:
        return True
    if asked.max_age is None or now - terms.born <= asked.max_age:
        return False
    # A reload says max-age=0; RFC 8246 section 2: only no-cache has an immutable answer validated while it is fresh.
    return not (terms.flags & _IMMUTABLE and now < terms.fresh_until)


def _unstorable(asked: Asked, status: int, fields: Fields, said: Directives) -> CacheReason | None:
    if asked.no_store:
        return _REQUEST_NO_STORE
    if status < 200 or status in UNSTORABLE:
        return _PARTIAL if status == 206 else _STATUS
    if b"must-understand" in said:
        # Section 5.2.2.3: whoever understands it is not meant by the no-store beside it.
        if status not in UNDERSTOOD:
            return _STATUS
    elif b"no-store" in said:
        return _NO_STORE
    if b"private" in said and not field_names(said[b"private"] or b""):
        return _PRIVATE
    if asked.authorized and not any(name in said for name in _SHAREABLE):
        return _REQUEST_AUTHORIZATION  # section 3.5
    if signpost_names(fields) is None:
        return _VARY_STAR
    # Section 7.3 leaves it to the origin to forbid it. A session handed to strangers is worse than a miss, so we ask for more:
    # that it names the field as one that is not stored.
    if b"set-cookie" in fields and b"set-cookie" not in unshared_names(said):
        return _SET_COOKIE
    return None


def _explicit(fields: Fields, said: Directives, targets: tuple[bytes, ...], came_at: float) -> float | None:
    """The lifetime that the origin says (section 4.2.1); None: it says none."""
    for name in (b"s-maxage", b"max-age"):
        if name in said:
            return delta_seconds(said[name])
    expires = fields.get(b"expires")
    if expires is None or _target(fields, targets) is not None:
        return None
    until = _date(expires)
    if until is None:
        return 0.0  # section 5.3
    return max(0.0, until - _made_at(fields, came_at))


def _guess(status: int, fields: Fields, said: Directives, came_at: float, rules: Rules) -> float | None:
    """The lifetime where the origin says none: the configuration's, or the heuristic (section 4.2.2)."""
    if status in NEGATIVE and rules.negative is not None:
        return rules.negative
    if status not in HEURISTIC and b"public" not in said:
        return None
    if _validated(said):
        return 0.0
    if rules.ttl is not None and status < 400:
        return rules.ttl
    modified = _date(fields.get(b"last-modified"))
    if modified is None:
        return None
    return min(max(0.0, (_made_at(fields, came_at) - modified) * HEURISTIC_FRACTION), HEURISTIC_MOST)


def _made_at(fields: Fields, came_at: float) -> int:
    """What Date says; without a valid one, when the answer came (section 4.2.1)."""
    date = _date(fields.get(b"date"))
    return int(came_at) if date is None else date


def _date(value: bytes | None) -> int | None:
    """What a field says of a time, whatever its case: for caches section 4.2 overlooks that."""
    return None if value is None else parse_date(value.title().replace(b"Gmt", b"GMT"))


def _age(fields: Fields, sent_at: float, came_at: float) -> float:
    """Section 4.2.3, corrected_initial_age."""
    apparent = int(came_at) - _made_at(fields, came_at)
    # Section 5.1: of several the first counts, and what is no number is ignored.
    said = (fields.get(b"age") or b"").partition(b",")[0].strip(b" \t")
    return max(0.0, apparent, delta_seconds(said) + (came_at - sent_at))


def _validated(said: Directives) -> bool:
    """`no-cache` without names (section 5.2.2.4)."""
    return b"no-cache" in said and not field_names(said[b"no-cache"] or b"")


def _flags(asked: Asked, said: Directives, guessed: bool) -> int:
    flags = Flag(0)
    if _validated(said):
        flags |= Flag.VALIDATE
    # Section 5.2.2.10: s-maxage has the meaning of proxy-revalidate.
    if b"must-revalidate" in said or b"proxy-revalidate" in said or b"s-maxage" in said:
        flags |= Flag.STRICT
    # `public` says as well as a lifetime that it is for everybody.
    if guessed and b"public" not in said:
        flags |= Flag.GUESSED
    if asked.authorized:
        flags |= Flag.AUTHORIZED
    if b"immutable" in said:
        flags |= Flag.IMMUTABLE
    return int(flags)


def _allowances(status: int, said: Directives, flags: int, rules: Rules) -> tuple[float, float]:
    """For how long it may be served stale: while it is refreshed, and while the origin fails (RFC 5861)."""
    # An origin that allows it by name overrides what s-maxage only implies, but not what it says by name.
    firm = flags & _VALIDATE or b"must-revalidate" in said or b"proxy-revalidate" in said
    # What a configuration allows is for answers worth having, and nothing that the origin says may stand against it.
    ours = status < 500 and not flags & (_VALIDATE | _STRICT)
    heard = NONE if firm else said
    refresh = _allowance(heard, b"stale-while-revalidate", rules.refresh if ours else 0.0)
    return refresh, max(refresh, _allowance(heard, b"stale-if-error", rules.grace if ours else 0.0))


def _allowance(said: Directives, name: bytes, default: float) -> float:
    return delta_seconds(said[name]) if name in said else default


def _target(fields: Fields, targets: tuple[bytes, ...]) -> Directives | None:
    for name in targets:
        value = fields.get(name)
        if value is not None and (said := targeted(value)) is not None:
            return said
    return None


def _only_tag(fields: Fields) -> bytes | None:
    """What If-None-Match says, if no other condition counts beside it (RFC 9110 section 13.2.2)."""
    others = CONDITIONAL.intersection(fields.names) - {b"if-none-match", b"if-modified-since"}
    return None if others else fields.get(b"if-none-match")


def _seconds(asked: Directives, name: bytes) -> int | None:
    return delta_seconds(asked[name]) if name in asked else None
