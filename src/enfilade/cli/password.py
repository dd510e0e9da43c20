"""`password`: a line for a file of users."""

from __future__ import annotations

import sys

import click

from enfilade.cli.common import fail
from enfilade.config.users import line_of


@click.command()
@click.argument("user")
def password(user: str) -> None:
    """Print a line with USER and a hashed password, for the file of auth.basic.

    The password is asked for; or it is the first line of the standard input, where that is no terminal.

    \b
    Examples:
      enfilade password ada >> users
      pwgen 20 1 | enfilade password ada >> users
    """
    if sys.stdin.isatty():
        secret: str = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    else:
        secret = sys.stdin.readline().rstrip("\r\n")
    try:
        click.echo(line_of(user, secret))
    except ValueError as error:
        fail(str(error))
