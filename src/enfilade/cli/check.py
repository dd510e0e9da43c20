"""`check`: the same look at a configuration that a start and a reload take."""

from __future__ import annotations

import json

import click

from enfilade.assemble.explain import handed_to
from enfilade.assemble.trial import try_out
from enfilade.cli.common import config_file, config_option, fail
from enfilade.config import Config, ConfigError, Route, Stream, load
from enfilade.config.checks import ACTIONS
from enfilade.config.units import texts


@click.command()
@config_option
@click.option("--json", "as_json", is_flag=True, help="The problems as a JSON list.")
def check(file: str | None, as_json: bool) -> None:
    """Say whether the configuration can be used: what it serves (exit code 0), or everything that is wrong (1).

    \b
    Examples:
      enfilade check
      enfilade check -c /etc/enfilade.toml --json
    """
    name = config_file(file)
    try:
        config = load(name, try_out)
    except ConfigError as error:
        if as_json:
            click.echo(json.dumps([problem._asdict() for problem in error.problems], indent=2))
            raise SystemExit(1) from None
        fail(str(error))
    click.echo("[]" if as_json else f"{name}: ok\n{summary(config)}")


def summary(config: Config) -> str:
    """What `config` serves, and where, a route a line."""
    lines = [
        f"  {key} {', '.join(texts(value))}"
        for key, value in (("http", config.server.http), ("https", config.server.https), ("admin", config.server.admin))
        if value
    ]
    for name, site in config.sites.items():
        lines.append(f"  site {name}")
        lines += [f"    {pattern}  {describe(route, config)}" for pattern, route in site.routes.items()]
    lines += [f"  stream {name}  {describe_stream(stream)}" for name, stream in config.streams.items()]
    return "\n".join(lines)


def describe_stream(stream: Stream) -> str:
    """Where `stream` listens, and where it goes."""
    listen, to = (texts(value) for value in (stream.listen, stream.to))
    return f"{', '.join(listen)} to {', '.join(to) if to else 'the server that TLS clients ask for'}"


def describe(route: Route, config: Config) -> str:
    """What answers on `route`."""
    action = next(name for name in ACTIONS if getattr(route, name) is not None)
    value = getattr(route, action)
    if action == "app":
        return f"app {value} ({config.apps[value].target})"
    if action == "proxy":
        return f"proxy {handed_to(value)}"
    if action == "redirect":
        return f"redirect to {value if isinstance(value, str) else value.to}"
    if action == "pki":
        return f"certificates for {', '.join(config.pki.names)}"
    if action == "respond":
        status = value if isinstance(value, int) else getattr(value, "status", 200)
        return f"respond {status}"
    return f"files {value}"
