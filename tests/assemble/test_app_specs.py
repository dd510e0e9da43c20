"""What the supervisor is told of applications in processes of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from tests.assemble.kit import config_of

from enfilade.assemble.app_specs import AUTO
from enfilade.assemble.plan import EdgePlan
from enfilade.process.app_rows import SLOTS
from enfilade.process.board import Board
from enfilade.process.plan import AppSpec

TEXT = """
[sites."*"]
"/a/*" = { app = "a" }
"/b/*" = { app = "b" }
[apps.a]
target = "shop.main:app"
inline = false
env = { MODE = "one" }
[apps.b]
target = "b:app"
inline = %s
env = { MODE = "two" }
"""


def plan(text: str) -> EdgePlan:
    return EdgePlan(config_of(text), Board(rows=8192, columns=2))


def spec(lines: str) -> AppSpec:
    return plan(f'[sites."*"]\n"/*" = {{ app = "a" }}\n[apps.a]\ntarget = "a:app"\ninline = false\n{lines}').apps[0]


def test_those_that_are_not_inline_are_the_supervisors() -> None:
    made = plan(TEXT % "true")
    assert [app.name for app in made.apps] == ["a"]
    assert made.crews[0].steps == ["the application b"]
    assert made.apps[0].start["target"] == "shop.main:app" and made.apps[0].env == {"MODE": "one"}


def test_each_has_an_environment_of_its_own() -> None:
    assert [app.env["MODE"] for app in plan(TEXT % "false").apps] == ["one", "two"]


def test_paths_do_not_depend_on_its_working_directory() -> None:
    made = spec("")
    assert made.start["path"] == os.getcwd() and made.cwd is None
    assert made.command[0] == sys.executable and Path(made.command[1]).parts[-2:] == ("appworker", "boot.py")


def test_as_many_workers_as_cores_but_not_as_many_copies_as_a_large_machine_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for cores, workers in ((1, 1), (AUTO, AUTO), (64, AUTO)):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, n=cores: set(range(n)))
        assert (spec("").minimum, spec("").maximum) == (workers, workers)


def test_a_reload_has_room_for_twice_as_many() -> None:
    assert spec("workers = 64").maximum * 2 <= SLOTS


def test_its_virtual_environment_is_the_first_place_for_programs(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    env = spec(f'venv = "{tmp_path}"\nenv = {{ A = "1" }}').env
    assert env["VIRTUAL_ENV"] == str(tmp_path) and env["A"] == "1"
    assert env["PATH"].split(os.pathsep)[0] == str(tmp_path / "bin")


def test_who_names_no_user_runs_as_the_edges_do() -> None:
    if os.geteuid() != 0:
        pytest.skip("only root has something to drop")
    text = f'[server]\nuser = "nobody"\n{TEXT % "false"}user = "daemon"\n'
    identities = [app.identity for app in plan(text).apps]
    assert [identity.uid == plan(text).identity.uid for identity in identities if identity] == [True, False]  # type: ignore[union-attr]


def test_a_user_that_there_is_not_refuses_the_start() -> None:
    with pytest.raises(LookupError, match="no-such-user"):
        spec('user = "no-such-user"')
