"""Reading a configuration: TOML, or Python that makes the same objects. Either way everything is checked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from enfilade.config.acme_checks import certifiable
from enfilade.config.build import Builder
from enfilade.config.checks import check
from enfilade.config.errors import ConfigError, Problem
from enfilade.config.report import Report
from enfilade.config.schema import Config

if TYPE_CHECKING:
    from enfilade.config.locate import Places

DEFAULT_FILES = ("enfilade.toml", "enfilade_conf.py")
"""What is looked for in the working directory, in this order, where no file is named."""

_AT = re.compile(r"(.*) \(at (?:line (\d+), column (\d+)|end of document)\)", re.DOTALL)


Check = Callable[[Config, Report], None]
"""Reports what else is wrong with a configuration; values that its own rules refuse are replaced by defaults."""


def load(path: str | os.PathLike[str], *checks: Check) -> Config:
    """The configuration in the file at `path`. Raises ConfigError."""
    name = os.fspath(path)
    base = os.path.dirname(os.path.abspath(name))
    try:
        with open(name, encoding="utf-8", newline="") as file:
            text = file.read()
    except UnicodeDecodeError as error:
        raise ConfigError(
            [Problem(name, 0, 0, f"not UTF-8: byte {error.start} is {error.object[error.start]:#04x}")]
        ) from None
    except OSError as error:
        raise ConfigError([Problem(name, 0, 0, error.strerror or str(error))]) from None
    if name.endswith(".py"):
        return validate(_run(text, name), name, base, *checks)
    return loads(text, name, base, *checks)


def loads(text: str, name: str = "enfilade.toml", base: str | os.PathLike[str] = ".", *checks: Check) -> Config:
    """The configuration in the TOML `text`, whose paths are relative to `base`. Raises ConfigError, which calls it `name`."""
    # Reading TOML costs 5 ms, which `run` and `serve` need not pay.
    import tomllib  # noqa: PLC0415

    from enfilade.config.locate import Places  # noqa: PLC0415

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([_syntax_problem(str(error), text, name)]) from None
    return _make(document, Places(text), name, base, checks)


def validate(config: Config, name: str, base: str | os.PathLike[str] = ".", *checks: Check) -> Config:
    """`config`, made by a program, as if it had been read: texts become numbers, paths absolute. Raises ConfigError."""
    try:
        document: dict[str, Any] = msgspec.to_builtins(config, enc_hook=_encode)
    except TypeError as error:
        raise ConfigError([Problem(name, 0, 0, str(error))]) from None
    for site in document.get("sites", {}).values():
        site.update(site.pop("routes", {}))
    return _make(document, None, name, base, checks)


def _make(
    document: dict[str, object], places: Places | None, name: str, base: str | os.PathLike[str], checks: Sequence[Check]
) -> Config:
    report = Report(name, places)
    config = _with_addresses(_with_certificates(Builder(os.path.abspath(base), report).table(Config, document, ())))
    for look in (check, *checks):
        look(config, report)
    if report.problems:
        raise ConfigError(report.problems)
    return config


def _with_certificates(config: Config) -> Config:
    """Where [acme] stands, sites that an authority can sign for have certificates without being asked."""
    if config.acme is None:
        return config
    sites = {
        name: msgspec.structs.replace(site, tls="acme") if site.tls is None and certifiable(name, config.acme) else site
        for name, site in config.sites.items()
    }
    return msgspec.structs.replace(config, sites=sites)


def _with_addresses(config: Config) -> Config:
    """Where no address is named: those of the web, as far as they are of use. With certificates by ACME they are."""
    if any(site.tls == "acme" for site in config.sites.values()) and not config.server.https:
        server = msgspec.structs.replace(config.server, http=config.server.http or ":80", https=":443")
        return msgspec.structs.replace(config, server=server)
    if config.server.http or config.server.https or (config.streams and not config.sites):
        return config
    with_tls = any(site.over_tls for site in config.sites.values())
    server = msgspec.structs.replace(config.server, http=":80", https=":443" if with_tls else [])
    return msgspec.structs.replace(config, server=server)


def _syntax_problem(message: str, text: str, name: str) -> Problem:
    found = _AT.fullmatch(message)
    what = found[1] if found else message
    lines = text.replace("\r\n", "\n").split("\n")
    at = (int(found[2]), int(found[3])) if found and found[2] else (len(lines), len(lines[-1]) + 1)
    return Problem(name, *at, f"not TOML: {what[:1].lower()}{what[1:]}", "", lines[at[0] - 1])


def _run(text: str, name: str) -> Config:
    space: dict[str, object] = {"__name__": "enfilade_conf", "__file__": os.path.abspath(name)}
    try:
        exec(compile(text, name, "exec"), space)
    except Exception as error:
        line, trace = getattr(error, "lineno", None) or 0, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == name:
                line = trace.tb_lineno
            trace = trace.tb_next
        source = text.splitlines()[line - 1] if line else ""
        raise ConfigError([Problem(name, line, 1, f"{type(error).__name__}: {error}", "", source)]) from error
    config = space.get("config")
    if not isinstance(config, Config):
        raise ConfigError([Problem(name, 0, 0, "no global `config` that is an enfilade.config.Config")])
    return config


def _encode(value: object) -> object:
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{value!r} has no place in a configuration")
