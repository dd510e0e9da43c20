"""The firewall for requests that trusted proxies pass on: their connections are let in, their clients may not be."""

from __future__ import annotations

from typing import Protocol

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.http.reasons import Reason


class Guard(Protocol):
    def refuses(self, client: str) -> Reason | None:
        """Why nobody comes in from the address `client`; None: they do."""


class Firewall(Filter):
    """Answers clients that `guard` refuses (403)."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    def on_request(self, x: Exchange) -> Response | None:
        why = self._guard.refuses(x.ends.client_ip)
        return None if why is None else error_response(why, x)
