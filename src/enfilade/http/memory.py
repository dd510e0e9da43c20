"""Memories of what was worked out once."""

from __future__ import annotations

from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")


def remember(memory: dict[K, V], key: K, value: V, most: int) -> None:
    """Enter `value` in a memory of at most `most` entries. It is emptied when full: strangers can fill it, not make it grow."""
    if len(memory) >= most:
        memory.clear()
    memory[key] = value
