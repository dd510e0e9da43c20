"""What is made of an answer is made once for as long as that answer is given again, and for each who makes something of it."""

from __future__ import annotations

from enfilade.exchange.bodies import Stream
from enfilade.exchange.response import Response
from enfilade.filters.remade import Remade
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason

GIVEN = Fields([(b"a", b"1")])


def naming(name: bytes, made: list[object]) -> Remade[int]:
    """Adds the field `name`, and notes that it did."""

    def add(fields: Fields, by: int) -> Fields:
        made.append(by)
        return fields.adding((name, b"%d" % by))

    return Remade(add)


def test_an_answer_that_is_given_again_becomes_the_same_answer() -> None:
    made: list[object] = []
    remade, answer = naming(b"b", made), Response(404, GIVEN, b"body", reason("no_route"))
    first = remade.of(answer, 1)
    assert remade.of(answer, 1) is first
    assert (first.status, first.body, first.reason) == (404, b"body", reason("no_route"))
    assert first.fields.pairs == ((b"a", b"1"), (b"b", b"1"))
    assert made == [1]


def test_it_goes_by_what_it_is_made_by_each_time() -> None:
    made: list[object] = []
    remade, answer = naming(b"b", made), Response(200, GIVEN)
    assert [remade.of(answer, by).fields.get(b"b") for by in (1, 2, 1, 1)] == [b"1", b"2", b"1", b"1"]
    assert made == [1, 2], "the Fields of both are remembered, whichever came last"


def test_two_that_make_something_of_one_answer_do_not_take_it_for_each_others() -> None:
    one, other, answer = naming(b"b", []), naming(b"c", []), Response(200, GIVEN)
    for _ in range(2):
        assert one.of(answer, 1).fields.get(b"c") is None
        assert other.of(answer, 1).fields.get(b"b") is None
        assert other.of(one.of(answer, 1), 1).fields.pairs == ((b"a", b"1"), (b"b", b"1"), (b"c", b"1"))


def test_answers_with_the_same_fields_keep_their_own_bodies() -> None:
    remade, flowing = naming(b"b", []), Stream()
    assert remade.of(Response(200, GIVEN, flowing), 1).body is flowing
    assert remade.of(Response(200, GIVEN, b"x"), 1).body == b"x"
