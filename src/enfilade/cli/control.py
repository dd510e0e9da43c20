"""`reload`, `stop` and `status`: a running server is found by its pid, and asked through its admin listener if it has one."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from typing import Any, NamedTuple, TypeVar

import click

from enfilade.cli.common import config_file, config_option, fail, load_or_fail
from enfilade.cli.status import show_status
from enfilade.config import Server
from enfilade.config.units import address
from enfilade.process.pidfile import read_pid
from enfilade.process.status import reload_outcome

F = TypeVar("F", bound=Callable[..., object])
TIMEOUT = 5.0
"""Seconds for the admin listener to answer, and for a reload or a stop beyond its own time-outs."""
INTERVAL = 0.05


class Running(NamedTuple):
    """A server that runs: its supervisor, and its [server] table if we know its configuration."""

    pid: int
    server: Server

    @property
    def name(self) -> str:
        return f"process {self.pid}"


def target_options(function: F) -> F:
    for option in (
        click.option("--pid-file", metavar="FILE", help="The server whose pid stands in FILE."),
        click.option("--pid", type=click.IntRange(1), help="The server whose supervisor is this process."),
        config_option,
    ):
        function = option(function)
    return function


@click.command()
@target_options
def reload(file: str | None, pid: int | None, pid_file: str | None) -> None:
    """Make a running server take its configuration anew, without losing a request. A bad one changes nothing.

    \b
    Examples:
      enfilade reload
      enfilade reload -c /etc/enfilade.toml
      enfilade reload --pid 4711
    """
    running = find(file, pid, pid_file)
    before = ask(running.server) if running.server.admin else None
    _signal(running, signal.SIGHUP)
    if before is None:
        click.echo(f"{running.name} was told to reload; its log says how it went")
        return
    deadline = time.monotonic() + TIMEOUT + 60
    while time.monotonic() < deadline:
        now = ask(running.server)
        match reload_outcome(before["reload"], now["reload"]):
            case True:
                click.echo(f"{running.name} reloaded: generation {now['generation']}")
                return
            case False:
                fail("the new configuration was refused, and nothing has changed; the log says why")
        time.sleep(INTERVAL)
    fail(f"{running.name} has not finished its reload; its log says more")


@click.command()
@target_options
@click.option("--now", is_flag=True, help="Do not wait for what is in flight.")
def stop(file: str | None, pid: int | None, pid_file: str | None, now: bool) -> None:
    """Stop a running server, after the requests in flight, and wait until it is gone.

    \b
    Examples:
      enfilade stop
      enfilade stop --now --pid-file /run/enfilade.pid
    """
    running = find(file, pid, pid_file)
    _signal(running, signal.SIGQUIT if now else signal.SIGTERM)
    start = time.monotonic()
    told = False
    while is_alive(running.pid):
        waited = time.monotonic() - start
        if waited > running.server.drain_timeout + TIMEOUT:
            fail(f"{running.name} is still there after {waited:.0f} s; --now ends it at once")
        if waited > 1 and not told:
            click.echo("waiting for what is in flight ...", err=True)
            told = True
        time.sleep(INTERVAL)
    click.echo(f"{running.name} stopped")


@click.command()
@target_options
@click.option("--json", "as_json", is_flag=True, help="Everything that is known, as JSON.")
def status(file: str | None, pid: int | None, pid_file: str | None, as_json: bool) -> None:
    """Show a running server, and its workers, applications and upstreams if it has an admin listener. Exit code 1 if it does
    not run.

    \b
    Examples:
      enfilade status
      enfilade status --json -c /etc/enfilade.toml
    """
    running = find(file, pid, pid_file)
    facts = ask(running.server) if running.server.admin else {"pid": running.pid}
    click.echo(json.dumps(facts) if as_json else show_status(facts))


# -- finding it


def find(file: str | None, pid: int | None, pid_file: str | None) -> Running:
    """The server that the options mean; ends the command where there is none."""
    if sum(option is not None for option in (file, pid, pid_file)) > 1:
        raise click.UsageError("name the server in one way: -c, --pid or --pid-file")
    if pid is not None:
        if not is_alive(pid):
            fail(f"there is no process {pid}")
        return Running(pid, Server())
    if pid_file is not None:
        return Running(_read(pid_file), Server())
    name = config_file(file)
    server = load_or_fail(name).server
    if server.pid_file is not None:
        return Running(_read(server.pid_file), server)
    if server.admin is None:
        fail(f"{name} names neither pid_file nor admin, so its server cannot be found; use --pid or --pid-file")
    return Running(ask(server)["pid"], server)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _read(pid_file: str) -> int:
    pid = read_pid(pid_file)
    if pid is None:
        cause = "names no live process" if os.path.exists(pid_file) else "does not exist"
        fail(f"no server runs: {pid_file} {cause}")
    return pid


def _signal(running: Running, number: int) -> None:
    try:
        os.kill(running.pid, number)
    except PermissionError:
        fail(f"{running.name} belongs to somebody else")
    except ProcessLookupError:
        fail(f"{running.name} is gone")


# -- asking it


def ask(server: Server) -> dict[str, Any]:
    """What the admin listener says at /status; ends the command where it says nothing."""
    return ask_admin(server, "GET", "/status")


class Unanswered(Exception):
    """The admin listener does not do what it is asked; the text says why."""


def ask_admin(
    server: Server, method: str, path: str, question: object = None, timeout: float = TIMEOUT
) -> dict[str, Any]:
    """What the admin listener answers, to the JSON of `question` if there is one; ends the command where that is no success."""
    try:
        return try_admin(server, method, path, question, timeout)
    except Unanswered as error:
        fail(str(error))


def try_admin(
    server: Server, method: str, path: str, question: object = None, timeout: float = TIMEOUT
) -> dict[str, Any]:
    """What the admin listener answers, to the JSON of `question` if there is one. Raises Unanswered."""
    connection = _connect(server, timeout)
    fields = {"Authorization": f"Bearer {server.admin_token}"} if server.admin_token else {}
    if question is not None:
        fields["Content-Type"] = "application/json"
    try:
        connection.request(method, path, None if question is None else json.dumps(question), fields)
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException) as error:
        raise Unanswered(f"no server answers at {server.admin}: {error}") from None
    finally:
        connection.close()
    told = response.status == 200 or response.getheader("Content-Type") == "application/json"
    facts: dict[str, Any] = json.loads(body) if told else {}
    if response.status != 200:
        raise Unanswered(
            facts.get("why") or f"the server at {server.admin} answers {response.status} {response.reason}"
        )
    return facts


def _connect(server: Server, timeout: float) -> HTTPConnection:
    where = address(server.admin or "")
    if where.kind == "unix":
        connection = HTTPConnection("localhost", timeout=timeout)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(timeout)
        try:
            connection.sock.connect(where.host)
        except OSError as error:
            connection.close()
            raise Unanswered(f"no server answers at {server.admin}: {error.strerror}") from None
        return connection
    return HTTPConnection(where.host or "localhost", where.port, timeout=timeout)
