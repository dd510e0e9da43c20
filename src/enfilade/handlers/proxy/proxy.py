"""The proxy's handler, and one exchange on its way to a peer and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from enfilade.exchange.bodies import Stream, empty_body
from enfilade.exchange.call import Call
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Handler
from enfilade.exchange.pending import Pending
from enfilade.exchange.response import Response, Tunnel
from enfilade.handlers.proxy.fields import outgoing_fields, returned_fields
from enfilade.handlers.proxy.internal import INTERNAL_FILE, answer_by_file
from enfilade.handlers.proxy.target import Rewrite
from enfilade.handlers.proxy.upgrade import accepted, handshake
from enfilade.http.ends import Ends
from enfilade.http.field_rules import FieldRules
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason, reason
from enfilade.http.request import Request
from enfilade.upstream.later import Timer
from enfilade.upstream.peer import Peer
from enfilade.upstream.upstream import Upstream

_BAD_RESPONSE = reason("bad_response")
_CLIENT_GONE = reason("client_gone")
_NOBODY = empty_body()
_NOTHING: Any = None, None
_NOT_STORED = (b"cache-control", b"no-store")
_RETRY = Fields([(b"retry-after", b"1")])


class Proxy:
    """Hands exchanges on to `upstream`.

    - `host`: what peers are told in Host; None: what the client asked for; "": the peer's own authority.
    - `path`: what they are asked for; None: the same path. `rules`: what happens to the request's other fields.
    - `instead`: answers in place of a peer's with that status; a status of 4 or 5 stands for its class.
    - `internal`: answers for files that the application names in `X-Accel-Redirect`.
    - `mirror`: is told of each exchange, to ask somebody else the same.
    """

    def __init__(
        self,
        upstream: Upstream,
        *,
        host: str | None = None,
        path: Rewrite | None = None,
        rules: FieldRules | None = None,
        instead: Mapping[int, Response] = {},
        internal: Handler | None = None,
        mirror: Callable[[Exchange], None] | None = None,
    ) -> None:
        self.upstream = upstream
        self.internal = internal
        self._mirror = mirror
        self._host = host
        self._path = path
        self._rules = rules
        self._instead = instead

    def __call__(self, x: Exchange) -> Response | Pending:
        if x.request.method == "OPTIONS" and x.request.fields.get(b"max-forwards") == b"0":
            return Response(204)  # meant for us (RFC 9110 section 7.6.2)
        forwarding = Forwarding(self, x)
        x.on_abort = forwarding.aborted
        upstream = self.upstream
        if upstream.sticky is not None:
            token = upstream.sticky.read(x.request.fields)
            forwarding.wanted = None if token is None else upstream.sticky.find(token, upstream.peers)
        upstream.send(forwarding)
        if self._mirror is not None:
            self._mirror(x)
        return forwarding

    def request_for(self, x: Exchange, peer: Peer) -> Request:
        """What `peer` is asked for `x`, remembered on the client's request."""
        remembered: tuple[object, Request] = x.request.forwarded or _NOTHING
        owner, known = remembered
        if owner is self and (self._host != "" or known.authority == peer.authority):
            return known
        asked = x.request
        method = asked.method
        if asked.protocol is not None:
            method = "CONNECT" if peer.http2 else "GET"
        fields = self._fields_for(asked, x.ends, peer)
        authority = asked.authority if self._host is None else self._host or peer.authority
        request = Request(
            method, "https" if peer.tls else "http", authority or peer.authority, "", "",
            asked.raw_path if self._path is None else self._path(x), asked.query, fields, "", asked.protocol,
        )  # fmt: skip
        if asked.protocol is None:  # a handshake has a key of its own each time
            asked.forwarded = self, request
        return request

    def _fields_for(self, asked: Request, ends: Ends, peer: Peer) -> Fields:
        """What goes with it, remembered on the client's fields: they come again with other paths."""
        plain = asked.protocol is None and asked.method != "OPTIONS"
        told = self, ends, asked.authority, asked.version
        known: tuple[object, Fields] = asked.fields.sent_on or _NOTHING
        if plain and known[0] == told:
            return known[1]
        pairs = outgoing_fields(asked, ends)
        if asked.protocol is not None:
            pairs = handshake(pairs, http2=peer.http2)
        fields = Fields(pairs)
        if self._rules is not None:
            fields = self._rules.apply(fields)
        if plain:
            asked.fields.sent_on = told, fields
        return fields

    def answer_of(self, x: Exchange, call: Call, answer: Response) -> Response:
        """What the client is answered where the peer answers `answer`."""
        fields = returned_fields(answer.fields)
        if call.request.protocol is not None and answer.status < 300:
            # To a client that speaks HTTP/2, any 2xx means that its tunnel is open.
            agreed = type(answer.body) is Tunnel and accepted(x.request.fields, call.request.fields, fields)
            return Response(answer.status, agreed, answer.body) if agreed else self.failure(x, _BAD_RESPONSE)
        page = self._page(answer.status) if self._instead else None
        return Response(answer.status, fields, answer.body) if page is None else page

    def failure(self, x: Exchange, why: Reason) -> Response:
        """What the client is answered where no peer has answered."""
        answer = error_response(why, x, _RETRY if why.status == 503 else NO_FIELDS)
        page = self._page(answer.status)
        return answer if page is None else Response(page.status, page.fields.adding(_NOT_STORED), page.body, why)

    def _page(self, status: int) -> Response | None:
        page = self._instead.get(status) or self._instead.get(status // 100)
        return None if page is None else Response(status, page.fields, page.body)


class Forwarding(Pending):
    """One exchange on its way: the errand that waits for a peer, the caller of the calls that are made for it, and the answer
    that will come. Several calls are under way at once where one is hedged: the first answer counts."""

    __slots__ = ("_hedge", "_proxy", "_tries", "_under_way", "key", "wanted", "x")

    def __init__(self, proxy: Proxy, x: Exchange) -> None:
        super().__init__()
        self.x = x
        self.key = b"" if proxy.upstream.key is None else proxy.upstream.key(x)
        self.wanted: Peer | None = None
        self._proxy = proxy
        self._tries = 0
        self._under_way: dict[Call, Peer] = {}
        self._hedge: Timer | None = None

    # -- Errand

    def go(self, peer: Peer) -> None:
        """See `Errand.go`."""
        x = self.x
        proxy = self._proxy
        request = proxy.request_for(x, peer)
        body = x.body if request.protocol is None else _NOBODY
        if body is not _NOBODY and (whole := body.whole) is not None:
            body = Stream.of(whole)  # another try can have it too
        self._tries += 1
        call = Call(request, body, self)
        self._under_way[call] = peer
        proxy.upstream.carry(peer, call)
        if self._tries == 1 and proxy.upstream.hedges and x.body.whole is not None:
            self._hedge = proxy.upstream.hedge_later(call, partial(self._ask_another, peer))

    def give_up(self, why: Reason) -> None:
        """See `Errand.give_up`."""
        if not self._under_way:
            self.resolve(self._proxy.failure(self.x, why))

    def _ask_another(self, but: Peer) -> None:
        """The answer is late: who else may be quicker?"""
        self._hedge = None
        if self.response is None and self._under_way:
            self._proxy.upstream.hedge(self, but)

    # -- Caller

    def informed(self, call: Call, status: int, fields: Fields) -> None:
        """See `Caller.informed`."""
        if self.response is None:
            self.x.inform(status, returned_fields(fields))

    def answered(self, call: Call, response: Response) -> None:
        """See `Caller.answered`."""
        proxy = self._proxy
        upstream = proxy.upstream
        peer = self._under_way[call]
        upstream.answered(peer, call)
        if type(response.body) is bytes:
            self._end(call, None)
        if self.response is not None:
            self._cancel([call], _CLIENT_GONE)
            return
        if self._under_way:
            self._cancel([other for other in self._under_way if other is not call], _CLIENT_GONE)
        if proxy.internal is not None and INTERNAL_FILE in response.fields:
            answer_by_file(self, self.x, proxy.internal, response.fields)
            self._cancel([call], _CLIENT_GONE)
            return
        theirs = response.body
        response = proxy.answer_of(self.x, call, response)
        if response.body is not theirs:
            self._cancel([call], _CLIENT_GONE)
        sticky = upstream.sticky
        if sticky is not None and peer is not self.wanted:
            cookie = sticky.cookie(peer, self.x.ends.scheme == "https")
            response = response.with_fields(response.fields.adding((b"set-cookie", cookie)))
        self.resolve(response)

    def over(self, call: Call, why: Reason | None) -> None:
        """See `Caller.over`."""
        peer = self._end(call, why)
        if why is None or call.status or self.response is not None or self._under_way:
            return
        replayable = not call.sent or self.x.body.whole is not None
        if not self._proxy.upstream.again(self, call, why, peer, self._tries - 1, replayable=replayable):
            self.resolve(self._proxy.failure(self.x, why))

    def _end(self, call: Call, why: Reason | None) -> Peer:
        """Its peer has room for another one."""
        peer = self._under_way.pop(call)
        self._proxy.upstream.finished(peer, call, why)
        if self._hedge is not None:
            self._hedge.cancel()
            self._hedge = None
        return peer

    # -- the client

    def aborted(self, why: Reason) -> None:
        """The client went away: so does what is done for it."""
        self.resolve(Response(499, reason=why))  # whoever fails now need not answer
        if not self._proxy.upstream.dismiss(self):
            self._cancel(list(self._under_way), why)

    def abandon(self) -> None:
        """See `Pending.abandon`."""
        self.aborted(_CLIENT_GONE)

    def _cancel(self, calls: list[Call], why: Reason) -> None:
        for call in calls:
            if call in self._under_way:
                self._proxy.upstream.cancel(self._under_way[call], call, why)
