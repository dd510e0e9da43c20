"""Parts of answers, served and asked for: of what is in the middle of a long one, nobody waits for what stands before it
(RFC 9111 sections 3.3 and 3.4)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from enfilade.cache import answer
from enfilade.cache.flight import Ground
from enfilade.cache.invalidate import untagged
from enfilade.cache.keeper import Asking
from enfilade.cache.partial import completing_fields, read_part, span_within
from enfilade.cache.query import Query
from enfilade.cache.reasons import CacheReason, cache_reason
from enfilade.cache.status import cache_status
from enfilade.cache.stored import Stored, Whole
from enfilade.cache.waiting import Waiter, ask
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
        x, query = waiter.x, waiter.query
        kept: Stored | None = None
        if response.status == 206 and isinstance(response.body, bytes):
            kept = self._keeper.keep_part(query, x.request, asking, response.fields, response.body, known)
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
        """The part that the client wants, from the origin."""
        asking = self._keeper.asking()
        return ask(self._ground.handler, x, lambda response: self._first_hand(x, query, asking, why, response))

    def _first_hand(self, x: Exchange, query: Query, asking: Asking, why: CacheReason, response: Response) -> Response:
        """An answer that only one client has asked for; what of it can be stored is."""
        kept: Stored | CacheReason | None = None
        fields, body = response.fields, response.body
        if response.status == 206 and isinstance(body, bytes):
            kept = self._keeper.keep_part(query, x.request, asking, fields, body, self._stored_for(query))
        elif isinstance(body, bytes) and response.status != 206:
            kept = self._keeper.judge(query, x.request, asking, response.status, fields)
            if isinstance(kept, Stored):
                kept.content = Whole(body)
                self._keeper.keep(query, kept)
        status = cache_status(why, stored=isinstance(kept, Stored))
        return response.with_fields(untagged(fields).adding((b"cache-status", status)))
