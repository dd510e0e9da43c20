"""Parts of answers, served and asked for: of what is in the middle of a long one, nobody waits for what stands before it
(RFC 9111 sections 3.3 and 3.4)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from enfilade.cache import answer
from enfilade.cache.combine import completing_fields, read_part, span_within, store_part
from enfilade.cache.download import Download
from enfilade.cache.flight import Ground
from enfilade.cache.invalidate import untagged
from enfilade.cache.keeper import Asking
from enfilade.cache.query import Query
from enfilade.cache.reasons import CacheReason, cache_reason
from enfilade.cache.status import cache_status
from enfilade.cache.stored import Stored, Terms, Whole
from enfilade.cache.waiting import Waiter, ask
from enfilade.exchange.bodies import Stream
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.pending import call
from enfilade.exchange.response import Response, let_go
from enfilade.http.conditionals import CONDITIONAL
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

_CLIENT_GONE = reason("client_gone")
_PARTIAL = cache_reason("partial")
_middle = re.compile(rb"bytes=(?:0*[1-9][0-9]*-[0-9]*|-[0-9]+)").fullmatch


def wants_middle(fields: Fields) -> bool:
    """One range that does not begin at the beginning, and nothing else that is conditional."""
    wanted = fields.get(b"range")
    return wanted is not None and _middle(wanted) is not None and CONDITIONAL.intersection(fields.names) == {b"range"}


class Parts:
    """Those of one route. `stored_for`: what is stored for a query."""

    def __init__(self, ground: Ground, stored_for: Callable[[Query], Stored | None]) -> None:
        self._ground = ground
        self._keeper = ground.keeper
        self._stored_for = stored_for

    def serve(self, x: Exchange, query: Query, stored: Stored, now: float) -> Response | None:
        """What the client wants, if the stored part has all of it."""
        part = read_part(stored.fields)
        wanted = x.request.fields.get(b"range")
        if part is None or wanted is None or b"if-range" in x.request.fields:
            return None
        within = span_within(part, wanted)
        return None if within is None else answer.part_of(stored, within, part, now)

    def complete(self, x: Exchange, query: Query, stored: Stored) -> Waiter | None:
        """All of it, of which the origin is asked for what is missing; None: that cannot be done."""
        part = read_part(stored.fields)
        fields = x.request.fields
        if (
            part is None
            or part.size > self._keeper.tiers.most
            or query.asked.conditional
            or (lacking := completing_fields(fields, stored.fields, part)) is None
        ):
            return None
        waiter = Waiter(x, query, _PARTIAL)
        inner = x.with_request(x.request.with_fields(lacking), x.carrier)
        asking = self._keeper.asking()
        waiter.boards(lambda _: None if inner.on_abort is None else inner.on_abort(_CLIENT_GONE))
        call(self._ground.handler, inner, lambda response: self._completed(waiter, asking, stored, response))
        return waiter

    def _completed(self, waiter: Waiter, asking: Asking, known: Stored, response: Response) -> None:
        body = response.body
        if response.status == 206 and isinstance(body, Stream):
            self._download(body, lambda whole: self._combined(waiter, asking, known, response, whole)).begin()
        else:
            self._combined(waiter, asking, known, response, body if isinstance(body, bytes) else None)

    def _combined(self, waiter: Waiter, asking: Asking, known: Stored, response: Response, body: bytes | None) -> None:
        x, query = waiter.x, waiter.query
        kept: Stored | None = None
        if response.status == 206 and body is not None:
            kept = self._keeper.keep_part(query, x.request, asking, response.fields, body, known)
        if kept is not None and kept.status == 200:
            answered = answer.represent(x, query.asked.conditional, kept, _PARTIAL, self._keeper.clock())
            assert answered is not None, "it is in hand"
            self._ground.tell(waiter, answered, _PARTIAL)
        elif response.status == 206 or response.status >= 400:
            let_go(response.body)
            self._keeper.tiers.remove(known.key)
            self._ground.again(waiter)
        else:
            self._ground.tell(waiter, self._first_hand(x, query, asking, _PARTIAL, response), _PARTIAL)

    def fetch(self, x: Exchange, query: Query, why: CacheReason) -> Response | Awaitable[Response]:
        """What the client wants, as it wants it, from the origin."""
        asking = self._keeper.asking()
        return ask(self._ground.handler, x, lambda response: self._first_hand(x, query, asking, why, response))

    def _first_hand(self, x: Exchange, query: Query, asking: Asking, why: CacheReason, response: Response) -> Response:
        """An answer that only one client has asked for; what of it can be stored is."""
        stored = False
        fields, body = response.fields, response.body
        if response.status == 206:
            if isinstance(body, bytes):
                stored = self._keep(x, query, asking, fields, body)
            elif isinstance(body, Stream) and self._wants(x, query, asking, fields):
                stored = True
                download = self._download(body, lambda whole: self._keep(x, query, asking, fields, whole))
                response = Response(206, fields, download.read())
                download.begin()
        elif isinstance(body, bytes):
            kept = self._keeper.judge(query, x.request, asking, response.status, fields)
            if isinstance(kept, Stored):
                kept.content = Whole(body)
                self._keeper.keep(query, kept)
                stored = True
        status = cache_status(why, stored=stored)
        return response.with_fields(untagged(fields).adding((b"cache-status", status)))

    def _keep(self, x: Exchange, query: Query, asking: Asking, fields: Fields, body: bytes | None) -> bool:
        """Store the part, if it has come; whether it is stored now."""
        if body is None:
            return False
        known = self._stored_for(query)
        return self._keeper.keep_part(query, x.request, asking, fields, body, known) is not None

    def _wants(self, x: Exchange, query: Query, asking: Asking, fields: Fields) -> bool:
        """Whether a part that is still to come is to be stored."""
        part, keeper = read_part(fields), self._keeper
        if part is None or part.stop - part.start > keeper.tiers.most:
            return False
        size, now = part.stop - part.start, keeper.clock()
        terms = store_part(x.request, query.asked, fields, size, asking.sent_at, now, keeper.rules)
        return isinstance(terms, Terms)

    def _download(self, body: Stream, then: Callable[[bytes | None], object]) -> Download:
        """Takes a body while it comes; `then` gets all of it, or None."""

        def over(download: Download) -> None:
            then(download.whole() if download.failure is None and download.kept else None)

        return Download(body, self._keeper.tiers.most, None, over)
