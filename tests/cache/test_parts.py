"""Parts: stored, used for ranges within, put together, completed (RFC 9111 sections 3.3 and 3.4)."""

from __future__ import annotations

import pytest
from tests.cache.kit import Stand, status_of

from enfilade.exchange.bodies import Stream
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.ranges import content_range, parse_range
from enfilade.http.reasons import reason

BODY = bytes(range(65, 91))


def origin(etag: bytes = b'"a"', body: bytes = BODY) -> object:
    """Answers ranges, as files do."""

    def answer(x: Exchange) -> Response:
        fields = [(b"etag", etag), (b"cache-control", b"max-age=60")]
        asked = x.request.fields
        wanted, condition = asked.get(b"range"), asked.get(b"if-range")
        spans = None if wanted is None or condition not in (None, etag) else parse_range(wanted, len(body))
        if not spans:
            return Response(200, Fields(fields), body)
        start, stop = spans[0]
        return Response(
            206, Fields([*fields, (b"content-range", content_range((start, stop), len(body)))]), body[start:stop]
        )

    return answer


def stand(**options: bytes) -> Stand:
    return Stand(origin(**options))  # type: ignore[arg-type]


def ask(case: Stand, text: bytes) -> Response:
    return case.get("/", (b"range", b"bytes=" + text))


def test_a_part_from_the_middle_is_asked_for_and_stored() -> None:
    case = stand()
    first = ask(case, b"5-9")
    assert (first.status, first.body) == (206, b"FGHIJ") and b"uri-miss; stored" in status_of(first)
    assert case.asked[0].request.fields.get(b"range") == b"bytes=5-9"
    for text, body in ((b"5-9", b"FGHIJ"), (b"6-7", b"GH")):
        again = ask(case, text)
        assert (again.status, again.body) == (206, body) and b"hit" in status_of(again)
        assert again.fields.get(b"age") == b"0"
    assert ask(case, b"6-7").fields.get(b"content-range") == b"bytes 6-7/26"
    assert len(case.asked) == 1


def test_what_begins_at_the_beginning_is_fetched_whole() -> None:
    case = stand()
    assert ask(case, b"0-3").body == b"ABCD"
    assert b"range" not in case.asked[0].request.fields
    assert ask(case, b"20-").body == b"UVWXYZ" and len(case.asked) == 1


def test_a_suffix_of_what_is_stored() -> None:
    case = stand()
    assert ask(case, b"-5").body == b"VWXYZ"
    assert ask(case, b"-2").body == b"YZ" and ask(case, b"24-").body == b"YZ"
    assert len(case.asked) == 1


def test_parts_that_touch_become_one() -> None:
    case = stand()
    ask(case, b"5-9")
    ask(case, b"10-19")
    assert ask(case, b"7-15").body == b"HIJKLMNOP" and len(case.asked) == 2
    assert ask(case, b"22-23").body == b"WX" and len(case.asked) == 3
    assert ask(case, b"7-15").body == b"HIJKLMNOP"


def test_what_is_missing_is_asked_for_on_condition_that_it_belongs_to_it() -> None:
    case = stand()
    ask(case, b"5-")
    whole = case.get()
    assert (whole.status, whole.body) == (200, BODY)
    asked = case.asked[1].request.fields
    assert (asked.get(b"range"), asked.get(b"if-range")) == (b"bytes=0-4", b'"a"')
    assert b"content-range" not in whole.fields and b"fwd=partial" in status_of(whole)
    assert b"hit" in status_of(case.get()) and len(case.asked) == 2


def test_what_changed_meanwhile_is_taken_whole() -> None:
    case = stand()
    ask(case, b"5-")
    case.answers = [origin(etag=b'"b"', body=b"new")]  # type: ignore[list-item]
    assert case.get().body == b"new"
    assert b"hit" in status_of(case.get()) and case.get().body == b"new"


def test_an_origin_that_refuses_the_rest_is_asked_for_all_of_it() -> None:
    case = stand()
    ask(case, b"5-")
    case.answers = [Response(416), origin()]  # type: ignore[list-item]
    assert case.get().body == BODY and len(case.asked) == 3


