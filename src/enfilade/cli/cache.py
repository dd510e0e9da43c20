"""`purge` and `cache`: what a running server has stored, and what of it is not to be used again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import click

from enfilade.cache.purge_text import purge_name
from enfilade.cli.common import config_file, config_option, fail, load_or_fail
from enfilade.cli.control import ask_admin
from enfilade.cli.status import table
from enfilade.config import Server

LOOK = 60.0
"""Seconds that it may take to look through everything that is stored."""


@click.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@config_option
@click.option(
    "--soft", is_flag=True, help="Let it become stale: it may be served while it is refreshed, or the origin fails."
)
@click.option("--json", "as_json", is_flag=True, help="What was purged, as JSON.")
def purge(names: tuple[str, ...], file: str | None, soft: bool, as_json: bool) -> None:
    """Let nothing that a running server has stored under these names be used again, in any of its workers.

    A name is a tag; an address, with a query or for all queries; an address with /* for all below; or * for all.
    The server needs an admin listener.

    \b
    Examples:
      enfilade purge user:7 front-page
      enfilade purge https://shop.example.com/prices
      enfilade purge --soft "https://shop.example.com/products/*"
      enfilade purge -c /etc/enfilade.toml "*"
    """
    wanted = {"purge": [checked(name) for name in names], "soft": soft}
    facts = ask_admin(server_of(file), "POST", "/purge", wanted)
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name in facts["purged"]:
        click.echo(f"{name}: {'stale' if facts['soft'] else 'purged'}")


@click.command()
@click.argument("name", required=False)
@config_option
@click.option(
    "--by",
    type=click.Choice(["size", "age"]),
    default="size",
    show_default=True,
    help="The largest or the youngest first.",
)
@click.option(
    "--top", type=click.IntRange(0, 1000), default=20, show_default=True, help="How many are listed of each store."
)
@click.option("--json", "as_json", is_flag=True, help="Everything that is known, as JSON.")
def cache(name: str | None, file: str | None, by: str, top: int, as_json: bool) -> None:
    """Show what a running server has stored: all of it, or what NAME would purge. The server needs an admin listener.

    \b
    Examples:
      enfilade cache
      enfilade cache --by age --top 5
      enfilade cache https://shop.example.com/prices
      enfilade cache user:7 --json
    """
    if name is not None:
        checked(name)
    query = {"by": by, "top": top} | ({} if name is None else {"name": name})
    facts = ask_admin(server_of(file), "GET", f"/cache?{urlencode(query)}", timeout=LOOK)
    click.echo(json.dumps(facts) if as_json else "\n".join(show_cache(facts)))


def checked(name: str) -> str:
    """`name`; ends the command where it means nothing."""
    try:
        purge_name(name)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="NAME") from None
    return name


def show_cache(facts: Mapping[str, Any]) -> Iterator[str]:
    for store in facts["stores"]:
        used = f"{size(store['used'])} of {size(store['budget'])} in use"
        yield f"{store['store']}: {store['answers']} answers, {size(store['bytes'])}; {used}; {store['evictions']} had to leave"
    yield f"names purged: {facts['purges']}"
    if facts["routes"]:
        rows = [{**row, "hit ratio": hit_ratio(row)} for row in facts["routes"]]
        yield from ("", "routes", *table({key: key for key in _RESULTS}, rows))
    if facts["answers"]:
        yield from ("", "answers", *table({key: key for key in _ANSWER}, [answer_row(a) for a in facts["answers"]]))


_RESULTS = ("site", "route", "hit ratio", "hit", "stale", "miss", "bypass")
_ANSWER = ("address", "store", "state", "status", "size", "age", "fresh for", "varies by", "tags")


def hit_ratio(row: Mapping[str, Any]) -> str:
    """Of the requests that the cache could have answered."""
    hits = row["hit"] + row["stale"]
    return f"{hits / (hits + row['miss']):.1%}" if hits + row["miss"] else "-"


def answer_row(answer: Mapping[str, Any]) -> dict[str, str]:
    varies = ", ".join(f"{name}: {'-' if value is None else value}" for name, value in answer["varies"].items())
    return {
        "address": answer["url"],
        "store": answer["store"],
        "state": answer["state"],
        "status": str(answer["status"]),
        "size": size(answer["size"]),
        "age": f"{answer['age']} s",
        "fresh for": f"{answer['ttl']} s",
        "varies by": varies or "-",
        "tags": " ".join(answer["tags"]) or "-",
    }


def size(count: int) -> str:
    """Bytes, as people read them."""
    for unit in ("bytes", "KB", "MB"):
        if count < 10 * 1024:
            return f"{count} {unit}"
        count //= 1024
    return f"{count} GB"


def server_of(file: str | None) -> Server:
    """The [server] table of a server with an admin listener; ends the command where it has none. A pid would not do: where the
    listener is, and its token, stands in the configuration."""
    name = config_file(file)
    server = load_or_fail(name).server
    if server.admin is None:
        fail(f'{name} names no admin listener to ask; add admin = "127.0.0.1:2019" to [server]')
    return server
