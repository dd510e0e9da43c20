"""`doctor`: what a running server does with what strangers send."""

from __future__ import annotations

import json
import sys

import click

from enfilade.cli.common import fail
from enfilade.doctor.probes import GROUPS
from enfilade.doctor.report import as_json, failed, lines
from enfilade.doctor.runner import AT_ONCE, examine, plan
from enfilade.doctor.target import Target, find


@click.command()
@click.argument("url")
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
@click.option("--json", "as_list", is_flag=True, help="The findings as a JSON list.")
def doctor(
    url: str, only: tuple[str, ...], seconds: float, cacert: str | None, insecure: bool, yes: bool, as_list: bool
) -> None:
    """Send a running server what has brought servers down, and say what it did: good (exit code 0) or bad (1).

    \b
    Examples:
      enfilade doctor http://localhost:8000/
      enfilade doctor https://staging.example.com/ --only tls --only browser --yes
    """
    try:
        target = find(url, seconds, cacert, insecure)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    except OSError as error:
        fail(f"{url}: {error.strerror or error}")
    if not target.near and not yes:
        raise click.UsageError(f"{target.host} is {target.address}, neither here nor private: say --yes if it is yours")
    click.echo(announcement(target, only), err=True)
    try:
        findings = examine(target, only, told=progress)
    except OSError as error:
        fail(f"{url}: {error.strerror or error}")
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
