"""`run`, `serve` and `up`: arguments to a configuration, and that to the supervisor."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

import click

from enfilade.assemble.plan import EdgePlan
from enfilade.assemble.trial import try_out
from enfilade.cli.common import config_file, config_option, fail, load_or_fail
from enfilade.cli.configs import HTTP, HTTPS, Listen, proxy_config, run_config, serve_config
from enfilade.config import App, Config, ConfigError, load
from enfilade.observe.log import set_up_logging
from enfilade.process.board import Board
from enfilade.process.plan import StartError
from enfilade.process.sockets import ListenSpec
from enfilade.process.supervisor import serve as supervise

F = TypeVar("F", bound=Callable[..., object])
Workers = int | Literal["auto"]


class WorkersType(click.ParamType[Workers]):
    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Workers:
        if value != "auto" and not (str(value).isdecimal() and int(value)):
            self.fail(f'"{value}" is neither "auto" nor a number of at least 1', param, ctx)
        return "auto" if value == "auto" else int(value)


_LISTEN = (
    click.option("--http", multiple=True, metavar="ADDR",
        help=f'"host:port", ":port" or "unix:/path"; may be repeated.  [default: {HTTP}]'),
    click.option("--https", multiple=True, metavar="ADDR", help=f"The same over TLS.  [default with --tls: {HTTPS}]"),
    click.option("--tls", is_flag=True, help="Serve over TLS as well, with a certificate made in memory unless --cert is given."),
    click.option("--cert", metavar="FILE", help="PEM file with the certificate and its chain."),
    click.option("--key", metavar="FILE", help="PEM file with its private key."),
    click.option("--workers", type=WorkersType(), default=1, show_default=True, help='Processes; "auto" is one a core.'),
    click.option("--log/--no-log", default=True, help="The access log, on stdout.  [default: --log]"),
)  # fmt: skip


def listen_options(function: F) -> F:
    for option in reversed(_LISTEN):
        function = option(function)
    return function


@click.command()
@click.argument("target")
@listen_options
@click.option(
    "--inline",
    is_flag=True,
    help="Run the application inside the edge workers: the lowest overhead, but what blocks it blocks them.",
)
@click.option(
    "--reload", is_flag=True, help="Take new workers whenever a .py file under --app-dir changes (for development)."
)
@click.option("--app-dir", default=".", metavar="DIR", help="Where to import TARGET from.  [default: here]")
@click.option("--factory", is_flag=True, help="TARGET is a function that makes the application.")
@click.option("--interface", type=click.Choice(["auto", "asgi", "wsgi"]), default="auto", show_default=True)
@click.option(
    "--root-path", default="", metavar="PREFIX", help="The prefix that a proxy in front has taken off the path."
)
def run(
    target: str, http: tuple[str, ...], https: tuple[str, ...], tls: bool, cert: str | None, key: str | None,
    workers: Workers, log: bool, inline: bool, reload: bool, app_dir: str, factory: bool,
    interface: Literal["auto", "asgi", "wsgi"], root_path: str,
) -> None:  # fmt: skip
    """Serve the ASGI or WSGI application TARGET, "module:attribute" or "module".

    \b
    Examples:
      enfilade run shop.main:app
      enfilade run shop.wsgi --http :80 --workers auto
      enfilade run shop.main:create_app --factory --reload
      enfilade run shop.main:app --https :443 --cert cert.pem --key key.pem
    """
    listen = _listen(http, https, tls, cert, key)
    app = App(target=target, path=app_dir, factory=factory, interface=interface, inline=inline, workers=workers)
    launch(
        lambda: run_config(app, listen, root_path=root_path, log=log),
        watch=[app_dir] if reload else [],
    )


@click.command()
@click.option(
    "--to",
    multiple=True,
    required=True,
    metavar="URL",
    help='"http://host:port", "https://host", "unix:/path"; may be repeated.',
)
@listen_options
@click.option("--balance", default="round_robin", show_default=True, help="How several URLs share the work.")
@click.option(
    "--host", default="client", show_default=True, help='The Host they are told: "client", "peer", or this one.'
)
def proxy(
    to: tuple[str, ...], http: tuple[str, ...], https: tuple[str, ...], tls: bool, cert: str | None, key: str | None,
    workers: Workers, log: bool, balance: str, host: str,
) -> None:  # fmt: skip
    """Hand every request on to the servers at the URLs.

    \b
    Examples:
      enfilade proxy --to http://127.0.0.1:3000
      enfilade proxy --to http://10.0.0.1:80 --to http://10.0.0.2:80 --balance least_connections --http :80
      enfilade proxy --to https://example.com --host peer
    """
    listen = _listen(http, https, tls, cert, key)
    launch(lambda: proxy_config(to, listen, workers=workers, balance=balance, host=host, log=log))


@click.command()
@click.argument("directory", metavar="DIR")
@listen_options
@click.option("--spa", is_flag=True, help="Answer unknown pages with index.html, for single-page applications.")
@click.option("--listing", is_flag=True, help="Show a page for directories without index.html.")
def serve(
    directory: str, http: tuple[str, ...], https: tuple[str, ...], tls: bool, cert: str | None, key: str | None,
    workers: Workers, log: bool, spa: bool, listing: bool,
) -> None:  # fmt: skip
    """Serve the files in DIR.

    \b
    Examples:
      enfilade serve .
      enfilade serve web/dist --spa --tls
      enfilade serve /srv/pub --listing --http :8080
    """
    listen = _listen(http, https, tls, cert, key)
    launch(lambda: serve_config(directory, listen, workers=workers, spa=spa, listing=listing, log=log))


@click.command()
@config_option
@click.option(
    "--reload", is_flag=True, help="Reload whenever it or a .py file of its applications changes (for development)."
)
def up(file: str | None, reload: bool) -> None:
    """Serve what the configuration says, until told to stop.

    \b
    Examples:
      enfilade up
      enfilade up -c /etc/enfilade.toml
      enfilade up --reload
    """
    name = config_file(file)
    paths = [name, *(app.path for app in load_or_fail(name).apps.values())] if reload else []
    launch(lambda: load(name, try_out), watch=paths)


def launch(source: Callable[[], Config], watch: Sequence[str] = ()) -> None:
    """Serve what `source` gives, asking it again at each reload; ends the command with the supervisor's exit code."""

    def make_plan(board: Board) -> EdgePlan:
        config = source()
        said = config.server.log
        if not logging.getLogger("enfilade").handlers:  # a reload that is refused leaves the log as it is
            set_up_logging(said.level, said.format)
        plan = EdgePlan(config, board)
        set_up_logging(said.level, said.format)
        return plan

    if watch:
        # Bytecode is taken for current if second and size are the same: an edit soon after the last one would not be seen.
        sys.dont_write_bytecode = True
    try:
        code = supervise(make_plan, watch=watch, on_start=show_addresses)
    except (ConfigError, StartError, OSError, ValueError, LookupError) as error:
        fail(str(error))
    raise SystemExit(code)


def show_addresses(addresses: Mapping[ListenSpec, list[str]]) -> None:
    for spec, shown in addresses.items():
        of_stream = spec.name.startswith("streams.")
        scheme = spec.kind if of_stream else "https" if spec.name == "https" else "http"
        for address in shown:
            place = address if spec.kind == "unix" else f"{scheme}://{address}"
            click.echo(f"enfilade: {spec.name} on {place}", err=True)


def _listen(http: tuple[str, ...], https: tuple[str, ...], tls: bool, cert: str | None, key: str | None) -> Listen:
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key go together")
    return Listen(http, https, tls, cert, key)
