"""A coding that is asked for by name needs its library: `check` says so."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import pytest

from enfilade.config import ConfigError, load


def test_a_coding_whose_library_is_not_there_is_a_mistake_that_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = {"zstandard", "brotli"}
    monkeypatch.setattr(
        "enfilade.config.policy_checks.find_spec", lambda name: None if name in missing else find_spec(name)
    )
    path = tmp_path / "e.toml"
    path.write_text('[sites."*"]\ncompress = { codings = ["gzip", "br"] }\n"/" = { respond = 200 }\n')
    with pytest.raises(ConfigError) as raised:
        load(path)
    assert 'compress.codings[1]: "br" needs a library that is not there: pip install "enfilade[compress]"' in str(
        raised.value
    )
    path.write_text('[sites."*"]\ncompress = true\n"/" = { respond = 200 }\n')
    load(path)
