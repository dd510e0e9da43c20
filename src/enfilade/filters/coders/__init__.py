"""The content codings, a module for each: loaded where one is used, as their libraries are an extra and take 25 ms."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from enfilade.filters.coders.coder import Coder
from enfilade.http.codings import CODINGS


def available() -> tuple[str, ...]:
    """The codings whose libraries are there, best first."""
    return tuple(coding for coding, module in CODINGS.items() if module is None or find_spec(module))


def load(coding: str) -> Coder:
    """Raises ImportError where its library is not there."""
    coder: Coder = import_module(f"{__name__}.{coding}").CODER
    return coder
