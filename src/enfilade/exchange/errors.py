"""Error answers: what a person, or a program, is told. Never more than the table of reasons says: no internals."""

from __future__ import annotations

import json
import logging
from asyncio import CancelledError
from collections.abc import Callable
from html import escape
from http import HTTPStatus

from enfilade.exchange.bodies import BodyAborted
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.negotiate import choose_type
from enfilade.http.reasons import Reason, reason

log = logging.getLogger("enfilade.exchange")
INTERNAL = reason("internal")

# RFC 9110's own words where Python before 3.13 has older ones.
PHRASES: dict[int, str] = {s.value: s.phrase for s in HTTPStatus} | {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
    499: "Client Closed Request",
}

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>{status} {phrase}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem }}
h1 {{ font-size: 1.4rem; font-weight: 600; margin: 0 }}
h1 span {{ opacity: .5; font-weight: 400; margin-right: .4em }}
small {{ opacity: .6 }}
</style>
<h1><span>{status}</span>{phrase}</h1>
<p>{text}</p>
{id}</html>
"""


def error_response(reason: Reason, x: Exchange, fields: Fields = NO_FIELDS) -> Response:
    """The answer to `x` for `reason`, with `fields` in front (Allow, Content-Range, Retry-After ...).

    A page for browsers, `application/problem+json` (RFC 9457) for who asks for JSON, a line of text for anybody else.
    A row that cannot be answered (status 0) is our fault if it comes here: 500.
    """
    media = choose_type(x.request.fields.get(b"accept"), _OFFERS) or b"text/plain"
    if x.id is None and fields is NO_FIELDS:
        ready = _ready.get((reason.index, media))
        if ready is None:
            ready = _ready[reason.index, media] = _make(reason, media, None, fields)
        return ready
    return _make(reason, media, x.id, fields)


def failure_response(x: Exchange, e: BaseException) -> Response:
    """The answer to `x` where its handler raised `e`: one log line with the traceback, unless it was the client who left."""
    if isinstance(e, BodyAborted):
        return error_response(e.reason, x)
    if not isinstance(e, CancelledError):
        log.error("%s %s failed", x.request.method, x.request.target, exc_info=e)
    return error_response(INTERNAL, x)


def _make(reason: Reason, media: bytes, request_id: str | None, fields: Fields) -> Response:
    content_type, write = _WRITERS[media]
    status = reason.status or 500
    body = write(status, PHRASES.get(status, "Error"), reason.text, request_id)
    # What is wrong now may be right in a moment: a cache must not guess (RFC 9111 section 4.2.2).
    said = fields.adding((b"content-type", content_type), (b"cache-control", b"no-store"), (b"vary", b"accept"))
    return Response(status, said, body, reason)


def _write_text(status: int, phrase: str, text: str, request_id: str | None) -> bytes:
    return f"{status} {phrase}: {text}{f' ({request_id})' if request_id else ''}\n".encode()


def _write_html(status: int, phrase: str, text: str, request_id: str | None) -> bytes:
    line = f"<p><small>Request {escape(request_id)}</small></p>\n" if request_id else ""
    return _PAGE.format(status=status, phrase=escape(phrase), text=escape(text), id=line).encode()


def _write_problem(status: int, phrase: str, text: str, request_id: str | None) -> bytes:
    problem: dict[str, str | int] = {"type": "about:blank", "title": phrase, "status": status, "detail": text}
    if request_id:
        problem["request_id"] = request_id
    return json.dumps(problem).encode() + b"\n"


_PROBLEM = (b"application/problem+json", _write_problem)
_WRITERS: dict[bytes, tuple[bytes, Callable[[int, str, str, str | None], bytes]]] = {
    b"text/plain": (b"text/plain; charset=utf-8", _write_text),
    b"text/html": (b"text/html; charset=utf-8", _write_html),
    b"application/problem+json": _PROBLEM,
    b"application/json": _PROBLEM,
}
_OFFERS = tuple(_WRITERS)
_ready: dict[tuple[int, bytes], Response] = {}  # no more than reasons times kinds
