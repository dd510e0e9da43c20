"""`register`: a server tells edges that it is there, and that it goes."""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
from functools import partial
from importlib.util import find_spec

import click

from enfilade.cli.common import fail
from enfilade.config import units
from enfilade.config.errors import NO_REDIS
from enfilade.net.redis.registrations import redis_store
from enfilade.net.registry import Registration
from enfilade.observe.log import set_up_logging
from enfilade.process.register import run_registered
from enfilade.upstream.addresses import parse_address


@click.command()
@click.option(
    "--redis", required=True, metavar="URL", help='Where: "redis://host:6379/0", "rediss://host", "unix:///path".'
)
@click.option("--upstream", required=True, metavar="NAME", help="For which upstream.")
@click.option("--url", required=True, metavar="URL", help='Where edges reach the server, as in "http://10.0.0.3:8000".')
@click.option(
    "--weight", type=click.IntRange(1), default=1, show_default=True, help="How much it gets in comparison to others."
)
@click.option(
    "--ttl", type=click.FloatRange(1), default=10, show_default=True, metavar="SECONDS",
    help="Edges forget a server that died without a word after so many seconds.",
)  # fmt: skip
@click.option("--prefix", default="enfilade", show_default=True, help="What the keys begin with.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def register(
    redis: str, upstream: str, url: str, weight: int, ttl: float, prefix: str, command: tuple[str, ...]
) -> None:
    """Register a server with the edges that find their upstream's servers in Redis, as long as this or COMMAND runs.

    COMMAND is sent the signals that come, but only when edges know that it goes: it loses no request. The exit code is its own.

    \b
    Examples:
      enfilade register --redis redis://10.0.0.9 --upstream api --url http://10.0.0.3:8000
      enfilade register --redis redis://10.0.0.9 --upstream api --url http://10.0.0.3:8000 -- \\
          gunicorn shop.wsgi --bind :8000
    """
    if find_spec("redis") is None:
        fail(f"register {NO_REDIS}")
    try:
        units.redis_url(redis)
        address = parse_address(url)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    set_up_logging()
    text = json.dumps({"url": address.name, "weight": weight})
    member = f"{socket.gethostname()}:{secrets.token_hex(4)}"
    registration = Registration(partial(redis_store, redis, prefix, upstream), member, text, ttl)
    try:
        code = asyncio.run(run_registered(registration, command))
    except OSError as error:
        fail(f"cannot run {command[0]}: {error.strerror}")
    raise SystemExit(code)
