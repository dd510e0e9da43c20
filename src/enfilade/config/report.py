"""Taking down what is wrong with a document, so that one look finds everything, and nothing twice."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from enfilade.config.errors import Path, Problem, dotted

if TYPE_CHECKING:
    from enfilade.config.locate import Place, Places


class Report:
    """What was found in the configuration called `name`; `places`: where its keys and values stand, if it is a text.

    A mistake does not end the look: in place of what cannot be used stands its default, and whoever looks on asks here before
    they complain about what may only follow from the mistake (`complete`, `sound`).
    """

    def __init__(self, name: str, places: Places | None = None) -> None:
        self.problems: list[Problem] = []
        self._name = name
        self._places = places
        self._paths: set[Path] = set()
        self._misread: set[Path] = set()

    def __call__(self, path: Path, at_key: bool, text: str, hint: str = "") -> None:
        """Take down a problem of the key at `path`, or of its value."""
        if path in self._misread:
            return
        self._paths.add(path)
        place = None if self._places is None else _place(self._places, path, at_key)
        if self._places is None or place is None:
            self.problems.append(Problem(self._name, 0, 0, text, hint))
        else:
            self.problems.append(
                Problem(self._name, place.line, place.column, text, hint, self._places.source(place.line))
            )

    def misread(self, path: Path) -> None:
        """What stands at `path` was not understood: what is wrong with that in its place is nobody's mistake."""
        self._misread.add(path)

    def complete(self, table: Path) -> bool:
        """Whether each key of `table` was understood: only then does what is not there say something."""
        return not any(path == table or path[:-1] == table for path in self._misread)

    def sound(self, path: Path) -> bool:
        """Whether nothing is wrong with what stands at `path`."""
        return not any(found[: len(path)] == path for found in self._paths)


def _place(places: Places, path: Path, at_key: bool) -> Place | None:
    short = (*path[:-2], path[-1]) if path[-2:-1] == ("set",) else path  # `headers = { name = "text" }`
    found = path if path in places else short
    return places.key(found) if at_key else places.value(found)


def check_text(parse: Callable[[str], object], text: str, path: Path, report: Report, *, at_key: bool = False) -> None:
    """Report what `parse` raises for `text`, the value at `path` (or its key)."""
    try:
        parse(text)
    except ValueError as error:
        report(path, at_key, f"{dotted(path)}: {error}", "")
