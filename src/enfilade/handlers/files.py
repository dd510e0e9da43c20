"""Static files: a directory on disk, answered from memory where the files are small and have not changed.

What is served is decided in three steps: `beneath` opens what may be seen, `_Entry` remembers what was found for a path, and
`http.conditionals` and `http.ranges` decide how much of it this request gets.
"""

from __future__ import annotations

import asyncio
import os
import stat
import time
from collections.abc import Awaitable, Sequence
from functools import partial

from enfilade.exchange.byteranges import FileChanged, several_parts, single_part, slice_of_file
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.handlers.beneath import open_beneath, safe_parts
from enfilade.handlers.listing import list_directory
from enfilade.handlers.methods import refuse_method
from enfilade.handlers.redirect import local
from enfilade.http.conditionals import Verdict, evaluate, is_conditional
from enfilade.http.dates import format_date
from enfilade.http.field_texts import field_value
from enfilade.http.fields import Fields, Pair
from enfilade.http.media import media_type
from enfilade.http.negotiate import choose_encoding
from enfilade.http.ranges import parse_range, unsatisfied_range
from enfilade.http.reasons import reason
from enfilade.http.request import Request

TRUST = 1.0
"""Seconds for which a file is taken to be as it was. (nginx's open_file_cache_valid: 60; its users see stale files.)"""
MAX_ENTRIES = 4096
MAX_ACCEPTS = 32
"""Accept-Encoding values remembered for one file."""

# A file written to less than one tick of the file system's clock ago may change again without a new time.
_TICK_NS = 20_000_000
_CODINGS = ((b"zstd", ".zst"), (b"br", ".br"), (b"gzip", ".gz"))
_ALLOW = ("GET", "HEAD")
_NOT_FOUND = reason("not_found")
_PRECONDITION_FAILED = reason("precondition_failed")
_NOT_SATISFIABLE = reason("range_not_satisfiable")

_Signature = tuple[int, int, int, int]


class _Variant:
    """One representation of a file: itself, or one of its precompressed siblings. `content` None: it is read for each request.
    `whole`: the ready answer to a plain GET, where the content is in memory."""

    __slots__ = (
        "content", "etag", "fields", "head", "last_modified", "not_modified", "parts", "signature", "size", "whole",
    )  # fmt: skip

    def __init__(
        self, parts: list[str], state: os.stat_result, content: bytes | None, fields: list[Pair], now_ns: int
    ) -> None:
        self.parts = parts
        self.signature = _signature(state)
        self.size = state.st_size
        self.content = content
        self.etag = b'"%x-%x-%x"' % (state.st_size, state.st_mtime_ns, state.st_ino)
        validators = [(b"etag", self.etag)]
        # Section 8.8.2.1: a time that has not come is not told.
        self.last_modified = state.st_mtime_ns // 10**9 if state.st_mtime_ns <= now_ns else None
        if self.last_modified is not None:
            validators.append((b"last-modified", format_date(self.last_modified)))
        self.fields = Fields([*fields, *validators, (b"accept-ranges", b"bytes")])
        # Section 15.4.5: a 304 repeats what a cache needs, and no more.
        kept = (p for p in fields if p[0] in (b"cache-control", b"vary"))
        self.not_modified = Response(304, Fields([(b"etag", self.etag), *kept]))
        self.head = Response(200, self.fields.adding((b"content-length", b"%d" % self.size)))
        self.whole = None if content is None else Response(200, self.fields, content)


class _Entry:
    """What was found for a path. `until` when it is trusted; `watch`, the files whose signatures must still be the same then
    (None: still not be there); `whole`, the ready answer where it depends on nothing; `by_accept`, by Accept-Encoding."""

    __slots__ = ("by_accept", "codings", "memory", "mount", "until", "variants", "watch", "whole")

    def __init__(
        self,
        mount: str,
        variants: dict[bytes | None, _Variant],
        watch: dict[str, _Signature | None],
        until: float,
    ) -> None:
        self.mount = mount
        self.until = until
        self.watch = watch
        self.variants = variants
        self.codings = tuple(c for c in variants if c is not None)
        self.whole = None if self.codings else variants[None].whole
        self.by_accept: dict[bytes | None, Response] = {}
        self.memory = sum(len(v.content) for v in variants.values() if v.content is not None)

    def choose(self, accept: bytes | None) -> _Variant:
        variant = self.variants[choose_encoding(accept, self.codings)]
        if variant.whole is not None and len(self.by_accept) < MAX_ACCEPTS:
            self.by_accept[accept] = variant.whole
        return variant

    def unchanged(self) -> bool:
        return all(_signature_at(path) == known for path, known in self.watch.items())


_Found = _Entry | Response | Awaitable[Response]


