"""Streams with a handler: each has a crew of its own, whose workers run one of the concurrency models."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import uvloop

from enfilade.assemble.guarding import PreparedGuard, make_guard
from enfilade.assemble.streams import PreparedStream, is_udp, open_log
from enfilade.config.schema import Config
from enfilade.http.reasons import Reason
from enfilade.limits.bans import Bans
from enfilade.models.handler import Handler, load
from enfilade.models.server import Door, Ended, Limits, Server
from enfilade.models.table import Misfit, Model, model_for
from enfilade.net.edge import BACKLOG
from enfilade.observe.log import LogSink
from enfilade.observe.metrics import ConnectionMeter, ConnectionRows, StreamMeter
from enfilade.process.board import Board, Column
from enfilade.process.control import Control
from enfilade.process.plan import Crew, Sockets, StartError
from enfilade.stream.log import Record
from enfilade.stream.service import StreamLog
from enfilade.targets import LoadError

if TYPE_CHECKING:
    from enfilade.assemble.internal import InternalCertificates

START_TIMEOUT = 60.0
"""Seconds that the import of a handler may take."""
IDLE = 60.0
"""Seconds without a byte either way."""
DATAGRAMS = 4096
"""That are being answered at once, where nobody says."""
_LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


class Surroundings(NamedTuple):
    """What the crews of a configuration have in common. `workers`: of all crews together; each counts in columns of its own."""

    config: Config
    board: Board
    connection_rows: ConnectionRows
    guard: PreparedGuard
    banned: Bans | None
    workers: int
    internal: InternalCertificates | None


def crew_of(prepared: PreparedStream, first: int, around: Surroundings) -> Crew:
    """The crew of a stream with a handler; `first`: how many workers of other crews come before its own."""
    return Crew(
        f"streams.{prepared.name}",
        list(prepared.listen),
        prepared.stream.workers,
        lambda sockets, column, control: HandlerWorker(prepared, first, around, column, control).run(sockets),
        start_timeout=START_TIMEOUT,
    )


class HandlerWorker:
    """One worker of such a crew. Models with an event loop are told what the supervisor says on it, all others by signals."""

    def __init__(
        self, prepared: PreparedStream, first: int, around: Surroundings, column: Column, control: Control
    ) -> None:
        self._prepared = prepared
        self._around = around
        self._control = control
        slot = first + control.slot
        self._guard = make_guard(around.config, around.guard, around.board, column, around.workers, slot, around.banned)
        self._ledger = BoardLedger(
            prepared.name,
            ConnectionMeter(column.cells, around.connection_rows),
            StreamMeter(column.cells, prepared.rows),
            open_log(prepared.stream.log, LogSink),
        )

    def run(self, sockets: Sockets) -> None:
        """Serve until the supervisor says drain, and drain."""
        stream = self._prepared.stream
        assert stream.handler is not None, "that is why it has a crew"
        try:
            handler = load(stream.handler, stream.path)
            model = model_for(handler, stream.model, udp=is_udp(stream))
        except (LoadError, Misfit) as error:
            raise StartError(f"streams.{self._prepared.name}: {error}") from error
        server, serve = self._server(handler, model, sockets), model.load()
        gc.collect()
        gc.freeze()
        if model.loop is None:
            self._control.attach_signals()
            self._obey(server)
            serve(server)
        else:
            with asyncio.Runner(loop_factory=_LOOPS[model.loop]) as runner:
                runner.run(self._serve_on_loop(server, serve))
        self._ledger.close()

    async def _serve_on_loop(self, server: Server, serve: Callable[[Server], Awaitable[None]]) -> None:
        self._control.attach(asyncio.get_running_loop())
        self._obey(server)
        await serve(server)

    def _server(self, handler: Handler, model: Model, sockets: Sockets) -> Server:
        prepared, stream = self._prepared, self._prepared.stream
        doors = []
        for spec, bound in sockets.items():
            tls = prepared.tls if prepared.listen[spec].protocol == "tls" else None
            doors += [Door(sock, None if tls is None else tls.now) for sock in bound]
        for door in doors:
            if not door.udp:
                door.sock.listen(BACKLOG)
        default = DATAGRAMS if is_udp(stream) else model.connections
        limits = Limits(
            default if stream.connections is None else stream.connections,
            IDLE if stream.idle_timeout is None else stream.idle_timeout,
            stream.message_limit,
            stream.threads,
        )
        return Server(handler, doors, limits, self._ledger, doorkeeper=self._guard)

    def _obey(self, server: Server) -> None:
        """What the supervisor says, and what is looked at once a second; then it may know that we serve."""
        control = self._control
        server.on_look.append(partial(self._look, server))
        server.on_fork.append(control.leave_in_child)
        control.on_drain(partial(server.drain, self._around.config.server.drain_timeout))
        control.on_stop(server.dismiss)
        control.on_stop_now(server.abort)
        control.on_reopen_logs(self._ledger.reopen)
        control.ready()

    def _look(self, server: Server) -> None:
        around, now = self._around, time.monotonic()
        if around.guard.admitted is not None:
            around.guard.admitted.look(now)
        if around.internal is not None:
            around.internal.look(now)
        if around.banned is not None and around.banned.version:
            server.expel(around.banned)


class BoardLedger:
    """See `models.server.Ledger`: on the board, and in the stream's log."""

    def __init__(self, name: str, meter: ConnectionMeter, stream_meter: StreamMeter, log: StreamLog | None) -> None:
        self._name = name
        self._meter = meter
        self._stream_meter = stream_meter
        self._log = log
        self._is_moved = False

    def opened(self) -> None:
        """See `Ledger.opened`."""
        self._stream_meter.opened()

    def moved(self, received: int, sent: int, requests: int) -> None:
        """See `Ledger.moved`."""
        self._stream_meter.moved(received, sent, requests)

    def ended(self, ended: Ended) -> None:
        """See `Ledger.ended`."""
        self._stream_meter.closed()
        self._stream_meter.moved(*ended.moved)
        if ended.why is not None:
            self._meter.rejected(ended.why)
        if self._log is not None:
            seconds = time.monotonic() - ended.began
            self._log.sink.append(
                Record(
                    self._log.render, ended.began, self._name, ended.client, None, None, ended.received, ended.sent,
                    seconds, ended.why,
                )
            )  # fmt: skip

    def refused(self, why: Reason) -> None:
        """See `Ledger.refused`."""
        self._meter.rejected(why)

    def look(self, now: float) -> None:
        """See `Ledger.look`."""
        if self._log is not None:
            self._log.sink.flush(now)
            if self._is_moved:
                self._is_moved = False
                self._log.sink.reopen()

    def reopen(self) -> None:
        """The log was moved away. This may come, as a signal, in the middle of a line."""
        self._is_moved = True

    def close(self) -> None:
        """The worker ends."""
        if self._log is not None:
            self._log.sink.close()
