"""The nursery, one for all tests of the models."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.models.contract import Nursery, is_abreast


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "abreast: runs beside others of its module, in a thread; see contract.Abreast")


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not is_abreast(pyfuncitem):
        return None
    pyfuncitem.funcargs["nursery"].abreast.run(pyfuncitem)
    return True


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    nursery = Nursery(tmp_path_factory.mktemp("nursery"))
    yield nursery
    nursery.close()