class Files:
    """The files beneath `root`, to GET and HEAD. One object serves one route.

    - `spa`: a path that is not there and has no suffix gets the root's index file, which clients then always check anew.
    - `listing`: directories without an index file are shown. `index`: the names of index files, first one found.
    - `cache_control`: the field's value for all files. `precompressed`: use `.zst`, `.br` and `.gz` siblings.
    - `cache_file`, `cache_bytes`: files up to the first are kept in memory, up to the second in all.

    Raises NotADirectoryError or FileNotFoundError at once if `root` is no directory, ValueError for a bad `cache_control`.
    """

    def __init__(
        self,
        root: str,
        *,
        spa: bool = False,
        listing: bool = False,
        index: Sequence[str] = ("index.html",),
        cache_control: str | None = None,
        precompressed: bool = True,
        cache_bytes: int = 32 * 1024 * 1024,
        cache_file: int = 64 * 1024,
    ) -> None:
        self._root = os.path.abspath(root)
        if not stat.S_ISDIR(os.stat(self._root).st_mode):
            raise NotADirectoryError(f"{root!r} is not a directory")
        self._listing = listing
        self._index = tuple(index)
        self._home = self._index[0] if spa and self._index else None
        self._cache_control = field_value(cache_control) if cache_control else None
        self._codings = _CODINGS if precompressed else ()
        self._cache_bytes = cache_bytes
        self._cache_file = min(cache_file, cache_bytes)
        self._entries: dict[str, _Entry] = {}
        self._memory = 0

    def __call__(self, x: Exchange) -> Response | Awaitable[Response]:
        request = x.request
        entry = self._entries.get(request.path)
        if entry is not None and entry.until > x.started and request.method == "GET" and entry.mount == x.match.mount:
            fields = request.fields
            whole = entry.whole or entry.by_accept.get(fields.get(b"accept-encoding"))
            if whole is not None and (fields.conditional is False or not is_conditional(fields)):
                return whole
        if request.method not in _ALLOW:
            return refuse_method(x, _ALLOW)
        try:
            return self._answer(x)
        except FileChanged:
            self._forget(request.path)
            self._forget(f"{x.match.mount}/{self._home}")
        try:
            return self._answer(x)
        except FileChanged:  # twice in one request: it is being replaced without end
            return error_response(_NOT_FOUND, x)

    # -- how much of what was found

    def _answer(self, x: Exchange) -> Response | Awaitable[Response]:
        path, mount = x.request.path, x.match.mount
        found = self._find(x, path)
        if (
            found is None
            and self._home is not None
            and "." not in path.rpartition("/")[2]
            and _below(path, mount) is not None
        ):
            found = self._find(x, f"{mount}/{self._home}")
        if isinstance(found, _Entry):
            return self._represent(x, found)
        return error_response(_NOT_FOUND, x) if found is None else found

    def _represent(self, x: Exchange, entry: _Entry) -> Response:
        request = x.request
        fields = request.fields
        variant = entry.choose(fields.get(b"accept-encoding"))
        if not is_conditional(fields):
            return self._whole(request, variant)
        verdict = evaluate(request.method, fields, variant.etag, variant.last_modified)
        if verdict is Verdict.NOT_MODIFIED:
            return variant.not_modified
        if verdict is Verdict.PRECONDITION_FAILED:
            return error_response(_PRECONDITION_FAILED, x)
        wanted = fields.get(b"range")
        spans = parse_range(wanted, variant.size) if wanted and verdict is Verdict.PROCEED else None
        if spans is None:
            return self._whole(request, variant)
        if not spans:
            size = (b"content-range", unsatisfied_range(variant.size))
            return error_response(_NOT_SATISFIABLE, x, Fields([size, (b"accept-ranges", b"bytes")]))
        opener = partial(self._open, variant)
        if len(spans) == 1:
            return single_part(variant.fields, spans[0], variant.size, variant.content, opener)
        return several_parts(variant.fields, spans, variant.size, variant.content, opener)

    def _whole(self, request: Request, variant: _Variant) -> Response:
        if request.method == "HEAD":
            return variant.head
        if variant.whole is not None:
            return variant.whole
        return Response(200, variant.head.fields, slice_of_file(self._open(variant), (0, variant.size)))

    def _open(self, variant: _Variant) -> int:
        opened = open_beneath(self._root, variant.parts)
        if opened is None:
            raise FileChanged
        fd, state = opened
        if _signature(state) != variant.signature:
            os.close(fd)
            raise FileChanged
        return fd

    # -- what there is

    def _find(self, x: Exchange, path: str) -> _Found | None:
        mount, now = x.match.mount, x.started
        entry = self._entries.get(path)
        if entry is not None:
            if entry.mount == mount and entry.until > now:
                return entry
            self._forget(path)
            if entry.mount == mount and entry.unchanged():
                entry.until = now + TRUST
                self._remember(path, entry)
                return entry
        parts = _below(path, mount)
        if parts is None:
            return None
        found = self._look(x, parts)
        if isinstance(found, _Entry):
            self._remember(path, found)
        return found

    def _look(self, x: Exchange, parts: list[str]) -> _Found | None:
        """Look on disk. Every miss is the same None, whatever the cause."""
        opened = open_beneath(self._root, parts)
        if opened is None:
            return None
        fd, state = opened
        slash = not parts or parts[-1] == ""
        directory = stat.S_ISDIR(state.st_mode)
        try:
            if not directory and not slash:
                return self._load(x, parts, fd, {})
        finally:
            os.close(fd)
        if not directory:
            return None
        if not x.request.path.endswith("/"):
            return _add_slash(x.request)
        return self._look_inside(x, parts[:-1])

    def _look_inside(self, x: Exchange, parts: list[str]) -> _Found | None:
        """A directory: its index file, its listing, or nothing."""
        watch: dict[str, _Signature | None] = {}
        for name in self._index:
            inner = [*parts, name]
            opened = open_beneath(self._root, inner)
            if opened is None:
                watch[os.path.join(self._root, *inner)] = None
                continue
            try:
                if stat.S_ISREG(opened[1].st_mode):
                    return self._load(x, inner, opened[0], watch)
            finally:
                os.close(opened[0])
        return self._list(x, parts) if self._listing else None

    def _list(self, x: Exchange, parts: list[str]) -> Awaitable[Response]:
        async def listed() -> Response:
            accept = x.request.fields.get(b"accept")
            shown = await asyncio.to_thread(list_directory, self._root, parts, x.request.path, accept)
            return shown or error_response(_NOT_FOUND, x)

        return listed()

    # -- reading and remembering

    def _load(self, x: Exchange, parts: list[str], fd: int, watch: dict[str, _Signature | None]) -> _Entry:
        """The entry for the open file `fd` and its precompressed siblings. `watch` is what else the choice depended on."""
        now_ns = time.time_ns()  # before anything is read: see _TICK_NS
        name = parts[-1]
        common = [(b"content-type", media_type(name))]
        # The page of an application names its other files by their versions, so it must never be an old one.
        if self._home is not None and name in self._index:
            common.append((b"cache-control", b"no-cache"))
        elif self._cache_control is not None:
            common.append((b"cache-control", self._cache_control))
        states: dict[bytes | None, tuple[list[str], os.stat_result, bytes | None]] = {None: (parts, *self._read(fd))}
        for coding, suffix in self._codings:
            sibling = [*parts[:-1], name + suffix]
            opened = open_beneath(self._root, sibling)
            if opened is None:
                watch[os.path.join(self._root, *sibling)] = None
                continue
            if stat.S_ISREG(opened[1].st_mode):
                states[coding] = (sibling, *self._read(opened[0]))
            os.close(opened[0])
        if len(states) > 1:
            common.append((b"vary", b"accept-encoding"))
        variants: dict[bytes | None, _Variant] = {}
        for key, (where, state, content) in states.items():
            fields = common if key is None else [*common, (b"content-encoding", key)]
            variants[key] = _Variant(where, state, content, fields, now_ns)
            settled = now_ns - state.st_mtime_ns > _TICK_NS
            watch[os.path.join(self._root, *where)] = _signature(state) if settled else _NEVER
        return _Entry(x.match.mount, variants, watch, x.started + TRUST)

    def _read(self, fd: int) -> tuple[os.stat_result, bytes | None]:
        """State and content of the open file that belong together; None for the content if it is not to be kept in memory."""
        for _ in range(3):
            state = os.fstat(fd)
            if state.st_size > self._cache_file:
                break
            content = os.pread(fd, state.st_size + 1, 0)
            if len(content) == state.st_size and _signature(os.fstat(fd)) == _signature(state):
                return state, content
        return state, None

    def _remember(self, path: str, entry: _Entry) -> None:
        """At the end of the row; those in front, checked least lately, make room."""
        self._entries[path] = entry
        self._memory += entry.memory
        while self._memory > self._cache_bytes or len(self._entries) > MAX_ENTRIES:
            self._forget(next(iter(self._entries)))

    def _forget(self, path: str) -> None:
        entry = self._entries.pop(path, None)
        if entry is not None:
            self._memory -= entry.memory


_NEVER: _Signature = (-1, -1, -1, -1)


def _below(path: str, mount: str) -> list[str] | None:
    """The safe components of `path` below `mount`; None if it does not lie there, or names what is never served."""
    return safe_parts(path[len(mount) :]) if path.startswith(mount) else None


def _signature(state: os.stat_result) -> _Signature:
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns


def _signature_at(path: str) -> _Signature | None:
    try:
        return _signature(os.stat(path))
    except OSError:
        return None


def _add_slash(request: Request) -> Response:
    """A directory's own address ends in a slash, or the links of its page would lead elsewhere."""
    query = b"?" + request.query if request.query else b""
    location = local(request.raw_path.decode("ascii") + "/").encode("ascii") + query
    return Response(301, Fields([(b"location", location)]))
