"""`enfilade bench`: what it is asked, before anything is measured."""

from __future__ import annotations

import importlib.util
import sys

import pytest
from click.testing import CliRunner

from enfilade.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "epol"], "there is no model 'epol'; there are single, thread,"),
        (["--clients", "1,x"], 'write "1,10,100"'),
        (["--clients", "0"], 'write "1,10,100"'),
        (["--work", "io"], 'write "none", "io:5ms" (wait) or "cpu:1ms" (compute)'),
        (["--work", "sleep:5ms"], 'write "none", "io:5ms" (wait) or "cpu:1ms" (compute)'),
        (["--work", "cpu:5"], 'write "none", "io:5ms" (wait) or "cpu:1ms" (compute)'),
        (["--work", "io:0s"], 'write "none", "io:5ms" (wait) or "cpu:1ms" (compute)'),
        (["--models", "epoll,asyncio_streams", "--transport", "udp"], 'the model "asyncio_streams" cannot serve UDP'),
        (["--transport", "sctp"], "'tcp', 'unix', 'udp'"),
        (["--seconds", "0"], "0.05"),
        (["--svg", "models.png"], '"models.png" does not end in .svg'),
        (["--png", "/does/not/exist/models.png"], "/does/not/exist/models.png: No such file or directory"),
    ],
)
def test_what_cannot_be_measured_is_said_at_once(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["bench", "models", *arguments])
    assert result.exit_code == 2
    assert said in result.output


def test_charts_without_matplotlib_say_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.cli.bench.find_spec", lambda name: None if name == "matplotlib" else importlib.util)
    result = CliRunner().invoke(main, ["bench", "models", "--svg", "x.svg"])
    assert result.exit_code == 1
    assert 'pip install "enfilade[charts]"' in result.output


def test_more_clients_than_descriptors() -> None:
    result = CliRunner().invoke(main, ["bench", "models", "--clients", "100000000"])
    assert result.exit_code == 1
    assert "100000000 clients need 100000100 descriptors" in result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--routes", "wait/defs"], "there is no route 'wait/defs'; there are wait/def, wait/await,"),
        (["--workers", "1,0"], 'write "1,2"'),
        (["--workers", "two"], 'write "1,2"'),
        (["--clients", "0"], "x>=1"),
        (["--seconds", "0"], "0.05"),
        (["--svg", "app.png"], '"app.png" does not end in .svg'),
    ],
)
def test_what_of_an_application_cannot_be_measured(arguments: list[str], said: str) -> None:
    result = CliRunner().invoke(main, ["bench", "app", *arguments])
    assert result.exit_code == 2
    assert said in result.output


def test_an_application_needs_fastapi(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    result = CliRunner().invoke(main, ["bench", "app"])
    assert result.exit_code == 1
    assert "FastAPI" in result.output and 'pip install "enfilade[demo]"' in result.output
