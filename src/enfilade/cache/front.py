"""The cache in front of a handler: for each exchange, what is stored is used, confirmed, or fetched anew."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol

import msgspec

from enfilade.cache import answer
from enfilade.cache.claims import LOOK, Claim, Claims
from enfilade.cache.decide import Use, read_request, use
from enfilade.cache.flight import Flight, Ground
from enfilade.cache.freshen import is_head_of
from enfilade.cache.invalidate import SAFE, untagged
from enfilade.cache.keeper import Asking, Keeper
from enfilade.cache.key import KeyRules, make_key
from enfilade.cache.parts import Parts, wants_middle
from enfilade.cache.purges import State
from enfilade.cache.query import Query
from enfilade.cache.reasons import CacheReason, Kind, cache_reason
from enfilade.cache.status import cache_status
from enfilade.cache.stored import Flag, Stored, Terms
from enfilade.cache.waiting import Waiter, ask
from enfilade.exchange.bodies import empty_body
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Handler
from enfilade.exchange.identity import Identity
from enfilade.exchange.pending import call
from enfilade.exchange.response import Response
from enfilade.exchange.tasks import start
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

READY = 4 * 1024 * 1024
"""Bytes of bodies that are held ready at most, for the rest of a second."""

_VALIDATE = int(Flag.VALIDATE)
_NOT_CACHED = reason("not_cached")
_NOBODY = empty_body()
_METHOD = cache_reason("method")
_UPGRADE = cache_reason("upgrade")
_REQUEST_BODY = cache_reason("request_body")
_OVERRIDE = cache_reason("override")
_HIT = cache_reason("hit")
_URI_MISS = cache_reason("uri_miss")
_VARY_MISS = cache_reason("vary_miss")
_PURGED = cache_reason("purged_before")
_LOST = cache_reason("lost")
_PASSED = cache_reason("hit_for_miss")
_PARTIAL = cache_reason("partial")

_OVERRIDES = frozenset(
    (b"x-original-url", b"x-rewrite-url", b"x-host", b"x-http-method", b"x-http-method-override", b"x-method-override")
)
"""Fields in which some frameworks look for another address or method than the request's: no key has them (FAILURES 27)."""


class Meter(Protocol):
    """Counts how requests of a route were answered."""

    def count(self, kind: Kind) -> None: ...


class Ready:
    """What requests for a stored answer get, as it is `until` its Age or anything else changes: the `whole` of it, or, to those
    who have it by its `tag`, that it is `not_modified`. `flags`: of its terms."""

    __slots__ = ("flags", "generation", "not_modified", "tag", "until", "whole")

    def __init__(self, stored: Stored, until: float, generation: int) -> None:
        self.until = until
        self.generation = generation
        self.flags = stored.terms.flags
        self.tag = stored.fields.get(b"etag")
        self.whole: Response | None = None
        self.not_modified: Response | None = None


Later = Callable[[float, Callable[[], None]], object]
"""`later(seconds, what)`: call `what` then."""


def _later(seconds: float, what: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, what)


