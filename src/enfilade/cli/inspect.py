"""`schema` and `version`: what can be said without a configuration."""

from __future__ import annotations

import json

import click

from enfilade import __version__
from enfilade.config.jsonschema import json_schema


@click.command()
def schema() -> None:
    """Print the JSON Schema of enfilade.toml, with which editors complete and check it.

    \b
    Examples:
      enfilade schema > enfilade.schema.json
      (first line of enfilade.toml:  #:schema ./enfilade.schema.json)
    """
    click.echo(json.dumps(json_schema(), indent=2))


@click.command()
def version() -> None:
    """Print the version.

    \b
    Examples:
      enfilade version
    """
    click.echo(f"enfilade {__version__}")
