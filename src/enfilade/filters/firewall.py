"""The firewall for requests that trusted proxies pass on: their connections are let in, their clients may not be."""

from __future__ import annotations

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.http.addresses import Addresses
from enfilade.http.reasons import reason

_DENIED = reason("firewall_denied")


class Firewall(Filter):
    """Answers 403 to clients that are not `admitted`."""

    def __init__(self, admitted: Addresses) -> None:
        self._admitted = admitted

    def on_request(self, x: Exchange) -> Response | None:
        return None if x.ends.client_ip in self._admitted else error_response(_DENIED, x)
