"""`bans`: who is banned on a running server; and bans that are made and lifted by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from enfilade.cli.cache import server_of
from enfilade.cli.common import DURATION, config_file, config_option, fail, load_or_fail
from enfilade.cli.control import Unanswered, ask_admin, try_admin
from enfilade.cli.status import table
from enfilade.config import Config, Server
from enfilade.http.addresses import subscriber
from enfilade.http.dates import local_time

_COLUMNS = {"address": "address", "until": "until", "bans": "strikes", "for": "cause"}


@click.group(invoke_without_command=True)
@config_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@click.pass_context
def bans(ctx: click.Context, file: str | None, as_json: bool) -> None:
    """List who is banned on a running server, until when, how often they were, and for what. The server needs an admin
    listener.

    \b
    Examples:
      enfilade bans
      enfilade bans --json -c /etc/enfilade.toml
      enfilade bans add 203.0.113.9 --for 1h
      enfilade bans lift 203.0.113.9
    """
    ctx.obj = file
    if ctx.invoked_subcommand is None:
        facts = ask_admin(_server(file), "GET", "/bans")
        click.echo(json.dumps(facts) if as_json else "\n".join(show_bans(facts)))


@bans.command()
@click.argument("address")
@click.option("--for", "seconds", type=DURATION, help="How long.  [default: as long as a first ban lasts]")
@config_option
@click.pass_obj
def add(before: str | None, address: str, seconds: float | None, file: str | None) -> None:
    """Ban ADDRESS: one of IPv4, or the network of 64 bits that one of IPv6 is in.

    \b
    Examples:
      enfilade bans add 203.0.113.9
      enfilade bans add 2001:db8::1 --for 1d
    """
    ban = ask_admin(_server(file or before), "POST", "/bans/add", {"address": address, "seconds": seconds})
    click.echo(f"{ban['address']} is banned until {local_time(ban['until'])}")


@bans.command()
@click.argument("address")
@config_option
@click.pass_obj
def lift(before: str | None, address: str, file: str | None) -> None:
    """Let ADDRESS in again, and forget its bans.

    \b
    Examples:
      enfilade bans lift 203.0.113.9
      enfilade bans lift 2001:db8::/64
    """
    facts = ask_admin(_server(file or before), "POST", "/bans/lift", {"address": address})
    click.echo(f"{facts['lifted']} is let in again")


def _server(file: str | None) -> Server:
    name = config_file(file)
    if load_or_fail(name).bans is None:
        fail(f"{name} has no [bans], so its server bans nobody")
    return server_of(name)


def ban_of(config: Config, client: str) -> str | None:
    """The ban of `client` on the server that runs with `config`, if that says so."""
    if config.bans is None or config.bans.dry_run or config.server.admin is None:
        return None
    try:
        facts = try_admin(config.server, "GET", "/bans")
    except Unanswered:
        return None
    mine = next((ban for ban in facts["bans"] if ban["address"] in (client, subscriber(client))), None)
    return None if mine is None else f"until {local_time(mine['until'])}: {mine['cause']}"


def show_bans(facts: Mapping[str, Any]) -> Iterator[str]:
    rows = facts["bans"]
    number = f"{len(rows)} banned" if rows else "nobody is banned"
    yield f"{number}; they are let in all the same, as bans are in dry run" if facts["dry_run"] else number
    yield from table(_COLUMNS, rows)
