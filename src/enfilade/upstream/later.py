"""What is done later, by whoever has a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], None]], Timer]
"""`later(seconds, what)`: call `what` then, unless it is cancelled."""
