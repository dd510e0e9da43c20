"""Header rules: what they do, what they refuse, and that they remember."""

from __future__ import annotations

import pytest
from tests.filters.kit import exchange

from enfilade.exchange.response import Response
from enfilade.filters.headers import Headers
from enfilade.filters.remade import MEMORY
from enfilade.http.field_rules import FieldRules
from enfilade.http.fields import Fields

GIVEN = Fields([(b"server", b"x"), (b"a", b"1"), (b"a", b"2"), (b"b", b"3")])


def test_remove_then_set_then_add() -> None:
    f = Headers(FieldRules(set={"A": "9", "Server": "back"}, add={"b": "4"}, remove=["Server"]))
    r = f.on_response(exchange(), Response(200, GIVEN, b"body"))
    assert r.fields.pairs == ((b"b", b"3"), (b"a", b"9"), (b"server", b"back"), (b"b", b"4"))
    assert (r.status, r.body) == (200, b"body")


def test_the_same_fields_give_the_same_fields() -> None:
    f = Headers(FieldRules(set={"a": "9"}))
    first = f.on_response(exchange(), Response(200, GIVEN)).fields
    assert f.on_response(exchange(), Response(404, GIVEN)).fields is first
    assert f.on_response(exchange(), Response(200, Fields(GIVEN.pairs))).fields is not first


def test_the_memory_is_bounded() -> None:
    f = Headers(FieldRules(set={"a": "9"}))
    for i in range(3 * MEMORY):
        r = f.on_response(exchange(), Response(200, Fields([(b"n", b"%d" % i)])))
        assert r.fields.get(b"n") == b"%d" % i
    assert len(f._remade.memory) <= MEMORY


def test_names_and_values_that_cannot_be_sent_are_refused() -> None:
    for rules in ({"set": {"a b": "1"}}, {"add": {"Content-Length": "1"}}, {"remove": ["te"]}, {"set": {"a": "\n"}}):
        with pytest.raises(ValueError, match=r"header field|connection"):
            Headers(FieldRules(**rules))  # type: ignore[arg-type]