def test_a_stale_part_is_not_used() -> None:
    case = stand()
    ask(case, b"5-9")
    case.pass_by(61)
    assert b"hit" not in status_of(ask(case, b"5-9")) and len(case.asked) == 2


def test_a_part_without_a_strong_validator_is_not_completed() -> None:
    case = stand(etag=b'W/"a"')
    ask(case, b"5-")
    assert case.get().body == BODY
    assert b"range" not in case.asked[1].request.fields


def test_all_of_it_where_a_part_was_asked_for_is_stored_too() -> None:
    case = Stand(Response(200, Fields([(b"cache-control", b"max-age=60")]), BODY))
    assert ask(case, b"5-9").status == 200
    assert ask(case, b"5-9").body == b"FGHIJ" and len(case.asked) == 1


# -- parts that flow


def flowing(stream: Stream, part: bytes = b"5-9", *more: tuple[bytes, bytes]) -> Response:
    said = (b"cache-control", b"max-age=60"), (b"etag", b'"a"'), (b"content-range", b"bytes " + part + b"/26")
    return Response(206, Fields([*said, *more]), stream)


def test_a_part_that_flows_goes_on_at_once_and_is_stored_when_it_is_there() -> None:
    body = Stream()
    case = Stand(flowing(body))
    first = ask(case, b"5-9")
    assert isinstance(first.body, Stream) and b"uri-miss; stored" in status_of(first)
    body.write(b"FG")
    assert first.body.take() == b"FG" and not case.memory.answers
    body.write(b"HIJ")
    body.end()
    assert first.body.take() == b"HIJ" and first.body.take() == b""
    again = ask(case, b"6-8")
    assert again.body == b"GHI" and b"hit" in status_of(again)


def test_the_rest_may_flow() -> None:
    case, body = stand(), Stream()
    ask(case, b"5-")
    case.answers = [flowing(body, b"0-4")]
    waiting = case.send()
    body.write(BODY[:3])
    body.write(BODY[3:5])
    body.end()
    whole = getattr(waiting, "response", None)
    assert isinstance(whole, Response) and (whole.status, whole.body) == (200, BODY)
    assert b"hit" in status_of(case.get()) and len(case.asked) == 2


def test_a_rest_that_is_cut_is_asked_for_with_all_that_is_before_it() -> None:
    case, body = stand(), Stream()
    ask(case, b"5-")
    case.answers = [flowing(body, b"0-4"), origin()]  # type: ignore[list-item]
    waiting = case.send()
    body.write(BODY[:3])
    body.fail(reason("upstream_gone"))
    whole = getattr(waiting, "response", None)
    assert isinstance(whole, Response) and whole.body == BODY
    assert b"range" not in case.asked[2].request.fields


@pytest.mark.parametrize(("sent", "cut"), [(b"FGH", False), (b"FGHIJKL", False), (b"FGHIJ", True)])
def test_a_part_that_comes_otherwise_than_it_says_is_not_stored(sent: bytes, cut: bool) -> None:
    body = Stream()
    case = Stand(flowing(body))
    first = ask(case, b"5-9")
    body.write(sent)
    body.fail(reason("upstream_gone")) if cut else body.end()
    assert isinstance(first.body, Stream) and first.body.take() == sent
    assert b"hit" not in status_of(ask(case, b"5-9"))


@pytest.mark.parametrize("why", [(b"cache-control", b"no-store"), (b"set-cookie", b"a=b"), (b"vary", b"*")])
def test_a_part_that_flows_and_must_not_be_stored_is_passed_on(why: tuple[bytes, bytes]) -> None:
    body = Stream()
    case = Stand(flowing(body, b"5-9", why))
    assert ask(case, b"5-9").body is body


def test_a_part_that_is_larger_than_what_is_stored_is_passed_on() -> None:
    body = Stream()
    assert ask(Stand(flowing(body), largest=4), b"5-9").body is body


def test_what_would_be_too_large_is_not_completed() -> None:
    case = Stand(origin(), largest=25)  # type: ignore[arg-type]
    ask(case, b"5-")
    assert case.get().body == BODY
    assert b"range" not in case.asked[1].request.fields
