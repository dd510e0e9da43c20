"""ASGI 3 over HTTP: an application as a Handler (asgi.readthedocs.io, HTTP specification 2.5)."""

from __future__ import annotations

import asyncio
from asyncio import get_running_loop
from collections.abc import Awaitable, Callable
from types import CoroutineType
from typing import Any, Optional, Union
from urllib.parse import quote

from enfilade.exchange.bodies import BodyAborted
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.pending import Pending
from enfilade.exchange.response import Response
from enfilade.exchange.tasks import start
from enfilade.handlers.app.answer import COMPLETE, GONE, WAITING, Answer, Message
from enfilade.handlers.app.heads import BadAnswer, checked
from enfilade.handlers.app.tagging import TAGS
from enfilade.http.ends import Ends
from enfilade.http.forwarded import told_fields
from enfilade.http.reasons import Reason
from enfilade.http.request import Request

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Step = Callable[[Any, Message], Optional[Awaitable[None]]]

DISCONNECT_GRACE = 1.0
"""Seconds that an application which was told by `receive` that its client has gone may take to end in its own way."""

ASGI_VERSION = {"version": "3.0", "spec_version": "2.5"}
_EXTENSIONS: dict[str, dict[str, object]] = {
    "http.response.trailers": {},
    "http.response.early_hint": {},
    "http.response.pathsend": {},
}
_EXTENSIONS_1_0: dict[str, dict[str, object]] = {"http.response.pathsend": {}}


class AsgiHandler:
    """Runs the ASGI application `app`; each call gets a copy of `state`, which its lifespan filled (None: it has none).
    `websocket` answers the requests for that upgrade; without it they are plain requests.
    `running`: the calls that have not returned, background tasks included; a drain waits for them.
    """

    __slots__ = ("app", "running", "state", "websocket")

    def __init__(
        self, app: App, state: dict[str, Any] | None = None, websocket: WebSocketHandler | None = None
    ) -> None:
        self.app = app
        self.state = state
        self.websocket = websocket
        self.running: set[asyncio.Task[None]] = set()

    def __call__(self, x: Exchange) -> Response | Awaitable[Response]:
        if x.request.protocol == "websocket" and self.websocket is not None:
            return self.websocket(self, x)
        return self.run(HttpCycle(x), http_scope(x, self.state))

    def run(self, cycle: Cycle, scope: Scope) -> Response | Awaitable[Response]:
        """Call the application for `cycle`. Its answer, at once if it gave one in its first step."""
        loop = get_running_loop()
        TAGS.set(cycle.tags)
        try:
            coro = self.app(scope, cycle.receive, cycle.send)
        except Exception as error:  # a callable that is no coroutine function raises when it is called
            cycle.ended(error)
        else:
            task = start(coro if type(coro) is CoroutineType else _awaiting(coro), loop)
            if task.done():
                cycle.finished(task)
            else:
                self.running.add(task)
                task.add_done_callback(self.running.discard)
                cycle.runs(task)
        return cycle.response or cycle.wait()


WebSocketHandler = Callable[[AsgiHandler, Exchange], Union[Response, Awaitable[Response]]]


class Cycle(Answer):
    """One call of an application: the Answer that it makes, and the Task that makes it."""

    __slots__ = ("_body_read", "_listeners", "task")

    def __init__(self, x: Exchange) -> None:
        self.x = x
        self.state = WAITING
        self.response = self.waiting = self._failure = None
        self.task: asyncio.Task[None] | None = None
        self.tags = []
        self._listeners: list[asyncio.Future[None]] = []
        self._body_read = False

    steps: dict[str, Step]
    """What the application may send, by the type of the message."""

    async def send(self, message: Message) -> None:
        step = self.steps.get(message["type"])
        if step is None:
            raise self.broken(BadAnswer(f"{message['type']!r} is not a message that can be sent here"))
        wait = step(self, message)
        if self._listeners and self.state == COMPLETE:
            self.notify()
        if wait is not None:
            await wait

    async def receive(self) -> Message:
        while (message := self.next_message()) is None:
            listener = get_running_loop().create_future()
            self._listeners.append(listener)
            try:
                await listener
            except asyncio.CancelledError:  # polling for a disconnect must leave nothing behind
                if listener in self._listeners:
                    self._listeners.remove(listener)
                raise
        return message

    def next_message(self) -> Message | None:
        """What `receive` gives now; None if it must wait for `notify`."""
        raise NotImplementedError

    def notify(self) -> None:
        """There is something new for `receive`."""
        listeners, self._listeners = self._listeners, []
        for listener in listeners:
            if not listener.done():
                listener.set_result(None)

    def runs(self, task: asyncio.Task[None]) -> None:
        """The application has not returned from its first step."""
        self.task = task
        task.add_done_callback(self.finished)
        self.x.on_abort = self.aborted

    def finished(self, task: asyncio.Task[None]) -> None:
        """The application has returned."""
        try:
            raised = task.exception()
        except asyncio.CancelledError as cancelled:
            raised = cancelled
        if raised is not None or self.state != COMPLETE:
            self.ended(raised)

    def wait(self) -> Pending:
        """The Response that is still to come."""
        self.waiting = Pending(self._unwanted)
        return self.waiting

    def aborted(self, why: Reason) -> None:
        """The client went away. An answer that is complete is not its business any more: background work goes on. Otherwise
        the application is cancelled; if it waits in `receive`, it hears of it there and gets some grace."""
        if self.state == COMPLETE or self.task is None:
            return
        self.gone()
        if self._listeners:
            self.notify()
            asyncio.get_running_loop().call_later(DISCONNECT_GRACE, self.task.cancel)
        else:
            self.task.cancel()

    def _unwanted(self) -> None:
        """Whoever waited for the answer gave up, as time-outs do."""
        if self.task is not None:
            self.state = GONE
            self.task.cancel()


