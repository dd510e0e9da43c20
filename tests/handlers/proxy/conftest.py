from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tests.handlers.proxy.kit import Scene


@pytest.fixture
def scene() -> Iterator[Callable[..., Scene]]:
    """Makes scenes."""
    made: list[Scene] = []

    def make(**options: Any) -> Scene:
        made.append(Scene(**options))
        return made[-1]

    yield make
    for each in made:
        each.close()
