"""Exchange: one request in flight and the answer to it, whatever the protocol version."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, Union

from enfilade.exchange.bodies import Stream, empty_body
from enfilade.exchange.response import Response
from enfilade.http.ends import Ends
from enfilade.http.fields import Fields
from enfilade.http.reasons import Reason
from enfilade.http.request import Request


class Outcome:
    """How an exchange ended: told exactly once. `sent` counts body bytes; `seconds` from the head to the last byte
    handed to the kernel's side; `reason` None if all went well."""

    __slots__ = ("reason", "seconds", "sent", "status")

    def __init__(self, status: int, sent: int, seconds: float, reason: Reason | None) -> None:
        self.status = status
        self.sent = sent
        self.seconds = seconds
        self.reason = reason


class Carrier(Protocol):
    """What an exchange may ask of the connection that carries it."""

    def inform(self, stream: int, status: int, fields: Fields) -> None:
        """Send an interim response (103 Early Hints) now; nothing happens where the client speaks HTTP/1.0."""

    def now(self) -> float:
        """The connection's monotonic clock, in seconds."""


class Route:
    """One line of a site: its pattern, and what was compiled from it. `count`: `Meter.count`, for every exchange that ends."""

    __slots__ = ("chain", "count", "done", "pattern", "site")

    def __init__(
        self,
        site: str,
        pattern: str,
        chain: Handler,
        done: tuple[OnDone, ...] = (),
        meter: Meter | None = None,
    ) -> None:
        self.site = site
        self.pattern = pattern
        self.chain = chain
        self.done = done
        self.count = _uncounted if meter is None else meter.count

    def __repr__(self) -> str:
        return f"<Route {self.site} {self.pattern}>"


class Meter(Protocol):
    """Counts the exchanges of a route on the board."""

    def count(self, status: int, sent: int, seconds: float) -> None: ...


def _uncounted(status: int, sent: int, seconds: float) -> None:
    """For routes that nobody wants to know about."""


class Match:
    """What the router found for a request: the route; `params`, what its `{name}` segments matched, decoded; `mount`, the part
    of `request.path` that a pattern `/prefix/*` stands for (`/prefix`): an application's `root_path` or `SCRIPT_NAME`."""

    __slots__ = ("mount", "params", "route")

    def __init__(self, route: Route, params: Mapping[str, str], mount: str) -> None:
        self.route = route
        self.params = params
        self.mount = mount


class Exchange:
    """One request in flight.

    - `request`, `body` (the request's; `empty_body()` where there is none), `ends`.
    - `started`: the monotonic time when the head was complete.
    - `match`: where the request belongs: the route, its parameters and its mount.
    - `id`: the request's name in logs, answers and error pages; None where nobody gave it one (filters/request_id.py does).
    - `vars`: what filters keep for this exchange, by the filter's own type; None until somebody keeps something: use `keep`.
    - `on_abort`: called once if the client goes away before the answer is complete; a handler sets it.
    - `response`: what was answered, None until then.
    """

    __slots__ = (
        "body",
        "carrier",
        "ends",
        "id",
        "match",
        "on_abort",
        "request",
        "response",
        "started",
        "stream",
        "vars",
    )  # fmt: skip

    def __init__(
        self,
        request: Request,
        body: Stream,
        ends: Ends,
        carrier: Carrier,
        stream: int,
        started: float,
        match: Match,
    ) -> None:
        self.request = request
        self.body = body
        self.ends = ends
        self.carrier = carrier
        self.stream = stream
        self.started = started
        self.match = match
        self.id: str | None = None
        self.response: Response | None = None
        self.vars: dict[type, Any] | None = None
        self.on_abort: Callable[[Reason], None] | None = None

    def keep(self, owner: type, value: Any) -> None:
        """Remember `value` for the filter `owner`."""
        if self.vars is None:
            self.vars = {}
        self.vars[owner] = value

    def kept(self, owner: type) -> Any:
        """What `keep` remembered for `owner`, or None."""
        return None if self.vars is None else self.vars.get(owner)

    def with_request(self, request: Request, carrier: Carrier) -> Exchange:
        """One in the name of this one, for `request`, which has no body; `carrier` hears of its interim responses."""
        x = Exchange(request, empty_body(), self.ends, carrier, self.stream, self.started, self.match)
        x.id = self.id
        return x

    def inform(self, status: int, fields: Fields) -> None:
        """Send an interim response (1xx but 101)."""
        self.carrier.inform(self.stream, status, fields)

    def __repr__(self) -> str:
        return f"<Exchange {self.request!r} -> {self.response!r}>"


Handler = Callable[[Exchange], Union[Response, Awaitable[Response]]]
OnDone = Callable[[Exchange, Outcome], None]


class Filter:
    """A policy that looks at every exchange of a route. Override what you need: what is not overridden is compiled away.

    `on_request` may answer instead of the handler. `on_response` sees what will be sent, last filter first, and returns it or
    another Response in its place. `on_done` is called exactly once, when the exchange is over in whatever way.
    """

    def around(self, handler: Handler) -> Handler:
        """What to call in place of the handler, behind the hooks of all filters. `handler` is what the filters behind this one
        put around the real one. Asked once, when the chain is compiled."""
        return handler

    def on_request(self, x: Exchange) -> Response | Awaitable[Response | None] | None:
        """Before the handler. None: go on."""
        return None

    def on_response(self, x: Exchange, r: Response) -> Response:
        """Before `r` is sent."""
        return r

    def on_done(self, x: Exchange, outcome: Outcome) -> None:
        """After the last byte, or after the failure."""
