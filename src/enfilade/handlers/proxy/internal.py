"""Files that an application names, for us to send in place of its answer (nginx's X-Accel-Redirect)."""

from __future__ import annotations

import re
from asyncio import ensure_future
from collections.abc import Awaitable

from enfilade.exchange.bodies import empty_body
from enfilade.exchange.errors import error_response, failure_response
from enfilade.exchange.exchange import Exchange, Handler, Match
from enfilade.exchange.pending import Pending
from enfilade.exchange.response import FileSlice, Response
from enfilade.handlers.proxy.fields import returned_fields
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.http.request import Request
from enfilade.http.uri import UriError, split_target

_BAD_RESPONSE = reason("bad_response")
INTERNAL_FILE = b"x-accel-redirect"
"""The field's name; its value is the file's path below the directory, percent-encoded."""

# What only the file itself, or whoever sends it, can know.
_OF_THE_FILE = (
    INTERNAL_FILE, b"accept-ranges", b"content-encoding", b"content-length", b"content-range", b"etag", b"last-modified",
)  # fmt: skip
_encode_rest = re.compile(rb"[^!-~]").sub


def answer_by_file(pending: Pending, x: Exchange, files: Handler, said: Fields) -> None:
    """Resolve `pending`, the answer to `x`, with the file that `said`, the application's fields, name."""

    def send(found: Response) -> None:
        if not pending.resolve(_with(found, said)) and isinstance(found.body, FileSlice):
            found.body.close()  # the client went away first

    try:
        found = files(_asking(x, said.get(INTERNAL_FILE) or b""))
    except UriError:
        found = error_response(_BAD_RESPONSE, x)
    if isinstance(found, Response):
        send(found)
    else:
        ensure_future(_wait(x, found)).add_done_callback(lambda task: send(task.result()))


async def _wait(x: Exchange, found: Awaitable[Response]) -> Response:
    try:
        return await found
    except Exception as e:
        return failure_response(x, e)


def _asking(x: Exchange, target: bytes) -> Exchange:
    """Raises UriError."""
    asked = x.request
    # Many applications encode neither blanks nor letters beyond ASCII.
    path, raw_path, _ = split_target(_encode_rest(lambda m: b"%%%02X" % m[0][0], target))
    request = Request(
        "HEAD" if asked.method == "HEAD" else "GET", asked.scheme, asked.authority, asked.host, path, raw_path, b"",
        asked.fields, asked.version,
    )  # fmt: skip
    return Exchange(request, empty_body(), x.ends, x.carrier, x.stream, x.started, Match(x.match.route, {}, ""))


def _with(found: Response, said: Fields) -> Response:
    """The file with what the application has said besides; its Content-Type goes before what the file's name says."""
    if found.status >= 400:
        return found
    fields = found.fields
    kept = returned_fields(said).without(*_OF_THE_FILE)
    if found.status != 200 and not (found.status == 206 and b"content-range" in fields):
        kept = kept.without(b"content-type")
    elif b"content-type" in kept:
        fields = fields.without(b"content-type")
    return found.with_fields(fields.adding(*kept.pairs))
