"""Each `tests/golden/config/*.toml` beside what it means (`.json`, without defaults) or what is wrong with it (`.txt`)."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from enfilade.config import ConfigError, load

GOLDEN = Path(__file__).parent.parent / "golden" / "config"
FILES = sorted(GOLDEN.glob("*.toml"))


def result(path: Path) -> tuple[str, str]:
    """The suffix of the expected file, and its text; this directory is called HERE."""
    try:
        config = load(path)
    except ConfigError as error:
        return ".txt", f"{error}\n".replace(str(GOLDEN), "HERE")
    return ".json", json.dumps(msgspec.to_builtins(config), indent=2).replace(str(GOLDEN), "HERE") + "\n"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden(path: Path) -> None:
    suffix, text = result(path)
    assert text == path.with_suffix(suffix).read_text()


def test_names_say_what_is_expected() -> None:
    assert {path.stem.partition("_")[0] + path.suffix for path in GOLDEN.glob("*.json")} == {"good.json"}
    assert {path.stem.partition("_")[0] + path.suffix for path in GOLDEN.glob("*.txt")} == {"bad.txt"}
    assert len(FILES) == len([*GOLDEN.glob("*.json"), *GOLDEN.glob("*.txt")])
