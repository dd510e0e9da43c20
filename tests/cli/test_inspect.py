from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.cli.kit import enfilade

from enfilade.config.jsonschema import json_schema

GOOD = """\
[server]
http = ":80"
[sites."*"]
"/a" = { respond = "x" }
"/b" = { redirect = { to = "/a" } }
"/c/*" = { files = "." }
"""
BAD = '[sites."*"]\n"/*" = { file = "." }\n'


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_check_says_what_is_served() -> None:
    Path("enfilade.toml").write_text(GOOD)
    result = enfilade("check")
    assert result.exit_code == 0, result.output
    assert result.stdout == (
        "enfilade.toml: ok\n  http :80\n  site *\n    /a  respond 200\n    /b  redirect to /a\n"
        f"    /c/*  files {Path.cwd()}\n"
    )


def test_check_says_whom_routes_hand_on_to() -> None:
    Path("enfilade.toml").write_text(
        """
[sites."*"]
"/a" = { proxy = "http://127.0.0.1:8001" }
"/b" = { proxy = ["http://127.0.0.1:8001", "http://127.0.0.1:8002"] }
"/c" = { proxy = { split = [{ to = "old", weight = 9 }, { to = "new", weight = 1 }] } }
[upstreams]
old = { peers = ["http://127.0.0.1:8001"] }
new = { peers = ["http://127.0.0.1:8002"] }
"""
    )
    assert enfilade("check").stdout.splitlines()[-3:] == [
        "    /a  proxy to http://127.0.0.1:8001",
        "    /b  proxy to http://127.0.0.1:8001, http://127.0.0.1:8002",
        "    /c  proxy to old or to new",
    ]


def test_check_says_what_is_wrong_on_stderr() -> None:
    Path("other.toml").write_text(BAD)
    result = enfilade("check", "-c", "other.toml")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        'other.toml:2:10: unknown key "file" in sites."*"."/*"; did you mean "files"?\n'
        '    "/*" = { file = "." }\n             ^\n'
    )


def test_check_as_json() -> None:
    Path("bad.toml").write_text(BAD)
    Path("good.toml").write_text(GOOD)
    bad = enfilade("check", "-c", "bad.toml", "--json")
    [problem] = json.loads(bad.stdout)
    assert (bad.exit_code, problem["line"], problem["column"], problem["hint"]) == (1, 2, 10, 'did you mean "files"?')
    assert enfilade("check", "-c", "good.toml", "--json").stdout == "[]\n"


def test_python_is_found_where_there_is_no_toml() -> None:
    Path("enfilade_conf.py").write_text("from enfilade.config import *\nconfig = Config()\n")
    result = enfilade("check")
    assert (result.exit_code, result.stderr.splitlines()[0][:17]) == (1, "enfilade_conf.py:")


def test_no_configuration() -> None:
    result = enfilade("check")
    assert (result.exit_code, result.stderr) == (
        1,
        "there is no enfilade.toml or enfilade_conf.py here; name a file with -c\n",
    )


def test_schema() -> None:
    assert json.loads(enfilade("schema").stdout) == json.loads(json.dumps(json_schema()))
