"""The nursery, one for all tests of the models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.models.contract import Nursery


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()
