"""One request to the origin, for all who wait for its answer (collapsing; RFC 9111 section 4)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from enfilade.cache import answer
from enfilade.cache.claims import FAILING, FLOWING, REMEMBERED, Claim, Claims
from enfilade.cache.decide import ORIGIN_FAILS, Use, on_error, use
from enfilade.cache.download import Download
from enfilade.cache.freshen import answer_precondition, fetching_fields, is_same, validating_fields
from enfilade.cache.invalidate import untagged
from enfilade.cache.keeper import Keeper
from enfilade.cache.query import Query
from enfilade.cache.reasons import OF_THE_REQUEST, CacheReason, cache_reason
from enfilade.cache.status import cache_status
from enfilade.cache.stored import Flag, Stored, Whole, Writer
from enfilade.cache.vary import signpost_names, variant_key
from enfilade.cache.waiting import Waiter
from enfilade.exchange.bodies import Stream
from enfilade.exchange.exchange import Exchange, Handler
from enfilade.exchange.pending import call
from enfilade.exchange.response import Body, FileSlice, Response, Tunnel, let_go
from enfilade.http.conditionals import Verdict, evaluate
from enfilade.http.dates import parse_date
from enfilade.http.fields import NO_FIELDS, Fields, Pair
from enfilade.http.ranges import content_range, parse_range
from enfilade.http.reasons import reason
from enfilade.http.request import Request

_CLIENT_GONE = reason("client_gone")
_REVALIDATED = cache_reason("revalidated")
_STALE_ERROR = cache_reason("stale_error")
_COLLAPSED = cache_reason("collapsed")
_FILE = cache_reason("file")
_TUNNEL = cache_reason("tunnel")
_NOT_THE_ANSWERS = OF_THE_REQUEST | {cache_reason("purged"), cache_reason("min_uses")}
"""Reasons that say nothing about the next answer."""
_TOO_LARGE = cache_reason("too_large")
_EVENTS = cache_reason("events")


class Ground(NamedTuple):
    """What flights of one route start from. `again`: look once more for a waiter whom this answer does not serve. `landed`: the
    flight is over."""

    handler: Handler
    keeper: Keeper
    claims: Claims
    tell: Callable[[Waiter, Response, CacheReason], None]
    again: Callable[[Waiter], None]
    landed: Callable[[Flight], None]


class Flight:
    """The request is that of `x`. `stored`: what is to be confirmed or replaced, if there is something. `refresh`: it is made for
    the store, whether anybody waits or not. `seen`: what was stored when it was decided on; by default `stored`."""

    def __init__(
        self,
        ground: Ground,
        x: Exchange,
        query: Query,
        stored: Stored | None,
        seen: Stored | None = None,
        *,
        refresh: bool = False,
    ) -> None:
        self.query = query
        self.key = query.variant  # what the query leads to may become another one
        self._ground = ground
        self._keeper = ground.keeper
        self.stored = stored
        self.seen = seen or stored
        self._waiters: list[Waiter] = []
        self._leader: Waiter | None = None
        self._refresh = refresh
        self._download: Download | None = None
        self._head: Stored | None = None
        self._fields = NO_FIELDS  # of an answer that flows
        self._length_known: int | None = None
        self._asked = x.request
        self._asking = self._keeper.asking()
        self._inner = x.with_request(self._request(x.request, stored), _Inform(self, x))

    @staticmethod
    def _request(asked: Request, stored: Stored | None) -> Request:
        """What the origin is asked: whether `stored` is still good, or for all of the answer, whatever part the client wants."""
        fields = None if stored is None else validating_fields(asked.fields, stored.fields)
        if fields is None:
            fields = fetching_fields(asked.fields)
        return asked if fields is asked.fields else asked.with_fields(fields)

    def start(self) -> None:
        call(self._ground.handler, self._inner, self._arrived)

    def join(self, waiter: Waiter) -> bool:
        """Wait for this answer. False: it is not for this waiter, or would not be whole."""
        download = self._download
        if download is not None:
            assert self._head is not None
            if not download.joinable or not self._serves(waiter, self._head):
                return False
            self._ground.tell(waiter, self._flowing(waiter, self._head, download), _COLLAPSED)
            return True
        if waiter.x.request is self._asked:
            self._leader = waiter
        self._waiters.append(waiter)
        waiter.boards(self._left)
        return True

    @property
    def wanted(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiters)

    def inform(self, status: int, fields: Fields) -> None:
        """An interim response (103): for everybody who waits."""
        for waiter in self._waiters:
            waiter.x.inform(status, fields)

    def _left(self, waiter: Waiter) -> None:
        """A client went away. If it was the last, nobody knows yet whether the answer could be stored: it is not waited for."""
        self._waiters.remove(waiter)
        if not self._waiters and not self._refresh and self._inner.on_abort is not None:
            self._inner.on_abort(_CLIENT_GONE)

    # -- the answer

    def _arrived(self, response: Response) -> None:
        stored = self.stored
        if not self._waiters and not self._refresh:
            let_go(response.body)
            self._ground.landed(self)
        elif stored is not None and response.status == 304:
            self._confirmed(stored, response)
        elif stored is not None and response.status in ORIGIN_FAILS and self._failed(stored, response):
            return
        else:
            self._came(response)

    def _confirmed(self, stored: Stored, response: Response) -> None:
        fresh = None
        if is_same(stored.fields, response.fields):
            fresh = self._keeper.confirm(self.query, self._asked, self._asking, stored, response.fields)
        else:
            self._keeper.tiers.remove(stored.key)  # the next request names no validator
        if fresh is not None:
            self._mark_unshared(fresh)
        self._ground.landed(self)
        for waiter in self.disembark():
            if fresh is None or not self._serves(waiter, fresh):
                self._ground.again(waiter)
            else:
                self._serve(waiter, fresh, _REVALIDATED, *self._cookies(waiter, response))

    def _failed(self, stored: Stored, response: Response) -> bool:
        """Serve stale whom that is allowed for; whether that were all."""
        now = self._keeper.clock()
        rest = []
        for waiter in self.disembark():
            if on_error(waiter.query.asked, stored.terms, now):
                self._serve(waiter, stored, _STALE_ERROR)
            else:
                rest.append(waiter)
        self._waiters = rest
        if rest:
            return False
        let_go(response.body)
        self._ground.landed(self)
        return True

    def _came(self, response: Response) -> None:
        """A new answer."""
        judged = self._keeper.judge(self.query, self._asked, self._asking, response.status, response.fields)
        response = response.with_fields(untagged(response.fields))
        body = response.body
        if not isinstance(judged, CacheReason):
            judged = self._look_at_body(judged, response)
        if isinstance(judged, CacheReason):
            self._not_kept(response, judged)
        elif isinstance(body, bytes):
            judged.content = Whole(body)
            self._keeper.keep(self.query, judged)
            self._mark_unshared(judged)
            self._ground.landed(self)
            self._share(judged, response)
        else:
            assert isinstance(body, Stream)
            self._flow(judged, response, body)

    def _look_at_body(self, judged: Stored, response: Response) -> Stored | CacheReason:
        body = response.body
        if isinstance(body, Tunnel):
            return _TUNNEL
        if isinstance(body, FileSlice):
            return _FILE
        if isinstance(body, Stream) and (response.fields.get(b"content-type") or b"").startswith(b"text/event-stream"):
            return _EVENTS
        if self._length(response) > self._keeper.tiers.largest:
            return _TOO_LARGE
        return judged

    @staticmethod
    def _length(response: Response) -> int:
        """What is known of it beforehand."""
        if isinstance(response.body, bytes):
            return len(response.body)
        if isinstance(response.body, FileSlice):
            return response.body.length
        length = response.fields.get(b"content-length")
        return int(length) if length is not None and length.isdigit() else 0

    def _not_kept(self, response: Response, why: CacheReason) -> None:
        """It is for who asked, and for nobody else."""
        if response.reason is None and why not in _NOT_THE_ANSWERS:
            self._ground.claims.mark(self.key, Claim.PASS, REMEMBERED if response.status < 500 else FAILING)
        self._ground.landed(self)
        waiters = self.disembark()
        if self._leader not in waiters:
            let_go(response.body)
        for waiter in waiters:
            # What we say ourselves (no peer, all busy ...) is for everybody: to ask again would make it worse.
            if waiter is self._leader or response.reason is not None:
                self._ground.tell(waiter, self._first_hand(waiter, response, why), waiter.why)
            else:
                self._ground.again(waiter)

    def _first_hand(self, waiter: Waiter, response: Response, why: CacheReason | None) -> Response:
        """The answer as it came, to who asked for it. The origin did not hear of the client's conditions: they are looked at
        here."""
        pair = (b"cache-status", cache_status(waiter.why, stored=why is None, detail=None if why is None else why.name))
        if waiter.query.asked.conditional and response.status == 200:
            asked, fields = waiter.x.request, response.fields
            modified = parse_date(fields.get(b"last-modified") or b"")
            verdict = evaluate(asked.method, asked.fields, fields.get(b"etag"), modified)
            if verdict is Verdict.NOT_MODIFIED:
                let_go(response.body)
                return answer.not_modified(fields, pair)
            wanted = asked.fields.get(b"range")
            if wanted is not None and verdict is Verdict.PROCEED:
                response = self._cut(response, wanted)
        return response.with_fields(response.fields.adding(pair))

    def _cut(self, response: Response, wanted: bytes) -> Response:
        """The part that is `wanted` of an answer, if that is one; what is behind it is not even read."""
        body, size = response.body, self._length(response)
        spans = parse_range(wanted, size)
        if isinstance(body, Tunnel) or spans is None or len(spans) != 1:
            return response
        start, stop = spans[0]
        part: Body
        if isinstance(body, bytes):
            part = body[start:stop]
        elif isinstance(body, FileSlice):
            part = FileSlice(body.fd, body.offset + start, stop - start, body.close)
        else:
            download = Download(body, 0, None, lambda _: None)
            part = download.read(start, stop)
            download.begin()
        said = (b"content-length", b"%d" % (stop - start)), (b"content-range", content_range((start, stop), size))
        return Response(206, response.fields.setting(*said), part)

    def _share(self, stored: Stored, response: Response) -> None:
        for waiter in self.disembark():
            if not self._serves(waiter, stored):
                self._ground.again(waiter)
            elif waiter is self._leader and not waiter.query.asked.conditional:
                self._ground.tell(waiter, self._first_hand(waiter, response, None), waiter.why)
            else:
                why = waiter.why if waiter is self._leader else _COLLAPSED
                self._serve(waiter, stored, why, *self._cookies(waiter, response))

    def _cookies(self, waiter: Waiter, response: Response) -> list[Pair]:
        """What an answer sets is for the client that it was asked for, and is not stored."""
        return [p for p in response.fields if p[0] == b"set-cookie"] if waiter is self._leader else []

    def _serves(self, waiter: Waiter, stored: Stored) -> bool:
        """Whether what is stored now is the answer for this waiter, too: it may vary, or be good once only (FAILURES 28)."""
        query = waiter.query
        if waiter is self._leader:
            return True
        if stored.key != query.key:
            names = signpost_names(stored.fields) or ()
            if variant_key(query.key, names, query.fields) != stored.key:
                return False
        way, _ = use(query.asked, stored.terms, self._keeper.clock(), self._keeper.rules)
        return way is not Use.VALIDATE and way is not Use.UNUSABLE

    def _mark_unshared(self, stored: Stored) -> None:
        """It is stored, but may be nobody else's answer as it is."""
        terms = stored.terms
        if terms.flags & Flag.VALIDATE or self._keeper.clock() >= max(terms.fresh_until, terms.stale_while):
            self._ground.claims.mark(self.key, Claim.ALONE, REMEMBERED)

    def _serve(self, waiter: Waiter, stored: Stored, why: CacheReason, *pairs: Pair) -> None:
        response = answer.represent(waiter.x, waiter.query.asked.conditional, stored, why, self._keeper.clock())
        if response is not None and pairs:
            response = response.with_fields(response.fields.adding(*pairs))
        if response is None:
            self._ground.again(waiter)
        else:
            self._ground.tell(waiter, response, why)

    def disembark(self) -> list[Waiter]:
        """Those who wait; from now on for something else."""
        waiters, self._waiters = self._waiters, []
        return waiters

    # -- an answer that flows

    def _flow(self, stored: Stored, response: Response, body: Stream) -> None:
        self._head = stored
        self._ground.claims.release(self.key, FLOWING)
        writer = self._keeper.tiers.writer(stored)
        download = self._download = Download(body, self._keeper.tiers.most, writer, self._flowed)
        self._length_known = self._length(response) if b"content-length" in response.fields else None
        self._fields = response.fields
        for waiter in self.disembark():
            if self._serves(waiter, stored):
                why = waiter.why if waiter is self._leader else _COLLAPSED
                self._ground.tell(waiter, self._flowing(waiter, stored, download), why)
            else:
                self._ground.again(waiter)
        download.begin()

    def _flowing(self, waiter: Waiter, stored: Stored, download: Download) -> Response:
        """What this waiter gets of it while it comes."""
        status, fields, query = stored.status, self._fields, waiter.query
        pair = (
            b"cache-status",
            cache_status(waiter.why, stored=waiter is self._leader, collapsed=waiter is not self._leader),
        )
        length, spans = self._length_known, None
        if query.asked.conditional:
            verdict = answer_precondition(waiter.x.request, status, stored.fields, stored.terms)
            if verdict is Verdict.NOT_MODIFIED:
                return answer.not_modified(fields, pair)
            wanted = waiter.x.request.fields.get(b"range")
            if wanted is not None and verdict is Verdict.PROCEED and length is not None and status == 200:
                spans = parse_range(wanted, length)
        if length is None or spans is None or len(spans) != 1:
            return Response(status, fields.adding(pair), download.read())
        start, stop = spans[0]
        said = (b"content-length", b"%d" % (stop - start)), (b"content-range", content_range(spans[0], length))
        return Response(206, fields.setting(*said).adding(pair), download.read(start, stop))

    def _flowed(self, download: Download) -> None:
        """All has come, or nothing more will. Until it is stored, it can be had here alone."""
        writer, stored = download.writer, self._head
        assert stored is not None
        whole = download.failure is None and download.kept
        if whole and writer is not None:
            _commits.add(task := asyncio.ensure_future(self._commit(download, writer, stored)))
            task.add_done_callback(_commits.discard)
            return
        if whole:
            stored.content = Whole(download.whole())
            self._keeper.keep(self.query, stored)
        elif writer is not None:
            writer.abort()
        self._ground.landed(self)

    async def _commit(self, download: Download, writer: Writer, stored: Stored) -> None:
        written = await writer.commit()
        if written is not None:
            body = download.whole()
            if len(body) == download.size:
                written = stored
                written.content = Whole(body)
            self._keeper.keep(self.query, written, written=True)
        self._ground.landed(self)


_commits: set[asyncio.Task[None]] = set()  # the event loop itself holds its tasks only weakly


class _Inform:
    """The carrier of the inner exchange: whoever waits now is behind it."""

    def __init__(self, flight: Flight, x: Exchange) -> None:
        self._flight = flight
        self._carrier = x.carrier

    def inform(self, stream: int, status: int, fields: Fields) -> None:
        self._flight.inform(status, fields)

    def now(self) -> float:
        return self._carrier.now()
