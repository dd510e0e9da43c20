"""Rules that cannot be looked at refuse the configuration: `check` says why, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from enfilade.config import ConfigError, load


@pytest.mark.parametrize(
    "said", ["[rules.a]\nwhen = [{ at = 'path', contains = 'x' }]\n[sites.'*']\n", "[sites.'*']\nrules = true\n"]
)
def test_without_the_library_they_are_a_mistake_that_says_what_to_install(
    said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enfilade.config.rule_checks.find_spec", lambda name: None)
    path = tmp_path / "e.toml"
    path.write_text(f"{said}'/' = {{ respond = 200 }}\n")
    with pytest.raises(ConfigError, match=r'needs a library that is not there: pip install "enfilade\[rules\]"'):
        load(path)


def test_where_there_are_no_rules_nobody_needs_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.config.rule_checks.find_spec", lambda name: None)
    path = tmp_path / "e.toml"
    path.write_text("[sites.'*']\nrules = false\n'/' = { respond = 200 }\n")
    load(path)
