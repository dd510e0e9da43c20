"""The fixtures of the cache's tests, for modules that name this one in `pytest_plugins`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.e2e.origins import Origin, a_name


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Origin]:
    started = Origin(tmp_path_factory.mktemp("origin"))
    yield started
    started.stop()


@pytest.fixture
def name() -> str:
    return a_name()
