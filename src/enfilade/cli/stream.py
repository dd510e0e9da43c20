"""`enfilade stream`: one raw service."""

from __future__ import annotations

from typing import Any, cast, get_args

import click

from enfilade.cli.common import DURATION, SIZE
from enfilade.cli.configs import stream_config
from enfilade.cli.serve import launch
from enfilade.config import Stream, Tls
from enfilade.config.schema.streams import ModelName

LISTEN = "tcp://127.0.0.1:9999"
PROXY = "proxy"
"""What stands in a handler's place where `--to` says who answers."""


@click.command(short_help="Serve a raw TCP or UDP protocol.")
@click.argument("handler")
@click.option(
    "--listen",
    multiple=True,
    default=[LISTEN],
    metavar="ADDRESS",
    help=f'"tcp://:9999", "tls://:9999", "udp://:9999" or "unix:/path"; may be repeated.  [default: {LISTEN}]',
)
@click.option("--model", type=click.Choice(get_args(ModelName)), help="How many clients are served at once.")
@click.option("--to", multiple=True, metavar="URL", help="Only for the handler proxy: whom everything is passed on to.")
@click.option("--workers", type=click.IntRange(1, 64), help="Processes that serve it.  [default: 1]")
@click.option("--threads", type=click.IntRange(1), help="Of thread_pool; processes of process_pool.  [default: 8]")
@click.option("--connections", type=click.IntRange(0), help="At once, in each process; 0 is no limit.")
@click.option("--idle-timeout", type=DURATION, help='"30s": whoever says nothing for so long is closed.')
@click.option("--message-limit", type=SIZE, help="Longest message.  [default: 64KB]")
@click.option("--cert", metavar="FILE", help="PEM file, for tls://; without it, an authority of our own signs one.")
@click.option("--key", metavar="FILE", help="PEM file with its private key.")
@click.option("--path", metavar="DIR", help="Where to import HANDLER from.  [default: here]")
@click.option("--reload", is_flag=True, help="Take new workers whenever a .py file under --path changes.")
@click.option("--log/--no-log", default=True, help="A line for each connection, on stdout.  [default: --log]")
def stream(
    handler: str, listen: tuple[str, ...], model: str | None, to: tuple[str, ...], cert: str | None, key: str | None,
    path: str | None, reload: bool, log: bool, **said: Any,
) -> None:  # fmt: skip
    """Answer whoever connects by HANDLER: "module:callable", or echo, zen, time, discard; or proxy, with --to.

    \b
    Examples:
      enfilade stream echo
      enfilade stream zen --model thread --listen tcp://:9999
      enfilade stream shout:shout --model epoll --listen udp://:9999
      enfilade stream proxy --to tcp://10.0.0.1:5432 --listen tcp://:5432
    """
    if (cert is None) != (key is None):
        raise click.UsageError("--cert and --key go together")
    if (handler == PROXY) != bool(to):
        raise click.UsageError("the handler proxy and --to go together")
    if cert and key:
        said["tls"] = Tls(certificate=cert, key=key)
    elif any(address.startswith("tls://") for address in listen):
        said["tls"] = "internal"
    said |= {"model": cast(ModelName | None, model), "path": path, "handler": None if to else handler}
    table = Stream(listen=list(listen), to=list(to), log=log, **{k: v for k, v in said.items() if v is not None})
    launch(lambda: stream_config(table), watch=[path or "."] if reload else [])
