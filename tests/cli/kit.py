"""Calling `enfilade` in the test's own process."""

from __future__ import annotations

from click.testing import CliRunner, Result

from enfilade.cli.main import main


def enfilade(*args: str) -> Result:
    """What `enfilade ARGS` does; an exception that it does not handle is raised here."""
    result = CliRunner().invoke(main, list(args))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
