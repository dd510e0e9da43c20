"""`explain`: the compiled way of a request, each step with its reason."""

from __future__ import annotations

import json

import click

from enfilade.assemble.explain import explain as explain_request
from enfilade.assemble.trial import try_out
from enfilade.cli.bans import ban_of
from enfilade.cli.common import config_file, config_option, fail, load_or_fail


@click.command()
@click.argument("method")
@click.argument("url")
@config_option
@click.option(
    "--client", metavar="ADDRESS", help="Whom it comes from: what the firewall, and the server that runs, say of them."
)
@click.option("--json", "as_json", is_flag=True, help="The steps as a JSON list.")
def explain(method: str, url: str, file: str | None, client: str | None, as_json: bool) -> None:
    """Show which site and route a request would meet, and each filter and handler on its way. No request is made.

    \b
    Examples:
      enfilade explain GET https://shop.example.com/api/orders
      enfilade explain GET https://shop.example.com/ --client 192.0.2.1
      enfilade explain POST http://localhost:8000/login -c enfilade.toml --json
    """
    config = load_or_fail(config_file(file), try_out)
    try:
        steps = explain_request(config, method, url, client, None if client is None else ban_of(config, client))
    except ValueError as error:
        fail(str(error))
    if as_json:
        click.echo(json.dumps([{"room": s.room, "name": s.name, "reason": s.reason} for s in steps], indent=2))
        return
    rooms, names = (max((len(getattr(s, key)) for s in steps), default=0) for key in ("room", "name"))
    for step in steps:
        click.echo(f"{step.room:{rooms}}  {step.name:{names}}  {step.reason}".rstrip())
