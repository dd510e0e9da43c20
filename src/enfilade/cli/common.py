"""What several commands share: the option that names the configuration, durations and sizes, and how a command fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

import click

from enfilade.config import Config, ConfigError, load
from enfilade.config.load import DEFAULT_FILES, Check
from enfilade.config.units import duration, size

C = TypeVar("C", bound=Callable[..., object])


class Unit(click.ParamType[Any]):
    """An option whose text `parse` makes a value of, or says in a ValueError what is wrong with it."""

    def __init__(self, name: str, parse: Any) -> None:
        self.name = name
        self._parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            return self._parse(value) if isinstance(value, str) else value
        except ValueError as error:
            self.fail(str(error), param, ctx)


def _or_number(parse: Callable[[str], float], unit: str) -> Callable[[str], float]:
    return lambda text: parse(text + unit if text.isdecimal() else text)


DURATION = Unit("duration", _or_number(duration, "s"))
SIZE = Unit("size", _or_number(size, "B"))
"""As in a configuration: with their units, or a number of seconds or bytes."""


def config_option(function: C) -> C:
    return click.option(
        "-c",
        "--config",
        "file",
        metavar="FILE",
        help=f"The configuration.  [default: {' or '.join(DEFAULT_FILES)}, here]",
    )(function)


def config_file(file: str | None) -> str:
    """`file`, or the one that stands in the working directory; ends the command where there is none."""
    found = file or next(filter(os.path.exists, DEFAULT_FILES), None)
    if found is None:
        fail(f"there is no {' or '.join(DEFAULT_FILES)} here; name a file with -c")
    return found


def load_or_fail(file: str, *checks: Check) -> Config:
    """The configuration; ends the command with everything that is wrong with it."""
    try:
        return load(file, *checks)
    except ConfigError as error:
        fail(str(error))


def fail(text: str) -> NoReturn:
    """End the command with exit code 1 (2 is for its usage)."""
    click.echo(text, err=True)
    raise SystemExit(1)
