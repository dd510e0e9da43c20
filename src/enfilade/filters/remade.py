"""What filters make of the Fields of answers, which handlers mostly give as the same objects again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from enfilade.http.fields import Fields
from enfilade.http.memory import remember

By = TypeVar("By")

MEMORY = 1024
"""How many Fields are remembered with what became of them."""


class Remade(Generic[By]):
    """`make`, a function of Fields and of something `By` which it also goes, remembered."""

    __slots__ = ("_make", "memory")

    def __init__(self, make: Callable[[Fields, By], Fields]) -> None:
        self._make = make
        # By identity, as an equal Fields costs its length to find; the first of the two keeps its id from being used again.
        self.memory: dict[tuple[int, By], tuple[Fields, Fields]] = {}

    def __call__(self, fields: Fields, by: By) -> Fields:
        key = id(fields), by
        known = self.memory.get(key)
        if known is not None:
            return known[1]
        made = self._make(fields, by)
        remember(self.memory, key, (fields, made), MEMORY)
        return made
