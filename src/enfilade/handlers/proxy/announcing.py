"""The proxy to peers that are told who the client is before each connection."""

from __future__ import annotations

from enfilade.exchange.exchange import Exchange
from enfilade.handlers.proxy.proxy import Proxy
from enfilade.http.announced import AnnouncedRequest
from enfilade.http.request import Request
from enfilade.upstream.peer import Peer


class AnnouncingProxy(Proxy):
    """A `Proxy` whose upstream has an `announce`."""

    def request_for(self, x: Exchange, peer: Peer) -> Request:
        """See `Proxy.request_for`."""
        request = super().request_for(x, peer)
        if isinstance(request, AnnouncedRequest):
            return request
        assert self.upstream.announce is not None
        request = AnnouncedRequest.of(request, self.upstream.announce(x.ends))
        if request.protocol is None:
            x.request.forwarded = self, request
        return request
