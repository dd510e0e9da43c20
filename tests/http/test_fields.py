"""Fields: what is derived from others says the same as if it had been made anew."""

from __future__ import annotations

import pytest

from enfilade.http.conditionals import is_conditional
from enfilade.http.fields import Fields, Pair
from enfilade.wire.http1.writer import field_lines
from enfilade.wire.http2.messages import encoded

BASE: list[Pair] = [(b"content-type", b"text/plain"), (b"content-length", b"5"), (b"x-a", b"1")]


@pytest.mark.parametrize("added", [[], [(b"x-a", b"2")], [(b"date", b"now"), (b"range", b"bytes=0-")]])
def test_adding_is_the_same_as_making_it_at_once(added: list[Pair]) -> None:
    derived, anew = Fields(BASE).adding((b"x-b", b"1")).adding(*added), Fields([*BASE, (b"x-b", b"1"), *added])
    assert derived == anew
    assert [derived.get(n) for n, _ in anew] == [anew.get(n) for n, _ in anew]
    assert is_conditional(derived) is is_conditional(anew)
    lines, expected = field_lines(derived), field_lines(anew)
    assert (lines.lines, lines.length, lines.has_date) == (expected.lines, expected.length, expected.has_date)
    assert encoded(derived).block == encoded(anew).block


def test_the_base_does_not_change() -> None:
    base = Fields(BASE)
    assert base.get(b"x-a") == b"1"
    assert base.adding((b"x-a", b"2")).get(b"x-a") == b"1, 2"
    assert base.get(b"x-a") == b"1"


@pytest.mark.parametrize("asked_before", [False, True])
def test_filling_in_a_value_is_the_same_as_making_them_with_it(asked_before: bool) -> None:
    shape = Fields([(b"host", b"a"), (b"cookie", b""), (b"x-a", b"1"), (b"x-a", b"2")])
    if asked_before:
        shape.get(b"host")
    filled, anew = (
        shape.filling(1, b"s=1"),
        Fields([(b"host", b"a"), (b"cookie", b"s=1"), (b"x-a", b"1"), (b"x-a", b"2")]),
    )
    assert filled == anew
    assert set(filled.names) == set(anew.names)
    assert [filled.get(name) for name in (b"cookie", b"x-a", b"none")] == [b"s=1", b"1, 2", None]
    assert filled.shape is shape
    assert shape.get(b"cookie") == b""