class Front:
    """The `Handler` in the place of `handler`. `claims`: what workers know of each other's fetches."""

    def __init__(
        self,
        handler: Handler,
        keeper: Keeper,
        keys: KeyRules,
        meter: Meter,
        claims: Claims,
        later: Later = _later,
    ) -> None:
        self._handler = handler
        self._keeper = keeper
        self._keys = keys
        self._count = meter.count
        self._get = keeper.tiers.get
        self._purges = keeper.purges
        self._clock = keeper.clock
        self._cookies_keyed = keeper.rules.cookies_keyed
        self._claims = claims
        self._later = later
        self._flights: dict[bytes, Flight] = {}
        self._ground = Ground(handler, keeper, claims, self._tell, self._again, self._landed)
        self._parts = Parts(self._ground, self._stored_for)
        self._ready: list[Stored] = []
        self._ready_bytes = 0
        self._second = 0

    def __call__(self, x: Exchange) -> Response | Awaitable[Response]:
        request = x.request
        query: Query | CacheReason | None = request.cached
        if type(query) is not Query or query.owner is not self:
            query = self._read(x)
            if isinstance(query, CacheReason):
                return self._pass(x, None, query)
        stored = self._get(query.key)
        if stored is None or not stored.status:
            why = _URI_MISS if stored is None else _VARY_MISS
            stored = query.follow(stored, self._get)
            if stored is None:
                return self._miss(x, query, why)
        now = self._clock()
        ready = stored.memory
        if (
            type(ready) is Ready
            and now < ready.until
            and not ready.flags & query.bars
            and ready.generation == self._purges.generation
        ):
            asked = query.asked
            response = ready.whole if asked.ready else ready.not_modified if asked.tag == ready.tag else None
            if response is not None:
                self._count(Kind.HIT)
                return response
        return self._consider(x, query, stored, now)

    def _read(self, x: Exchange) -> Query | CacheReason:
        """What it asks of the cache, if it is anything that a cache can answer."""
        request = x.request
        if request.method not in ("GET", "HEAD"):
            return _METHOD
        if request.protocol is not None:
            return _UPGRADE
        if x.body is not _NOBODY:
            return _REQUEST_BODY  # an input that no key has (FAILURES 27)
        if not _OVERRIDES.isdisjoint(request.fields.names):
            return _OVERRIDE
        asked = read_request(request)
        if not asked.authorized and x.kept(Identity) is not None:
            asked = asked.let_in()
        # Where the key has what matters of cookies, those that are there matter no more.
        bars = _VALIDATE if self._cookies_keyed and not asked.authorized else asked.bars
        head = request.method == "HEAD"
        query = request.cached = Query(self, make_key(request, self._keys), asked, bars, request.fields, head=head)
        return query

    # -- with something stored

    def _consider(self, x: Exchange, query: Query, stored: Stored, now: float) -> Response | Awaitable[Response]:
        generation = self._purges.generation
        state = self._purges.look(stored.names, stored.generation)
        if state is State.DEAD:
            self._keeper.tiers.remove(stored.key)
            return self._fetch(x, query, None, _PURGED)
        terms = stored.terms if state is State.ALIVE else _aged(stored.terms, now)
        way, why = use(query.asked, terms, now, self._keeper.rules)
        if way is Use.VALIDATE or way is Use.UNUSABLE:
            usable = way is Use.VALIDATE and stored.status != 206
            return self._fetch(x, query, stored if usable else None, why, stored)
        if way is Use.REFRESH and query.variant not in self._flights:
            self._take_off(Flight(self._ground, x, query, stored, refresh=True))
        if stored.status == 206:
            response = self._parts.serve(x, query, stored, now)
        else:
            response = answer.represent(x, query.asked.conditional, stored, why, now)
        if response is None:
            return self._make_whole(x, query, stored)
        self._count(why.kind)
        if why is _HIT and type(response.body) is bytes:
            if query.asked.ready:
                self._ready_for(stored, now, generation).whole = response
                self._ready_bytes += stored.content.size
            elif response.status == 304 and query.asked.tag is not None:
                self._ready_for(stored, now, generation).not_modified = response
        return response

    def _ready_for(self, stored: Stored, now: float, generation: int) -> Ready:
        """Bodies are held for no longer than the second: they have their place in memory already."""
        terms = stored.terms
        if int(now) != self._second or self._ready_bytes > READY:
            for old in self._ready:
                old.memory = None
            self._ready.clear()
            self._ready_bytes = 0
            self._second = int(now)
        ready = stored.memory
        if type(ready) is Ready and now < ready.until and ready.generation == generation:
            return ready
        until = terms.born + math.floor(now - terms.born) + 1.0
        ready = stored.memory = Ready(stored, min(until, terms.fresh_until), generation)
        self._ready.append(stored)
        return ready

    def _make_whole(self, x: Exchange, query: Query, stored: Stored) -> Response | Awaitable[Response]:
        """Only a part is stored, and not the one that is wanted; or it cannot be read."""
        if stored.status != 206:
            return self._fetch(x, query, None, _LOST, stored)
        waiter = self._parts.complete(x, query, stored)
        if waiter is None:
            return self._fetch(x, query, None, _PARTIAL, stored)
        return waiter if waiter.response is None else waiter.response

    # -- with nothing that can be used

    def _miss(self, x: Exchange, query: Query, why: CacheReason) -> Response | Awaitable[Response]:
        """Memory has nothing."""
        if not self._keeper.tiers.deep or query.variant in self._flights:
            return self._fetch(x, query, None, why)
        look = self._keeper.tiers.look
        found = look(query.key)
        if not isinstance(found, Awaitable):
            found = query.follow(found, look)
        if isinstance(found, Awaitable):
            return start(self._looked(x, query, why, found), asyncio.get_running_loop())
        return self._found(x, query, why, found)

    async def _looked(self, x: Exchange, query: Query, why: CacheReason, look: Awaitable[Stored | None]) -> Response:
        """What was looked for may be the signpost, or already what it leads to."""
        found = query.follow(await look, self._keeper.tiers.look)
        answer = self._found(x, query, why, await found if isinstance(found, Awaitable) else found)
        return answer if isinstance(answer, Response) else await answer

    def _found(
        self, x: Exchange, query: Query, why: CacheReason, stored: Stored | None
    ) -> Response | Awaitable[Response]:
        if stored is None:
            return self._fetch(x, query, None, why)
        return self._consider(x, query, stored, self._clock())

    def _fetch(
        self, x: Exchange, query: Query, stored: Stored | None, why: CacheReason, seen: Stored | None = None
    ) -> Response | Awaitable[Response]:
        """Ask the origin: whether `stored` is still good, or for all of it. `seen`: what is stored, and of no use."""
        asked = query.asked
        if asked.only_if_cached:
            self._count(why.kind)
            return error_response(_NOT_CACHED, x, Fields([(b"cache-status", cache_status(why))]))
        if query.head:
            return self._pass(x, query, why)
        key = query.variant
        claim = self._claims.look(key)
        if claim is Claim.PASS and stored is None:
            self._count(_PASSED.kind)
            return self._parts.fetch(x, query, _PASSED)
        shared = claim in (Claim.FREE, Claim.TAKEN)
        alone = not shared or asked.no_cache or asked.authorized or (asked.cookies and not self._cookies_keyed)
        flight = None if alone else self._flights.get(key)
        if flight is None and asked.conditional and wants_middle(x.request.fields):
            self._count(why.kind)
            return self._parts.fetch(x, query, why)
        waiter = Waiter(x, query, why)
        if flight is None or not flight.join(waiter):
            flight = Flight(self._ground, x, query, stored, seen)
            flight.join(waiter)
            if alone or key in self._flights:
                flight.start()
            else:
                self._take_off(flight)
        return waiter if waiter.response is None else waiter.response

    def _take_off(self, flight: Flight) -> None:
        """Start it, unless another worker fetches the same, or has done so just now."""
        self._flights[flight.key] = flight
        claim = self._claims.take(flight.key)
        if claim is Claim.TAKEN:
            self._hold(flight)
        elif self._stored_for(flight.query) in (flight.seen, None):
            flight.start()
        else:
            self._call_off(flight)

    def _hold(self, flight: Flight) -> None:
        """Another worker is at it: look again in a moment."""
        if flight.wanted and self._claims.look(flight.key) is Claim.TAKEN:
            self._later(LOOK, partial(self._hold, flight))
        else:
            self._call_off(flight)

    def _call_off(self, flight: Flight) -> None:
        """Another worker was quicker: its answer is stored, is for nobody else, or did not come."""
        self._landed(flight)
        for waiter in flight.disembark():
            self._again(waiter)

    def _stored_for(self, query: Query) -> Stored | None:
        return query.follow(self._get(query.key), self._get)

    def _landed(self, flight: Flight) -> None:
        """See `Ground`."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]
            self._claims.release(flight.key)

    def _tell(self, waiter: Waiter, response: Response, why: CacheReason) -> None:
        self._count(why.kind)
        waiter.resolve(response)

    def _again(self, waiter: Waiter) -> None:
        """The answer that it waited for is not its own: what is stored now may be, or it asks for itself (FAILURES 28)."""
        if waiter.response is not None:
            return
        waiter.x.on_abort = None
        call(self, waiter.x, partial(_resolve, waiter))

    # -- past the cache

    def _pass(self, x: Exchange, query: Query | None, why: CacheReason) -> Response | Awaitable[Response]:
        """To the handler as it is; what it answers may still concern what is stored. `query`: that of HEAD."""
        self._count(why.kind)
        asking = self._keeper.asking()
        return ask(self._handler, x, lambda response: self._passed(x, query, asking, why, response))

    def _passed(
        self, x: Exchange, query: Query | None, asking: Asking, why: CacheReason, response: Response
    ) -> Response:
        request = x.request
        if request.method not in SAFE:
            self._keeper.invalidate(request, response.status, response.fields, self._keys)
        elif query is not None and response.status == 200:
            self._update(query, x, asking, response)
        return response.with_fields(untagged(response.fields).adding((b"cache-status", cache_status(why))))

    def _update(self, query: Query, x: Exchange, asking: Asking, response: Response) -> None:
        """HEAD confirms what is stored, or shows that it is outdated (RFC 9111 section 4.3.5)."""
        stored = self._get(query.variant)
        if stored is None or stored.status != 200:
            return
        if is_head_of(stored.fields, stored.content.size, response.fields):
            self._keeper.confirm(query, x.request.with_method("GET"), asking, stored, response.fields)
        else:
            self._keeper.tiers.remove(stored.key)


def _resolve(waiter: Waiter, response: Response) -> None:
    waiter.resolve(response)


def _aged(terms: Terms, now: float) -> Terms:
    """The terms of what was softly purged: stale from now on, and usable as such only where the answer allowed it."""
    stale_while = now if terms.stale_while <= terms.fresh_until else terms.stale_while
    stale_error = now if terms.stale_error <= terms.fresh_until else terms.stale_error
    return msgspec.structs.replace(
        terms, fresh_until=min(now, terms.fresh_until), stale_while=stale_while, stale_error=stale_error
    )
