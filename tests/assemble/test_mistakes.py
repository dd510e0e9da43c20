"""Whatever is wrong with a configuration, every look at it ends with a list of problems."""

from __future__ import annotations

import copy
import random
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from enfilade.assemble.trial import try_out
from enfilade.config import ConfigError
from enfilade.config.load import _make

GOLDEN = Path(__file__).parent.parent / "golden" / "config"
WRONG = [0, -1, 1.5, True, "", "x", "a b", "{", "\0", [], [1], {}, {"x": {}}, {"": "/"}]


def mutate(document: dict[str, Any], rng: random.Random) -> None:
    """Remove, rename or replace one value somewhere in `document`."""
    table = document
    while True:
        key = rng.choice(list(table))
        if not isinstance(table[key], dict) or not table[key] or rng.random() < 0.2:
            break
        table = table[key]
    match rng.randrange(4):
        case 0:
            del table[key]
        case 1:
            table[key + "x"] = table.pop(key)
        case _:
            table[key] = rng.choice(WRONG)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("good_*.toml")), ids=lambda path: path.stem)
def test_no_mistake_ends_the_look(path: Path) -> None:
    rng = random.Random(path.stem)
    good = tomllib.loads(path.read_text())
    for _ in range(40):
        document = copy.deepcopy(good)
        for _ in range(rng.randint(1, 4)):
            if document:
                mutate(document, rng)
        with suppress(ConfigError):
            _make(document, None, "e.toml", GOLDEN, (try_out,))
