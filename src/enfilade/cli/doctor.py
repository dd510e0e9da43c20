"""`doctor`: what a running server does with what strangers send, and what a configuration had better say."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

import click
from click.core import ParameterSource

from enfilade.assemble.trial import try_out
from enfilade.cli.common import fail
from enfilade.config import ConfigError, load
from enfilade.doctor import located
from enfilade.doctor.located import Located, advise_in
from enfilade.doctor.probe import Grade
from enfilade.doctor.probes import GROUPS
from enfilade.doctor.report import as_json, failed, lines
from enfilade.doctor.runner import AT_ONCE, examine, plan
from enfilade.doctor.target import Target, find

FOR_SERVERS = ("only", "seconds", "cacert", "insecure", "yes")
"""Options that mean nothing for a configuration."""


@click.command()
@click.argument("what", metavar="URL|CONFIG")
@click.option(
    "--only", multiple=True, type=click.Choice(list(GROUPS)), metavar="GROUP", help=f"Of {', '.join(GROUPS)}."
)
@click.option(
    "--seconds", default=60.0, show_default=True, type=click.FloatRange(min=1), help="The longest that it may take."
)
@click.option(
    "--cacert", type=click.Path(exists=True, dir_okay=False), help="Certificates that are trusted, in a file."
)
@click.option("--insecure", is_flag=True, help="A certificate that nobody trusts is no mistake.")
@click.option("--yes", is_flag=True, help="Also a server that is neither here nor on a private network: it is yours.")
@click.option("--json", "as_list", is_flag=True, help="What was found as a JSON list.")
@click.pass_context
def doctor(
    context: click.Context,
    what: str,
    only: tuple[str, ...],
    seconds: float,
    cacert: str | None,
    insecure: bool,
    yes: bool,
    as_list: bool,
) -> None:
    """Look for what is wrong: with a running server, by sending it what has brought servers down; or with a configuration, by
    reading it. Exit code 0, or 1 if something is bad. All options but --json are for servers.

    \b
    Examples:
      enfilade doctor http://localhost:8000/
      enfilade doctor https://staging.example.com/ --only tls --only browser --yes
      enfilade doctor enfilade.toml
    """
    if "://" not in what:
        given = [name for name in FOR_SERVERS if context.get_parameter_source(name) is not ParameterSource.DEFAULT]
        if given:
            raise click.UsageError(f"--{given[0]} is for servers, and {what} is no URL")
        read(what, as_list)
    try:
        target = find(what, seconds, cacert, insecure)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    except OSError as error:
        fail(f"{what}: {error.strerror or error}")
    if not target.near and not yes:
        raise click.UsageError(f"{target.host} is {target.address}, neither here nor private: say --yes if it is yours")
    visit(target, only, as_list)


def read(file: str, as_list: bool) -> NoReturn:
    """The configuration: everything that `check` says; and advice, if that is nothing."""
    try:
        found = advise_in(load(file, try_out), file)
    except ConfigError as error:
        found = [Located(Grade.BAD, problem, "") for problem in error.problems]
    if as_list:
        click.echo(json.dumps(located.as_json(found), indent=2))
    else:
        click.echo("\n".join(located.lines(found)) or f"{file}: nothing to say")
    raise SystemExit(any(one.grade is Grade.BAD for one in found))


def visit(target: Target, only: tuple[str, ...], as_list: bool) -> NoReturn:
    """The server: all probes, with progress."""
    click.echo(announcement(target, only), err=True)
    try:
        findings = examine(target, only, told=progress)
    except OSError as error:
        fail(f"{target.host}:{target.port}: {error.strerror or error}")
    if as_list:
        click.echo(json.dumps(as_json(findings), indent=2))
    else:
        click.echo("\n".join(lines(findings)))
    raise SystemExit(failed(findings))


def announcement(target: Target, only: tuple[str, ...]) -> str:
    probes = plan(only)
    slow = any(item.probe.slow for item in probes)
    held = f", and {sum(item.probe.slow for item in probes) * 4} at most that are slow on purpose" if slow else ""
    return (
        f"{len(probes)} probes for {target.scheme}://{target.host}:{target.port} ({target.address}): malformed, long and slow "
        f"requests, floods of a few megabytes; {AT_ONCE[target.near]} connections at a time{held}. Nothing is written or deleted."
    )


def progress(done: int, of: int, name: str) -> None:
    """On a terminal a line that is written over; elsewhere a line now and then."""
    if sys.stderr.isatty():
        click.echo(f"\r{done} of {of}  {name:24}" + ("\n" if done == of else ""), nl=False, err=True)
    elif done % 25 == 0 and done < of:
        click.echo(f"{done} of {of}", err=True)
