"""A fixed answer, the same to every method."""

from __future__ import annotations

from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.http.fields import NO_FIELDS, Fields


class Respond:
    """Always `status` with `body`, of the media type `type`. ValueError if the status is no final one, or allows no body."""

    def __init__(self, status: int = 200, body: str = "", type: str = "text/plain; charset=utf-8") -> None:
        if not 200 <= status <= 599:
            raise ValueError(f"{status} is not the status of a final answer (200 to 599)")
        if body and status in (204, 304):
            raise ValueError(f"an answer with status {status} has no body (RFC 9110 section 15)")
        if not type.isprintable() or not type.isascii():
            raise ValueError(f"{type!r} is not a media type")
        fields = Fields([(b"content-type", type.encode())]) if body else NO_FIELDS
        self._response = Response(status, fields, body.encode())

    def __call__(self, x: Exchange) -> Response:
        return self._response