class HttpCycle(Cycle):
    """One HTTP exchange as its application sees it."""

    __slots__ = ()

    def next_message(self) -> Message | None:
        if self.state == GONE:
            return {"type": "http.disconnect"}
        if not self._body_read:
            return self._next_piece()
        return {"type": "http.disconnect"} if self.state == COMPLETE else None

    def early_hint(self, message: Message) -> None:
        """`http.response.early_hint`: 103 (RFC 8297) with `links`."""
        if self.state:
            raise self.unexpected(message)
        try:
            head = checked((b"link", bytes(link)) for link in message["links"])
        except BadAnswer as error:
            raise self.broken(error) from None
        self.x.inform(103, head.fields)

    def _next_piece(self) -> Message | None:
        body = self.x.body
        try:
            piece = body.take()
        except BodyAborted:
            self._body_read = True
            return {"type": "http.disconnect"}
        if piece is None:
            body.on_data = self.notify
            return None
        self._body_read = body.ended and not body.size
        return {"type": "http.request", "body": piece, "more_body": not self._body_read}

    steps = {
        "http.response.start": Answer.start,
        "http.response.body": Answer.body,
        "http.response.trailers": Answer.more_trailers,
        "http.response.pathsend": Answer.file,
        "http.response.early_hint": early_hint,
    }


def http_scope(x: Exchange, state: dict[str, Any] | None) -> Scope:
    """The connection scope of one HTTP exchange: the application may change it, and what is in it, as it likes."""
    request = x.request
    mount = x.match.mount
    known = request.scope
    if known is None or known["root_path"] != mount:
        known = request.scope = _http_template(request, mount)
    scope: Scope = known.copy()
    ends = x.ends
    client = ends.client
    scope["headers"] = list(told_fields(request.fields, ends).pairs)
    scope["extensions"] = known["extensions"].copy()  # type: ignore[attr-defined]
    scope["client"] = client if client[1] is not None and client[0] == ends.client_ip else named_client(ends)
    scope["server"] = ends.server
    if state is not None:
        scope["state"] = state.copy()
    return scope


def _http_template(request: Request, mount: str) -> dict[str, object]:
    path, raw_path = full_path(request, mount)
    return {
        "type": "http",
        "asgi": ASGI_VERSION,
        "http_version": request.version,
        "method": request.method,
        "scheme": request.scheme,
        "path": path,
        "raw_path": raw_path,
        "query_string": request.query,
        "root_path": mount,
        "headers": None,
        "extensions": _EXTENSIONS if request.version != "1.0" else _EXTENSIONS_1_0,
        "client": None,
        "server": None,
    }


def full_path(request: Request, mount: str) -> tuple[str, bytes]:
    """`path` and `raw_path`: they begin with `root_path`, also where a proxy has taken it off."""
    path = request.path
    if path.startswith(mount) and path[len(mount) : len(mount) + 1] in ("", "/"):
        return path, request.raw_path
    return mount + path, quote(mount).encode() + request.raw_path


def named_client(ends: Ends) -> tuple[str, int] | None:
    """The client whom trusted proxies named (its port is unknown), or nobody, at a Unix socket."""
    return None if not ends.client_ip or ends.client_ip == ends.client[0] else (ends.client_ip, 0)


async def _awaiting(awaitable: Awaitable[None]) -> None:
    await awaitable
