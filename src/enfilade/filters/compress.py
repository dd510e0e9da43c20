"""Answers in a content coding that the client accepts (RFC 9110 section 12.5.3), made here where the handler did not."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Sequence

from enfilade.exchange.bodies import Stream
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter, Handler
from enfilade.exchange.response import FileSlice, Response, Tunnel, let_go
from enfilade.filters.coders import available, load
from enfilade.filters.coders.coder import Coder
from enfilade.filters.recoded import OFF_LOOP, Encoded
from enfilade.http.codings import TYPES, MediaTypes, coded, coded_tag, may_be_coded, plain_tags, varied
from enfilade.http.conditionals import is_conditional
from enfilade.http.fields import Fields
from enfilade.http.memory import remember
from enfilade.http.negotiate import choose_encoding, forbids_identity
from enfilade.http.reasons import reason

MINIMUM = 512
"""Bytes below which coding saves no packet, and costs both ends."""
LARGEST_FILE = 1024 * 1024
"""A file up to this size is read, and coded, at once, in a thread; a larger one is sent as it is."""
MEMORY = 1024
"""How many handlers' Fields are remembered with what becomes of them."""
MEMORY_BYTES = 4 * 1024 * 1024
"""Bytes of bodies that come again and again, remembered with what became of them."""

_UNCODED = frozenset((204, 205, 206, 304))
"""Statuses without content, or with parts of it: a range is one of the content as it is coded (RFC 9110 section 14.2)."""
_NOT_ACCEPTABLE = reason("not_acceptable")
_FILE_CHANGED = reason("file_changed")
_CLIENT_GONE = reason("client_gone")
_VARY = Fields([(b"vary", b"accept-encoding")])


class _Look:
    """What was found out about a handler's Fields. `fields` keeps their id from being used again. `open`: an answer with them
    may be coded; `worth`: its media type makes it worth while; `again`: they have come twice."""

    __slots__ = ("_become", "again", "fields", "open", "worth")

    def __init__(self, fields: Fields, types: MediaTypes) -> None:
        self.fields = fields
        self.open = may_be_coded(fields)
        self.worth = self.open and (fields.get(b"content-type") or b"") in types
        self.again = False
        self._become: dict[bytes | None, Fields] = {}

    def become(self, coding: bytes | None) -> Fields:
        """What becomes of the fields where the body is sent in `coding`; None: as it is."""
        known = self._become.get(coding)
        if known is None:
            known = varied(self.fields) if coding is None else coded(self.fields, coding)
            self._become[coding] = known
        return known


