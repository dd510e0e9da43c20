"""A memory that strangers can fill."""

from __future__ import annotations

from enfilade.http.memory import remember


def test_it_is_emptied_when_it_is_full() -> None:
    memory: dict[int, str] = {}
    for key in range(3):
        remember(memory, key, str(key), 3)
    assert memory == {0: "0", 1: "1", 2: "2"}
    remember(memory, 3, "3", 3)
    assert memory == {3: "3"}
