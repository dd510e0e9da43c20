"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import pytest
from hypothesis import settings

# Containers often have it. Without compiled files each of a thousand processes compiles what it imports, which takes as long as
# all tests; so do our children's processes, which inherit the environment.
if os.environ.pop("PYTHONDONTWRITEBYTECODE", ""):
    sys.dont_write_bytecode = False

# How long an example takes says how busy the machine is.
settings.register_profile("enfilade", deadline=None)
settings.load_profile("enfilade")

# Whatever is imported and collected stays: looking through it for garbage again and again takes a third of the collection's time.
gc.disable()

REAL = [Path(__file__).parent / name for name in ("cli", "e2e", "models", "process")]
"""Tests with real processes, sockets and clocks."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A machine that stalls for a second must not fail a change: such a test gets a second run, which the report shows (R).
    One that needs it again and again is wrong, and is to be mended.

    They come first: a file of them takes up to a minute, and at the end would leave the other processors without work."""
    real = {path for path in {item.path for item in items} if any(path.is_relative_to(folder) for folder in REAL)}
    items.sort(key=lambda item: item.path not in real)
    for item in items:
        if item.path in real:
            item.add_marker(pytest.mark.flaky(reruns=1))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()
