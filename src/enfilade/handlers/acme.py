"""Our own ACME server over HTTP."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.pki.acme.words import Answer, Asked

MAX_BODY = 64 * 1024
"""Bytes of a request."""
TOO_LARGE = reason("body_too_large")
BUSY = reason("pki_busy")


class AcmeHandler:
    """`answer`: what is said to a request; None: nobody has time for it."""

    def __init__(self, answer: Callable[[Asked], Awaitable[Answer | None]]) -> None:
        self._answer = answer

    async def __call__(self, x: Exchange) -> Response:
        request = x.request
        body = bytearray()
        while piece := await x.body.read():
            body += piece
            if len(body) > MAX_BODY:
                return error_response(TOO_LARGE, x)
        mount = x.match.mount
        media = (request.fields.get(b"content-type") or b"").decode("latin-1").lower()
        base = f"{request.scheme}://{request.authority}{mount}"
        answer = await self._answer(Asked(request.method, base, request.path[len(mount) :], media, bytes(body)))
        if answer is None:
            return error_response(BUSY, x)
        return Response(answer.status, Fields(answer.fields), answer.body)
