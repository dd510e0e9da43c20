"""Those who wait: by priority, each key in its turn, bounded."""

from __future__ import annotations

from enfilade.limits.line import LEVELS, PATIENCE, Line

HIGH, NORMAL, LOW = range(len(LEVELS))


def all_of(line: Line[str]) -> list[str | None]:
    return [line.next() for _ in range(len(line))]


def test_each_key_has_its_turn() -> None:
    line: Line[str] = Line(10)
    for one in ("a1", "a2", "a3", "b1", "c1", "b2"):
        assert line.enter(one, one[0], NORMAL) is None
    assert all_of(line) == ["a1", "b1", "c1", "a2", "b2", "a3"]
    assert line.next() is None


def test_who_has_left_is_not_served() -> None:
    line: Line[str] = Line(10)
    for one in ("a1", "a2", "b1"):
        line.enter(one, one[0], NORMAL)
    assert [line.leave(one) for one in ("a1", "b1", "b1")] == [True, True, False]
    assert len(line) == 1 and all_of(line) == ["a2"]


def test_priorities_go_first() -> None:
    line: Line[str] = Line(10)
    for one, level in (("low", LOW), ("normal", NORMAL), ("high", HIGH), ("high too", HIGH)):
        line.enter(one, "", level)
    assert all_of(line) == ["high", "high too", "normal", "low"]


def test_nobody_starves() -> None:
    line: Line[str] = Line(100)
    line.enter("low", "", LOW)
    line.enter("normal", "", NORMAL)
    served = []
    for i in range(2 * PATIENCE + 2):
        line.enter(f"high {i}", "", HIGH)
        served.append(line.next())
    assert served.index("low") == PATIENCE
    assert served.index("normal") == PATIENCE + 1


def test_where_it_is_full_the_last_of_the_lowest_goes() -> None:
    line: Line[str] = Line(3)
    for one, level in (("n1", NORMAL), ("l1", LOW), ("l2", LOW)):
        assert line.enter(one, "", level) is None
    assert line.enter("l3", "", LOW) == "l3"
    assert [line.enter(one, "", HIGH) for one in ("h1", "h2", "h3", "h4")] == ["l2", "l1", "n1", "h4"]
    assert all_of(line) == ["h1", "h2", "h3"]


def test_one_key_cannot_fill_it_for_the_others() -> None:
    line: Line[str] = Line(3)
    for one in ("a1", "a2", "a3"):
        line.enter(one, "a", NORMAL)
    assert [line.enter(one, one[0], NORMAL) for one in ("b1", "a4", "c1")] == ["a3", "a4", "a2"]
    assert all_of(line) == ["a1", "b1", "c1"]
