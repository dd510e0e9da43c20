"""`purge` and `cache`: what a running server has stored, and what of it is not to be used again."""

from __future__ import annotations

import json

import click

from enfilade.cache.purge_text import purge_name
from enfilade.cli.common import config_file, config_option, fail, load_or_fail
from enfilade.cli.control import ask_admin
from enfilade.config import Server


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
    for name in names:
        try:
            purge_name(name)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="NAME") from None
    facts = ask_admin(server_of(file), "POST", "/purge", {"purge": names, "soft": soft})
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name in facts["purged"]:
        click.echo(f"{name}: {'stale' if facts['soft'] else 'purged'}")


def server_of(file: str | None) -> Server:
    """The [server] table of a server with an admin listener; ends the command where it has none."""
    name = config_file(file)
    server = load_or_fail(name).server
    if server.admin is None:
        fail(f'{name} names no admin listener to ask; add admin = "127.0.0.1:2019" to [server]')
    return server
