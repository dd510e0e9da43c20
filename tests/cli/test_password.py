"""`enfilade password`: a line that the server can read."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner

from enfilade.cli.main import main
from enfilade.config.users import read_users


def test_a_line_for_the_file(tmp_path: Path) -> None:
    made = CliRunner().invoke(main, ["password", "ada"], input="pässword\n")
    assert made.exit_code == 0
    (tmp_path / "users").write_text(made.output)
    users = read_users(str(tmp_path / "users"))
    assert list(users) == ["ada"] and users["ada"].is_it("pässword".encode())


def test_what_cannot_be_a_line_is_refused() -> None:
    for user, password in (("a:b", "x\n"), ("ada", "\n"), ("ada", "")):
        refused = CliRunner().invoke(main, ["password", user], input=password)
        assert refused.exit_code == 1 and ("name" in refused.output or "password" in refused.output)
