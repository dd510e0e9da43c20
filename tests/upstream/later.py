"""A `Later` whose time stands until it is moved."""

from __future__ import annotations

from collections.abc import Callable

from enfilade.upstream.later import Timer


class Later:
    def __init__(self) -> None:
        self.now = 0.0
        self._due: dict[Alarm, float] = {}

    def __call__(self, seconds: float, what: Callable[[], object]) -> Timer:
        alarm = Alarm(self._due, what)
        self._due[alarm] = self.now + seconds
        return alarm

    def due(self, seconds: float) -> int:
        """How many alarms are due within that time."""
        return len([at for at in self._due.values() if at <= self.now + seconds])

    def pass_(self, seconds: float) -> None:
        end = self.now + seconds
        while due := [alarm for alarm, at in self._due.items() if at <= end]:
            first = min(due, key=self._due.__getitem__)
            self.now = self._due.pop(first)
            first.what()
        self.now = end


class Alarm:
    def __init__(self, due: dict[Alarm, float], what: Callable[[], object]) -> None:
        self._due = due
        self.what = what

    def cancel(self) -> None:
        self._due.pop(self, None)
