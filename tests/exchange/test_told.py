"""What clients do about the fields by which others are told of them."""

from __future__ import annotations

import pytest

from enfilade.exchange.told import Told
from enfilade.http.fields import Fields, Pair

TOLD = Told([b"x-user", b"x_role"])


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ([(b"x-user", b"root"), (b"x-other", b"1"), (b"x-user", b"eve")], [(b"x-other", b"1")]),
        ([(b"x_user", b"root"), (b"x_role", b"a"), (b"x_other", b"1")], [(b"x_other", b"1")]),
        ([(b"connection", b"close, X-User ,x-other")], [(b"connection", b"close, x-other")]),
        ([(b"connection", b"x-user")], [(b"connection", b"")]),
        ([(b"x-user", b"root"), (b"connection", b"x-user, close")], [(b"connection", b"close")]),
    ],
)
def test_failures_17_they_neither_say_them_nor_take_them_away(said: list[Pair], left: list[Pair]) -> None:
    assert TOLD.clear(Fields(said)).pairs == tuple(left)


def test_where_they_do_nothing_the_fields_stay_the_same() -> None:
    for fields in (Fields(), Fields([(b"connection", b"keep-alive"), (b"accept", b"*/*")])):
        assert TOLD.clear(fields) is fields
