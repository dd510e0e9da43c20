from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.cli.kit import enfilade

from enfilade import __version__
from enfilade.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent.parent
HEAVY = {
    "asyncio",
    "ssl",
    "uvloop",
    "cryptography",
    "http.client",
    "enfilade.assemble",
    "enfilade.net",
    "rich",
    "jsonschema",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_shows_an_example_that_calls_it(name: str) -> None:
    result = enfilade(name, "--help")
    assert result.exit_code == 0
    assert f"Examples:\n    enfilade {name}" in result.stdout


def test_the_list_of_commands() -> None:
    result = enfilade("--help")
    assert all(f"  {name} " in result.stdout and text in result.stdout for name, (_, text) in COMMANDS.items())


def test_version() -> None:
    assert enfilade("version").stdout == f"enfilade {__version__}\n" == enfilade("--version").stdout


@pytest.mark.parametrize("args", [["nonsense"], ["run"], ["check", "--nonsense"], ["serve", ".", "--workers", "none"]])
def test_usage_errors_exit_with_2(args: list[str]) -> None:
    assert enfilade(*args).exit_code == 2


@pytest.mark.parametrize("args", [["--help"], ["version"], ["schema"]])
def test_commands_without_a_server_load_none(args: list[str]) -> None:
    """Start-up is paid at each call; `python -m enfilade` is the same command."""
    command = [sys.executable, "-X", "importtime", "-m", "enfilade", *args]
    env = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, capture_output=True, text=True, env=env, check=True, timeout=20)
    loaded = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "enfilade.cli.main" in loaded
    assert not loaded & HEAVY


def test_an_unknown_command_names_the_nearest() -> None:
    assert enfilade("chekc").stderr.endswith('there is no command "chekc"; did you mean "check"?\n')
    assert enfilade("xyzzy").stderr.endswith('there is no command "xyzzy"; enfilade --help lists them\n')
