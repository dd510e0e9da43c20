"""WSGI (PEP 3333): an application as a Handler, in threads of its own."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from io import BufferedReader, BytesIO, RawIOBase
from threading import Condition
from types import TracebackType
from typing import Any, Optional
from wsgiref.util import FileWrapper

from enfilade.exchange.bodies import HIGH_WATER, BodyAborted, Stream
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.pending import Pending
from enfilade.exchange.response import FileSlice, Response
from enfilade.handlers.app.answer import ClientDisconnected, log
from enfilade.handlers.app.environ import Environ, make_environ
from enfilade.handlers.app.heads import BadAnswer, Head, Silent, WrongLength, checked_status, has_body, wsgi_head
from enfilade.handlers.app.tagging import TAGS, tagged
from enfilade.handlers.app.threads import ThreadPool
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.reasons import Reason, reason

ExcInfo = tuple[type[BaseException], BaseException, Optional[TracebackType]]
StartResponse = Callable[..., Callable[[bytes], None]]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

THREADS = 8
QUEUE = 1024

_RAISED = reason("application_raised")
_FULL = reason("queue_full")
_GONE = reason("client_gone")
_RETRY = Fields([(b"retry-after", b"1")])


class WsgiHandler:
    """Runs the WSGI application `app` in `threads` threads. What comes when `queue` calls wait already is answered with 503.

    A request body that fits in `HIGH_WATER` is read before the application is called, so that a slow client holds no thread.
    """

    __slots__ = ("app", "multithread", "pool")

    def __init__(self, app: App, threads: int = THREADS, queue: int = QUEUE) -> None:
        self.app = app
        self.multithread = threads > 1
        self.pool = ThreadPool(threads, queue)

    def __call__(self, x: Exchange) -> Response | Awaitable[Response]:
        body = x.body
        if body.ended:
            return self._call(x, _held(body))
        length = x.request.fields.get(b"content-length")
        if length is not None and int(length) <= HIGH_WATER:
            return self._call_after_body(x)
        return self._call(x, BufferedReader(_BodyReader(body, asyncio.get_running_loop()), HIGH_WATER))

    def close(self) -> None:
        """End the threads when they have done what is queued."""
        self.pool.close()

    async def _call_after_body(self, x: Exchange) -> Response:
        try:
            data = await x.body.read_all()
        except BodyAborted as aborted:
            return error_response(aborted.reason, x)
        answer = self._call(x, BytesIO(data))
        return answer if isinstance(answer, Response) else await answer

    def _call(self, x: Exchange, body: BytesIO | BufferedReader) -> Response | Awaitable[Response]:
        call = Call(self, x, body)
        if not self.pool.submit(call.run):
            return error_response(_FULL, x, _RETRY)
        x.on_abort = call.aborted
        return call.waiting


class Call:
    """One call of an application. `run` and what it calls happen in a thread; `post` hands over to the loop."""

    __slots__ = ("_complete", "_gone", "_handler", "_head", "_input", "_left", "_room", "_status", "_stream", "_tags",
                 "_unread", "waiting", "x")  # fmt: skip

    def __init__(self, handler: WsgiHandler, x: Exchange, body: BytesIO | BufferedReader) -> None:
        self._handler = handler
        self.x = x
        self._input = body
        self.waiting = Pending()
        self._status = 0
        self._head: Head | None = None
        self._stream: Stream | None = None
        self._tags: list[bytes] = []
        self._complete = False
        self._gone = False

    # -- in the thread

    def run(self) -> None:
        """Call the application, and answer."""
        if self._gone:  # while it was queued
            return
        handler = self._handler
        TAGS.set(self._tags)
        result: Any = None
        try:
            environ = make_environ(self.x, self._input, handler.multithread)
            if (
                type(self._input) is BytesIO
                and "CONTENT_LENGTH" not in environ
                and (size := len(self._input.getbuffer()))
            ):
                environ["CONTENT_LENGTH"] = str(size)  # it came in chunks, but is all here
            result = handler.app(environ, self.start_response)
            if (type(result) is list or type(result) is tuple) and self._stream is None:
                self._whole(result[0] if len(result) == 1 else b"".join(result))
            elif type(result) is FileWrapper and self._file(result):
                result = None  # whoever sends the file closes it
            else:
                for piece in result:
                    self.write(piece)
                self._end()
        except BaseException as error:  # a SystemExit of the application is its own end, not the thread's
            self._failed(error)
        finally:
            self._close(result)

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """PEP 3333, "The start_response() Callable"."""
        if exc_info is not None:
            try:
                if self._stream is not None or self._complete:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None  # no cycle with the traceback
        elif self._head is not None:
            raise BadAnswer("start_response was called twice without exc_info")
        if not isinstance(status, str) or not status[:3].isdecimal() or status[3:4] not in ("", " "):
            raise BadAnswer(f"status must be a str like '200 OK', not {status!r}")
        self._status = checked_status(int(status[:3]))
        self._head = wsgi_head(headers)
        return self.write

    def write(self, piece: bytes) -> None:
        """Send a piece of the body at once, and wait while the client does not take what it has."""
        if not isinstance(piece, bytes):
            raise BadAnswer(f"the body must be bytes, not {type(piece).__name__}")
        if not piece:
            return
        head = self._started()
        if self._gone:
            raise ClientDisconnected("the client has gone")
        if self._stream is None:
            if self._complete:
                raise WrongLength("the body is longer than Content-Length says")
            if head.length == len(piece):
                self._deliver(piece)
                return
            self._open(head)
        self._push(piece)

    def _whole(self, body: bytes) -> None:
        head = self._started()
        if not isinstance(body, bytes):
            raise BadAnswer(f"the body must be bytes, not {type(body).__name__}")
        if has_body(self.x.request.method, self._status) and head.length not in (-1, len(body)):
            raise WrongLength(f"the body has {len(body)} bytes, but Content-Length says {head.length}")
        self._deliver(body)

    def _file(self, wrapper: FileWrapper) -> bool:
        """Whether `wrapper` holds a regular file; if so, it is the answer."""
        try:
            fd = wrapper.filelike.fileno()
            offset = wrapper.filelike.tell()
        except (AttributeError, OSError):  # io.UnsupportedOperation is an OSError
            return False
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode) or self._stream is not None or self._gone:
            return False
        head = self._started()
        rest = max(found.st_size - offset, 0)
        length = rest if head.length < 0 else head.length
        if length > rest:
            raise WrongLength(f"the file has {rest} bytes, but Content-Length says {length}")
        self._deliver(FileSlice(fd, offset, length, lambda: self._close(wrapper)))
        return True

    def _end(self) -> None:
        if self._stream is not None:
            if self._left > 0:
                raise WrongLength("the body is shorter than Content-Length says")
            self._post(lambda stream: stream.end(), self._stream)
        elif not self._complete:
            self._whole(b"")

    def _failed(self, error: BaseException) -> None:
        if self._gone and isinstance(error, ClientDisconnected):
            return
        refused = self.x.body.failure
        if refused is not None and refused is not _GONE and self._stream is None and not self._complete:
            self._complete = True  # its body was too large or too slow: whatever the application made of that
            self._post(self._resolve, error_response(refused, self.x))
            return
        why = error.reason if isinstance(error, BadAnswer) else _RAISED
        log.error("application failed (%s) while answering %s %s", why.name, self.x.request.method, self.x.request.target,
                  exc_info=error)  # fmt: skip
        if self._stream is not None:
            self._post(lambda stream: stream.fail(why), self._stream)
        elif not self._complete:
            self._complete = True
            self._post(self._resolve, error_response(why, self.x))

    def _close(self, result: object) -> None:
        close = getattr(result, "close", None)
        if close is None:
            return
        try:
            close()
        except Exception:
            log.exception("close() of the application's answer to %s failed", self.x.request.target)

    def _started(self) -> Head:
        if self._head is None:
            raise Silent("the application has not called start_response")
        return self._head

    def _deliver(self, body: bytes | FileSlice) -> None:
        self._complete = True
        self._post(self._resolve, Response(self._status, self._started().fields, body))

    def _open(self, head: Head) -> None:
        # The thread waits, not the loop: the Stream's own bound would make a Future of the loop.
        self._stream = Stream(sys.maxsize, self._taken)
        self._left = head.length if has_body(self.x.request.method, self._status) else -1
        self._unread = 0
        self._room = Condition()
        self._post(self._resolve, Response(self._status, head.fields, self._stream))

    def _push(self, piece: bytes) -> None:
        if self._left >= 0:
            self._left -= len(piece)
            if self._left < 0:
                raise WrongLength("the body is longer than Content-Length says")
        with self._room:
            self._unread += len(piece)
        self._post(self._hand_over, piece)
        with self._room:
            while self._unread >= HIGH_WATER and not self._gone:
                self._room.wait()

    def _post(self, call: Callable[[Any], None], argument: object) -> None:
        self._handler.pool.post(call, argument)

    # -- in the loop

    def aborted(self, why: Reason) -> None:
        """The client went away: a call that waits is not made, one that runs hears of it when it writes."""
        self._gone = True
        if self._stream is not None:
            with self._room:
                self._room.notify()
        self._resolve(Response(499, NO_FIELDS, b"", _GONE))

    def _resolve(self, response: Response) -> None:
        if self._tags:
            response = tagged(response, self._tags)
        if not self.waiting.resolve(response) and isinstance(response.body, FileSlice):
            response.body.close()

    def _hand_over(self, piece: bytes) -> None:
        assert self._stream is not None
        try:
            self._stream.write(piece)
        except BodyAborted:
            self.aborted(_GONE)

    def _taken(self, size: int) -> None:
        with self._room:
            self._unread -= size
            self._room.notify()


class _BodyReader(RawIOBase):
    """The request's body for a thread: a read waits until the loop has something."""

    def __init__(self, body: Stream, loop: asyncio.AbstractEventLoop) -> None:
        self._body = body
        self._loop = loop
        self._piece = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._piece:
            read: Coroutine[Any, Any, bytes] = self._body.read()
            try:
                self._piece = memoryview(asyncio.run_coroutine_threadsafe(read, self._loop).result())
            except BodyAborted as aborted:
                raise ClientDisconnected(str(aborted)) from None
        size = min(len(buffer), len(self._piece))
        buffer[:size] = self._piece[:size]
        self._piece = self._piece[size:]
        return size


def _held(body: Stream) -> BytesIO:
    if not body.size:
        return BytesIO()
    pieces = []
    while piece := body.take():
        pieces.append(piece)
    return BytesIO(b"".join(pieces))
