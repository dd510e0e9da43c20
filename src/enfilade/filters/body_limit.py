"""A limit on the request's body for one route, below the one that the engine applies to all (RFC 9110 section 15.5.14)."""

from __future__ import annotations

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.response import Response
from enfilade.http.reasons import reason

_TOO_LARGE = reason("body_too_large")


class BodyLimit(Filter):
    """Answers 413 at once where Content-Length, or what is here already, is more than `limit` bytes. A body without a length is
    counted as it comes: past the limit its reader gets BodyAborted with the reason `body_too_large`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def on_request(self, x: Exchange) -> Response | None:
        length = x.request.fields.get(b"content-length")
        if length is not None:
            # The engine has checked that it is a number, and that the body is as long as it says.
            return error_response(_TOO_LARGE, x) if int(length) > self._limit else None
        if x.body.ended and not x.body.size:
            return None
        if x.body.size > self._limit:
            return error_response(_TOO_LARGE, x)
        x.body.cap(self._limit - x.body.size, _TOO_LARGE)
        return None
