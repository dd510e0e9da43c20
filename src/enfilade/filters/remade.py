"""What filters make of answers, which handlers mostly give as the same objects again, or with the same Fields."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.memory import remember

By = TypeVar("By")

MEMORY = 1024
"""How many Fields are remembered with what became of them."""


class Remade(Generic[By]):
    """Answers with the Fields that `make` gives: a function of theirs and of something `By` which it also goes. On each answer
    the last that was made of it is remembered."""

    __slots__ = ("_make", "memory")

    def __init__(self, make: Callable[[Fields, By], Fields]) -> None:
        self._make = make
        # By identity, as an equal Fields costs its length to find; the first of the two keeps its id from being used again.
        self.memory: dict[tuple[int, By], tuple[Fields, Fields]] = {}

    def of(self, r: Response, by: By) -> Response:
        """What is made of `r` by `by`."""
        last = r.remade
        if last is not None and last[0] is self and last[1] == by:
            again: Response = last[2]
            return again
        fields = r.fields
        key = id(fields), by
        known = self.memory.get(key)
        if known is None:
            known = fields, self._make(fields, by)
            remember(self.memory, key, known, MEMORY)
        made = r.with_fields(known[1])
        r.remade = self, by, made
        return made
