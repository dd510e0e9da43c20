"""A whole server for the supervisor's tests: `python -m tests.process.served PLAN.json`. The workers are plain asyncio.

PLAN.json is read at each (re)load: {"listen": [...], "workers": N, ...}, see JsonPlan; "crews" has more of them, by name. The
first line of stdout is the addresses.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import select
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, cast

import uvloop

from enfilade.config.units import address
from enfilade.observe.metrics import render
from enfilade.process import apps
from enfilade.process.app_rows import register_app
from enfilade.process.board import Board, Column
from enfilade.process.control import Control
from enfilade.process.plan import EDGE, AppSpec, Crew, Sockets, StartError
from enfilade.process.privileges import find_identity
from enfilade.process.sockets import ListenSpec
from enfilade.process.status import read_status
from enfilade.process.supervisor import serve


class JsonPlan:
    def __init__(self, path: str, board: Board) -> None:
        self.json = json.loads(Path(path).read_text())
        crews = {EDGE: self.json, **self.json.get("crews", {})}
        self.crews = [self._crew(name, script) for name, script in crews.items()]
        self.drain_timeout = self.json.get("drain_timeout", 5.0)
        self.pid_file = self.json.get("pid_file")
        self.identity = find_identity(self.json.get("user"), None)
        self.handover = None
        self.board = board
        self.apps = [self._app(name, app) for name, app in self.json.get("apps", {}).items()]
        self.answers = board.rows("enfilade_sent_bytes_total")

    def _crew(self, name: str, script: dict[str, Any]) -> Crew:
        purpose = "http" if name == EDGE else name
        listeners = [ListenSpec(purpose, *address(text)) for text in script["listen"]]
        steps = script.get("steps", [])

        def run(sockets: Sockets, column: Column, control: Control) -> None:
            for step in range(len(steps)):
                control.starts(step)
            if script.get("never_ready"):
                time.sleep(60)
            if "waits_in" in script:
                BlockedWorker(script, control).run()
                return
            run = uvloop.run if script.get("uvloop") else asyncio.run
            if script.get("holds_up"):
                run(hold_up(control))
                return
            run(TinyWorker(self, name, script, sockets, column, control).main())

        return Crew(name, listeners, script.get("workers", 2), run, script.get("start_timeout", 60.0), steps)

    def _app(self, name: str, app: dict[str, Any]) -> AppSpec:
        options = {"start_timeout": 60.0, "drain_timeout": self.drain_timeout, **app.get("options", {})}
        options["identity"] = find_identity(options.pop("user", None), None)
        command = options.pop("command", (sys.executable, "-W", "error", "-m", "tests.process.scripted_app"))
        script = {"drain_timeout": self.drain_timeout, **app.get("script", {})}
        return AppSpec(name, command, script, register_app(self.board, name), **options)


class BlockedWorker:
    """One without an event loop, whose main thread waits. `lingers`: it does not end when it is drained; `hangs`: nor when it is
    to stop now; `forks`: a child of it waits, too."""

    def __init__(self, script: dict[str, Any], control: Control) -> None:
        self.script = script
        self.control = control
        self.quiet, self.other = socket.socketpair()

    def run(self) -> None:
        self.control.attach_signals()
        self.control.on_drain(self.drain)
        self.control.on_stop_now(self.stop_now)
        self.control.on_reopen_logs(lambda: self.say("reopens its logs"))
        if self.script.get("forks"):
            self.fork()
        self.control.ready()
        match self.script["waits_in"]:
            case "recv":
                self.quiet.recv(1)
            case "select":
                select.select([self.quiet], [], [])
            case "sleep":
                time.sleep(3600)

    def say(self, what: str) -> None:
        """Not by the log: a signal may come in the middle of a line of it."""
        os.write(2, f"worker {self.control.slot} {what}\n".encode())

    def drain(self) -> None:
        self.say(f"drains, stopping: {self.control.stopping}")
        if not self.script.get("lingers"):
            self.end()

    def stop_now(self) -> None:
        self.say("stops now")
        if not self.script.get("hangs"):
            self.end()

    def end(self) -> None:
        self.other.close()
        if self.script["waits_in"] == "sleep":  # nothing else would end it
            os._exit(0)

    def fork(self) -> None:
        before = len(os.listdir("/proc/self/fd"))
        pid = os.fork()
        if pid == 0:
            self.control.leave_in_child()
            self.say(f"has the child {os.getpid()}, which closed {before - len(os.listdir('/proc/self/fd'))}")
            signal.pause()
        threading.Thread(target=self.bury, args=(pid,), daemon=True).start()

    def bury(self, child: int) -> None:
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.say(f"has no child any more: {code}")


async def hold_up(control: Control) -> None:
    """What no application should do: nothing else happens on the loop meanwhile."""
    control.attach(asyncio.get_running_loop())
    control.ready()
    time.sleep(3600)  # noqa: ASYNC251


class TinyWorker:
    def __init__(
        self, plan: JsonPlan, crew: str, script: dict[str, Any], sockets: Sockets, column: Column, control: Control
    ) -> None:
        self.plan = plan
        self.crew = crew
        self.script = script
        self.sockets = [sock for socks in sockets.values() for sock in socks]
        self.column = column
        self.control = control
        self.connections: set[Connection] = set()
        self.draining = False
        self.apps: dict[str, dict[int, AppLink]] = {}
        self.failures: list[str] = []

    async def main(self) -> None:
        if reason := self.script.get("fail_start"):
            raise StartError(reason)
        if self.script.get("raise"):
            raise ZeroDivisionError("as told")
        if code := self.script.get("exit_if_slot", {}).get(str(self.control.slot)):
            os._exit(code)
        self.loop = asyncio.get_running_loop()
        self.done = asyncio.Event()
        self.control.attach(self.loop)
        self.control.links.on_worker(self.linked)
        self.control.links.on_leaving(self.leaving)
        self.control.links.on_failed(lambda app, why: self.failures.append(f"{app}: {why}"))
        self.control.links.attach(self.loop)
        self.control.on_drain(self.drain)
        self.control.on_stop_now(self.done.set)
        self.control.on_reopen_logs(lambda: logging.warning("worker %d reopens its logs", self.control.slot))
        # The applications of a reload serve by now, though they may not be linked yet: a real edge lets requests wait for that.
        linked = len(self.plan.apps) if self.crew == EDGE else 0
        while self.control.generation > 1 and len(self.apps) < linked:  # noqa: ASYNC110
            await asyncio.sleep(0.001)
        for sock in self.sockets:
            sock.listen(1024)
            self.loop.add_reader(sock, self.accept, sock)
        self.control.ready()
        await self.done.wait()

    def accept(self, sock: socket.socket) -> None:
        while True:
            try:
                accepted, _ = sock.accept()
            except BlockingIOError:
                return
            task = self.loop.create_task(self.loop.connect_accepted_socket(lambda: Connection(self), accepted))
            self.connections.add(task)  # so that a drain waits for it
            task.add_done_callback(self.connections.discard)

    def drain(self) -> None:
        self.draining = True
        for sock in self.sockets:
            self.loop.remove_reader(sock)
            self.accept(sock)
            sock.close()
        for connection in self.connections:
            if isinstance(connection, Connection):
                connection.end_when_idle()
        self.gone(None)

    def gone(self, connection: Connection | None) -> None:
        self.connections.discard(connection)
        if self.draining:
            self.loop.call_later(0.02, lambda: self.connections or self.done.set())

    # -- applications: "/app/NAME/LINE" is answered by the worker that has answered least, or by "none"

    def linked(self, app: str, id: int, slot: int, concurrency: int, sock: socket.socket) -> None:
        rows = next(spec.rows for spec in self.plan.apps if spec.name == app)
        self.apps.setdefault(app, {})[id] = AppLink(sock, self.column, rows.requests + slot, rows.in_flight + slot)

    def leaving(self, id: int) -> None:
        for links in self.apps.values():
            if id in links:
                links.pop(id).close()

    def ask(self, app: str, line: str) -> bytes:
        links = self.apps.get(app, {})
        for id, link in sorted(links.items(), key=lambda item: item[1].asked):
            answer = link.ask(line)
            if answer or line in ("hang", "die"):
                return answer or b"null"
            del links[id]
        if line == "wake":
            self.control.links.wake(app)
        return json.dumps("none").encode()

    def answer(self, path: str) -> bytes:
        if path.startswith("/app/"):
            return self.ask(*path[5:].split("/"))
        if path == "/failures":
            return json.dumps(self.failures).encode()
        if path == "/status":
            return json.dumps(read_status(self.plan.board)).encode()
        if path == "/metrics":
            return render(self.plan.board)
        self.column.cells[self.plan.answers] += 1
        facts = {"pid": os.getpid(), "slot": self.control.slot, "generation": self.control.generation}
        return json.dumps(
            facts
            | {"crew": self.crew, "text": self.script.get("text", ""), "apps": sorted(self.apps)}
            | {"fds": len(os.listdir("/proc/self/fd"))}
        ).encode()


class AppLink:
    """One link: a line goes, a line comes; here the loop may wait for it."""

    def __init__(self, sock: socket.socket, column: Column, requests: int, in_flight: int) -> None:
        self.sock = sock
        self.cells = column.cells
        self.requests = requests
        self.in_flight = in_flight
        self.asked = 0
        sock.settimeout(10)

    def ask(self, line: str) -> bytes:
        self.asked += 1
        self.cells[self.in_flight] += 1
        try:
            self.sock.sendall(line.encode() + b"\n")
            if line == "hang":
                return b""
            answer = self.sock.recv(65536)
        except OSError:
            answer = b""
        self.cells[self.in_flight] -= 1
        self.cells[self.requests] += 1
        return answer

    def close(self) -> None:
        self.sock.close()


class Connection(asyncio.Protocol):
    """Keep-alive HTTP/1.1, GET only. /hang is never answered."""

    def __init__(self, worker: TinyWorker) -> None:
        self.worker = worker
        self.buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.worker.connections.add(self)
        if self.worker.draining:
            self.end_when_idle()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
            path = head.split()[1].decode()
            if path == "/hang":
                continue
            body = self.worker.answer(path)
            last = self.worker.draining
            close = b"Connection: close\r\n" if last else b""
            self.transport.write(b"HTTP/1.1 200 OK\r\n%sContent-Length: %d\r\n\r\n%s" % (close, len(body), body))
            if last:
                self.transport.close()

    def end_when_idle(self) -> None:
        """A draining worker ends idle connections only by their own idle time-out."""
        self.worker.loop.call_later(self.worker.script.get("idle_timeout", 60), self.transport.close)

    def connection_lost(self, error: Exception | None) -> None:
        self.worker.gone(self)


def show(addresses: dict[ListenSpec, list[str]]) -> None:
    print(json.dumps([address for found in addresses.values() for address in found]), flush=True)


def main(path: str, **options: object) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
    apps.LOOK = 0.1  # a second is long for tests
    return serve(lambda board: JsonPlan(path, board), on_start=show, **options)  # type: ignore[arg-type]


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    sys.exit(main(sys.argv[1], **json.loads(sys.argv[2] if len(sys.argv) > 2 else "{}")))
