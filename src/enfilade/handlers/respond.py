"""A fixed answer.

nginx (`return`) and Caddy (`respond`) give theirs to every method, so that a DELETE of a page that cannot be deleted seems to
have worked. Here 2xx means what RFC 9110 section 15.3 says: something was done, and all that is done here is reading.
"""

from __future__ import annotations

from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.handlers.methods import refuse_method
from enfilade.http.field_texts import field_value
from enfilade.http.fields import NO_FIELDS, Fields

_READS = ("GET", "HEAD")


class Respond:
    """`status` with `body`, of the media type `type`: a 2xx to GET and HEAD, unless `any_method`; any other status (403, 410,
    503) to every method. ValueError if the status is no final one or allows no body, or for a `type` that cannot be sent."""

    def __init__(
        self, status: int = 200, body: str = "", type: str = "text/plain; charset=utf-8", *, any_method: bool = False
    ) -> None:
        if not 200 <= status <= 599:
            raise ValueError(f"{status} is not the status of a final answer (200 to 599)")
        if body and status in (204, 304):
            raise ValueError(f"an answer with status {status} has no body (RFC 9110 section 15)")
        content_type = (b"content-type", field_value(type))
        fields = Fields([content_type]) if body else NO_FIELDS
        self._only_reads = 200 <= status <= 299 and not any_method
        self._response = Response(status, fields, body.encode())

    def __call__(self, x: Exchange) -> Response:
        if self._only_reads and x.request.method not in _READS:
            return refuse_method(x, _READS)
        return self._response