class Compress(Filter):
    """Codes answers of `minimum` bytes or more whose media type is among `types`, in the best of `codings` (ours, best first)
    that the client accepts. What is already coded, or must not be changed, stays as it is. Raises ValueError for patterns in
    `types` that are none, ImportError for a coding whose library is not there.

    It stands right around the handler, so that a cache in front of it keeps what was coded once.
    """

    def __init__(
        self, codings: Sequence[str] | None = None, minimum: int = MINIMUM, types: Sequence[str] = TYPES
    ) -> None:
        chosen = available() if codings is None else codings
        self._codings = tuple([coding.encode() for coding in chosen])
        self._coders = {coding.encode(): load(coding) for coding in chosen}
        self._minimum = minimum
        self._types = MediaTypes(types)
        # Both by identity, as an equal one costs its length to find.
        self._looks: dict[int, _Look] = {}
        self._bodies: dict[tuple[int, int, bytes], tuple[Fields, bytes, Response]] = {}
        self._held = 0

    def around(self, handler: Handler) -> Handler:
        """`handler`, its answers coded."""

        def compressed(x: Exchange) -> Response | Awaitable[Response]:
            asked = self._tell_plain_tags(x) if is_conditional(x.request.fields) else None
            answer = handler(x)
            return self._answer(x, answer, asked) if isinstance(answer, Response) else wait(x, answer, asked)

        async def wait(x: Exchange, waiting: Awaitable[Response], asked: bytes | None) -> Response:
            answer = self._answer(x, await waiting, asked)
            return answer if isinstance(answer, Response) else await answer

        return compressed

    # -- whether, and in which coding

    def _answer(self, x: Exchange, r: Response, asked: bytes | None) -> Response | Awaitable[Response]:
        body = r.body
        if r.status in _UNCODED or type(body) is Tunnel:
            return r if r.status != 304 or asked is None else self._not_modified(x, r, asked)
        look = self._look(r.fields)
        size = _size(r, x.request.method)
        if not look.open or size == 0:
            return r
        head = x.request.method == "HEAD"
        # To HEAD files are answered without their bodies. Who wants to fetch a large one in ranges asks for its length so.
        too_large = size > LARGEST_FILE and (head or isinstance(body, FileSlice))
        forbidden = forbids_identity(x.request.fields.get(b"accept-encoding"))
        if not forbidden and (not look.worth or 0 < size < self._minimum or too_large):
            return r
        coding = None if too_large else self._coding(x)
        if coding is None:
            if forbidden and x.request.method in ("GET", "HEAD"):
                let_go(body)
                return error_response(_NOT_ACCEPTABLE, x, _VARY)
            return Response(r.status, look.become(None), body, r.reason)
        if head:
            let_go(body)
            # Not b"", for which the engine would say the length 0: nobody knows the length of what nobody coded.
            return Response(r.status, look.become(coding), Stream.of(b""), r.reason)
        return self._code(x, r, look, coding)

    def _coding(self, x: Exchange) -> bytes | None:
        return choose_encoding(x.request.fields.get(b"accept-encoding"), self._codings)

    def _look(self, fields: Fields) -> _Look:
        known = self._looks.get(id(fields))
        if known is None:
            known = _Look(fields, self._types)
            remember(self._looks, id(fields), known, MEMORY)
        else:
            known.again = True
        return known

    # -- entity tags

    def _tell_plain_tags(self, x: Exchange) -> bytes | None:
        """Take the coding off the tags that the client has from us: in If-None-Match off those of what it would get now, in
        If-Match off all, as it is about what is there and not about what the client would get. Returns the If-None-Match that
        it sent, if it had such a tag."""
        fields = x.request.fields
        asked = None
        match, none_match = fields.get(b"if-match"), fields.get(b"if-none-match")
        if match is not None and (plain := plain_tags(match)) != match:
            x.request = x.request.with_fields(x.request.fields.setting((b"if-match", plain)))
        if none_match is not None and (coding := self._coding(x)) is not None:
            plain = plain_tags(none_match, coding)
            if plain != none_match:
                asked = none_match
                x.request = x.request.with_fields(x.request.fields.setting((b"if-none-match", plain)))
        return asked

    def _not_modified(self, x: Exchange, r: Response, asked: bytes) -> Response:
        """A 304 says the tag that a 200 would have had (RFC 9110 section 15.4.5): the one that the client asked for."""
        etag, coding = r.fields.get(b"etag"), self._coding(x)
        if etag is None or coding is None or (own := coded_tag(etag, coding)) not in asked:
            return r
        return Response(r.status, varied(r.fields.setting((b"etag", own))), r.body, r.reason)

    # -- coding

    def _code(self, x: Exchange, r: Response, look: _Look, coding: bytes) -> Response | Awaitable[Response]:
        body = r.body
        if isinstance(body, Stream):
            whole = body.whole
            if whole is None:
                return Response(r.status, look.become(coding), Encoded(body, self._coders[coding].encoder()), r.reason)
            body = whole
        if isinstance(body, FileSlice):
            return _code_file(x, r, look.become(coding), body, self._coders[coding])
        assert isinstance(body, bytes)
        known = self._bodies.get((id(look.fields), id(body), coding))
        if known is not None and known[2].status == r.status:
            return known[2]
        if len(body) > OFF_LOOP:
            return self._code_in_thread(r, look, body, coding)
        return self._coded(r, look, body, coding, self._coders[coding].encode(body))

    async def _code_in_thread(self, r: Response, look: _Look, body: bytes, coding: bytes) -> Response:
        made = await asyncio.get_running_loop().run_in_executor(None, self._coders[coding].encode, body)
        return self._coded(r, look, body, coding, made)

    def _coded(self, r: Response, look: _Look, body: bytes, coding: bytes, made: bytes) -> Response:
        answer = Response(r.status, look.become(coding), made, r.reason)
        if look.again:  # one whose fields are new each time never comes again
            size = len(body) + len(made)
            if self._held + size > MEMORY_BYTES:
                self._bodies.clear()
                self._held = 0
            if size <= MEMORY_BYTES:
                self._bodies[id(look.fields), id(body), coding] = look.fields, body, answer
                self._held += size
        return answer


def _size(r: Response, method: str) -> int:
    """The length of the content; -1 where nobody knows yet."""
    body = r.body
    if isinstance(body, FileSlice):
        return body.length
    if isinstance(body, bytes) and method != "HEAD":
        return len(body)
    length = r.fields.get(b"content-length")
    return int(length) if length is not None and length.isdigit() else -1


def _code_file(x: Exchange, r: Response, fields: Fields, file: FileSlice, coder: Coder) -> Awaitable[Response]:
    def read_and_code() -> bytes | None:
        data = _read(file)
        return coder.encode(data) if len(data) == file.length else None

    async def wait() -> Response:
        made = await asyncio.shield(working)
        return error_response(_FILE_CHANGED, x) if made is None else Response(r.status, fields, made, r.reason)

    # It is the thread that closes the file, so it must run, also where the client leaves before, or before anybody waits.
    working = asyncio.get_running_loop().run_in_executor(None, read_and_code)
    return wait()


def _read(file: FileSlice) -> bytes:
    try:
        return os.pread(file.fd, file.length, file.offset)
    finally:
        file.close()
