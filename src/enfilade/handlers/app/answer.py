"""The answering half of an ASGI application: from `start` and `body` messages to one Response.

    WAITING --start--> STARTED --body, more--> STREAMING --body--> COMPLETE
                          |--- body ----------------------------------^
    STREAMING --body, where trailers were announced--> TRAILERS --trailers--> COMPLETE
    any of them --the client goes away--> GONE

The head is held back until the first body message, as the ASGI specification allows: an application that raises in between
can still be answered for with 500.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Awaitable, MutableMapping
from typing import Any

from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.pending import Pending
from enfilade.exchange.response import FileSlice, Response
from enfilade.handlers.app.heads import BadAnswer, Head, Silent, WrongLength, asgi_head, checked_status, has_body
from enfilade.handlers.app.tagging import tagged
from enfilade.http.fields import NO_FIELDS
from enfilade.http.reasons import Reason, reason

log = logging.getLogger("enfilade.app")

WAITING, STARTED, STREAMING, TRAILERS, COMPLETE, GONE = range(6)
_STATES = (
    "before the start",
    "after the start",
    "in the body",
    "in the trailers",
    "after the end",
    "after the disconnect",
)

_RAISED = reason("application_raised")
_CLIENT_GONE = reason("client_gone")

Message = MutableMapping[str, Any]


class ClientDisconnected(OSError):
    """Raised by `send` when nobody is there any more to send to (ASGI specification 2.4)."""


class Answer:
    """What the application has answered so far; `send` of a scope is made of its methods.

    `response` is set as soon as there is something to send. If nobody has waited for it (`wait`), whoever called the
    application picks it up from there, in the same turn of the loop.
    """

    __slots__ = (
        "_failure",
        "_head",
        "left",
        "response",
        "state",
        "status",
        "stream",
        "tags",
        "trailers",
        "waiting",
        "x",
    )

    # Set by whoever calls the application: one flat `__init__` for both halves of the call.
    x: Exchange
    state: int
    response: Response | None
    waiting: Pending | None
    tags: list[bytes]
    _failure: Reason | None

    # -- what the application sends

    def start(self, message: Message) -> None:
        if self.state:
            raise self.unexpected(message)
        try:
            status = message["status"]
            self.status = status if type(status) is int and 200 <= status <= 599 else checked_status(status)
            self._head = asgi_head(message.get("headers", ()))
        except BadAnswer as error:
            raise self.broken(error) from None
        self.trailers: bool = message.get("trailers", False)
        self.state = STARTED

    def body(self, message: Message) -> Awaitable[None] | None:
        body = message.get("body", b"")
        if type(body) is not bytes:
            if not isinstance(body, (bytes, bytearray, memoryview)):
                raise self.broken(BadAnswer(f"body must be bytes, not {type(body).__name__}"))
            body = bytes(body)
        more = message.get("more_body", False)
        if self.state == STARTED:
            if more or self.trailers:
                self._open()
            else:
                head = self._head
                if head.length >= 0 and head.length != len(body) and has_body(self.x.request.method, self.status):
                    raise self.broken(_wrong_length(head, len(body)))
                self.state = COMPLETE
                self._deliver(Response(self.status, head.fields, body))
                return None
        elif self.state != STREAMING:
            raise self.unexpected(message)
        return self._write(body, more)

    def more_trailers(self, message: Message) -> None:
        if self.state != TRAILERS:
            raise self.unexpected(message)
        try:
            head = asgi_head(message.get("headers", ()))
        except BadAnswer as error:
            raise self.broken(error) from None
        # Framing fields have no meaning behind the body (RFC 9110 section 6.5.1).
        fields = self.stream.trailers.adding(*head.fields.without(b"content-length").pairs)
        if message.get("more_trailers", False):
            self.stream.trailers = fields
        else:
            self.state = COMPLETE
            self.stream.end(fields)

    def file(self, message: Message) -> None:
        """`http.response.pathsend`: the whole body is the regular file at an absolute path."""
        if self.state != STARTED:
            raise self.unexpected(message)
        opened = _open_file(message["path"])
        if self._head.length not in (-1, opened.length) and has_body(self.x.request.method, self.status):
            opened.close()
            raise self.broken(_wrong_length(self._head, opened.length))
        self.state = COMPLETE
        self._deliver(Response(self.status, self._head.fields, opened))

    # -- what becomes of it

    def ended(self, raised: BaseException | None) -> None:
        """The application returned, or `raised`: answer, or cut the answer, if it left it incomplete, and log why."""
        if self.state == GONE:
            if raised is not None and not _because_gone(raised):
                self._log("raised after the client had gone, while answering", raised)
        elif self.state == COMPLETE:
            if raised is not None:
                self._log("raised after answering", raised)
        elif (refused := self.x.body.failure) is not None and refused.status and self.response is None:
            self._fail(refused)  # its body was too large or too slow: whatever the application made of that
        elif self._failure is not None:  # it was logged when it happened
            self._fail(self._failure)
        elif raised is not None:
            self._log("raised while answering", raised)
            self._fail(_RAISED)
        else:
            self._log(f"ended {_STATES[self.state]} of its answer to", None)
            self._fail(Silent.reason)

    def gone(self) -> None:
        """The client went away: whoever waits for the answer gets one, though nobody will see it."""
        self.state = GONE
        if self.response is None:
            self._deliver(Response(499, NO_FIELDS, b"", _CLIENT_GONE))

    def unexpected(self, message: Message) -> Exception:
        """The error for a message that does not belong here."""
        if self.state == GONE:
            return ClientDisconnected("the client has gone")
        return self.broken(BadAnswer(f"{message['type']!r} came {_STATES[self.state]}"))

    def broken(self, error: BadAnswer) -> BadAnswer:
        """Note that the application broke the protocol, even if it catches `error`."""
        if self._failure is None and self.state != COMPLETE:
            self._failure = error.reason
            self._log("broke the ASGI protocol while answering", error)
        return error

    # -- inside

    def _open(self) -> None:
        self.left = self._head.length if has_body(self.x.request.method, self.status) else -1
        self.state = STREAMING
        self.stream = Stream()
        self._deliver(Response(self.status, self._head.fields, self.stream))

    def _write(self, body: bytes, more: bool) -> Awaitable[None] | None:
        if self.left >= 0:
            self.left -= len(body)
            if self.left < 0 or (self.left > 0 and not more):
                error = WrongLength("the body is longer or shorter than Content-Length says")
                self.broken(error)
                self.stream.fail(error.reason)
                raise error
        try:
            wait = self.stream.write(body)
        except BodyAborted as aborted:
            raise ClientDisconnected(str(aborted)) from None
        if not more:
            self.state = TRAILERS if self.trailers else COMPLETE
            if self.state == COMPLETE:
                self.stream.end()
        return wait

    def _deliver(self, response: Response) -> None:
        if self.tags:
            response = tagged(response, self.tags)
        if self.waiting is None or self.waiting.response is None:
            self.response = response
            if self.waiting is not None:
                self.waiting.resolve(response)
        elif isinstance(response.body, FileSlice):
            response.body.close()

    def _fail(self, why: Reason) -> None:
        if self.response is None:
            self._deliver(error_response(why, self.x))
        elif self.state in (STREAMING, TRAILERS):
            self.stream.fail(why)
        self.state = COMPLETE

    def _log(self, what: str, error: BaseException | None) -> None:
        log.error("application %s %s %s", what, self.x.request.method, self.x.request.target, exc_info=error)


def _wrong_length(head: Head, length: int) -> WrongLength:
    return WrongLength(f"the body has {length} bytes, but Content-Length says {head.length}")


def _because_gone(error: BaseException) -> bool:
    """Whether `error` comes from nothing but the disconnect, however often the application wrapped it."""
    group = getattr(error, "exceptions", None)  # before Python 3.11, groups are of some package's class
    if isinstance(group, tuple):
        return all(map(_because_gone, group))
    origin = error.__cause__ or error.__context__
    return isinstance(error, (asyncio.CancelledError, ClientDisconnected)) or (
        origin is not None and _because_gone(origin)
    )


def _open_file(path: object) -> FileSlice:
    if not isinstance(path, (str, bytes, os.PathLike)) or not os.path.isabs(path):
        raise BadAnswer(f"{path!r} is not an absolute path")
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a fifo must not block the worker
    found = os.fstat(fd)
    if not stat.S_ISREG(found.st_mode):
        os.close(fd)
        raise BadAnswer(f"{path!r} is not a regular file")
    return FileSlice(fd, 0, found.st_size, lambda: os.close(fd))
