"""Request bodies: RFC 9112 sections 6 and 7, FAILURES 1 to 3 and 12."""

from __future__ import annotations

import pytest
from tests.wire.http1.kit import GET, Told, all_ways, answering, merged, refusal, server

from enfilade.wire.http1.limits import Http1Limits

POST = b"POST / HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


def behind_head(data: bytes, limits: Http1Limits | None = None) -> list[Told]:
    events = all_ways(data, limits)
    assert events[0][0] == "request" and events[0][-1] is False, events
    return events[1:]


def test_content_length() -> None:
    assert behind_head(POST + b"Content-Length: 5\r\n\r\nhello") == [("data", b"hello"), ("end", ())]
    assert all_ways(POST + b"Content-Length: 0\r\n\r\n")[0][-1] is True


@pytest.mark.parametrize(
    ("wire", "body"),
    [
        (b"0\r\n\r\n", b""),
        (b"5\r\nhello\r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\r\n00A\r\n, world! X\r\n000\r\n\r\n", b"hello, world! X"),
        (b'1;a;b=c;d="x;\\"y"\r\nh\r\n0;last\r\n\r\n', b"h"),
        (b"2\r\n\r\n\r\n0\r\n\r\n", b"\r\n"),
    ],
)
def test_chunked(wire: bytes, body: bytes) -> None:
    data = [("data", body)] if body else []
    assert behind_head(CHUNKED + wire) == [*data, ("end", ())]


def test_a_trailer_is_handed_out() -> None:
    assert behind_head(CHUNKED + b"0\r\nX-Sum: 1 \r\ny: 2\r\n\r\n") == [("end", ((b"x-sum", b"1"), (b"y", b"2")))]


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (b"Content-Length: 5\r\nTransfer-Encoding: chunked", "two_framings"),
        (b"Transfer-Encoding: chunked\r\nContent-Length: 5", "two_framings"),
        (b"Transfer-Encoding: gzip, chunked", "bad_transfer_encoding"),
        (b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", "bad_transfer_encoding"),
        (b"Transfer-Encoding: \x0bchunked", "bad_field"),
        (b"Transfer-Encoding : chunked", "bad_field"),
        (b"Content-Length: 5\r\nContent-Length: 5", "bad_content_length"),
        (b"Content-Length: 5, 5", "bad_content_length"),
        (b"Content-Length: -1", "bad_content_length"),
        (b"Content-Length: +1", "bad_content_length"),
        (b"Content-Length:", "bad_content_length"),
        (b"Content-Length: 99999999999999999999", "bad_content_length"),
    ],
)
def test_failures_1_framing(field: bytes, why: str) -> None:
    assert refusal(POST + field + b"\r\n\r\n") == why


def test_failures_1_no_transfer_encoding_in_http10() -> None:
    data = b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert refusal(data) == "bad_transfer_encoding"


@pytest.mark.parametrize(
    "wire",
    [
        b"5\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n", b" 5\r\nhello\r\n", b"5\t\r\nhello", b"5 ;a\r\nhello", b"5; a\r\nhello",
        b"5;\r\nhello", b"5;a\x00\r\nhello", b"5;a=\r\n", b'5;a="x\r\n', b"5;a\rb\r\n", b"-5\r\nhello", b"+5\r\n",
        b"0x5\r\nhello", b"5_0\r\n", b"\r\n", b"g\r\n", b"1" + b"0" * 15 + b"\r\n", b"5\r\nhelloX\r\n", b"5\r\nhello\n",
        b"5\r\nhello\rX", b"5\r\nhello0\r\n\r\n", b"\n",
    ],
)  # fmt: skip
def test_failures_2_chunk_grammar(wire: bytes) -> None:
    assert behind_head(CHUNKED + wire)[-1][:2] == ("rejected", "bad_chunk")


@pytest.mark.parametrize(
    "trailer",
    [
        b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: b", b"Authorization: x", b"X : 1", b" folded", b"X: a\nY: b",
        b"X\x00: 1", b"Trailer: x",
    ],
)  # fmt: skip
def test_failures_2_trailers_are_validated(trailer: bytes) -> None:
    assert behind_head(CHUNKED + b"0\r\n" + trailer + b"\r\n\r\n")[-1][:2] == ("rejected", "bad_trailer")


SMALL = Http1Limits(chunk_line=16, chunk_extensions=40, trailers=40, fields=3, body=20)


@pytest.mark.parametrize(
    ("wire", "why"),
    [
        (b"5;" + b"x" * 20 + b"\r\n", "bad_chunk"),
        (b"5" * 20, "bad_chunk"),
        (b"1;xxxxxxxx\r\na\r\n" * 5, "bad_chunk"),
        (b"0\r\nX: " + b"x" * 40 + b"\r\n\r\n", "bad_trailer"),
        (b"0\r\n" + b"X: 1\r\n" * 4 + b"\r\n", "bad_trailer"),
        (b"A\r\n0123456789\r\nB\r\n", "body_too_large"),
    ],
)
def test_failures_2_and_12_chunked_bodies_are_capped(wire: bytes, why: str) -> None:
    assert behind_head(CHUNKED + wire, SMALL)[-1][:2] == ("rejected", why)


def test_failures_12_a_body_of_just_the_limit_is_taken_and_one_more_is_not() -> None:
    assert behind_head(POST + b"Content-Length: 20\r\n\r\n" + b"x" * 20, SMALL)[-1] == ("end", ())
    assert behind_head(CHUNKED + b"14\r\n" + b"x" * 20 + b"\r\n0\r\n\r\n", SMALL)[-1] == ("end", ())
    assert refusal(POST + b"Content-Length: 21\r\n\r\n", SMALL) == "body_too_large"


def test_a_limit_of_0_is_none() -> None:
    limits = Http1Limits(body=0)
    assert all_ways(POST + b"Content-Length: 99999999999\r\n\r\n", limits)[0][0] == "request"
    assert behind_head(CHUNKED + b"5\r\nhello\r\n0\r\n\r\n", limits)[-1] == ("end", ())


@pytest.mark.parametrize(
    "head",
    [POST + b"Content-Length: 9\r\n\r\n", CHUNKED + b"9\r\n", CHUNKED + b"2\r\nhe\r\n0\r\n", CHUNKED + b"2\r\nhe\r\n0"],
)
def test_failures_2_a_body_cut_short_is_no_body(head: bytes) -> None:
    engine = server()
    events = answering(engine, [head + b"he" if head.endswith(b"9\r\n") else head, b""])
    assert merged(events)[-1] == ("closed", "body_cut")
    assert engine.closing


def test_one_feed_gives_one_piece() -> None:
    events = answering(server(), [CHUNKED + b"1\r\na\r\n" * 1000 + b"0\r\n\r\n"], answer=False)
    assert len(events) == 3


def test_what_stands_behind_a_body_is_the_next_request() -> None:
    for data in (POST + b"Content-Length: 2\r\n\r\nhi", CHUNKED + b"2\r\nhi\r\n0\r\n\r\n"):
        assert [e[0] for e in all_ways(data + GET)] == ["request", "data", "end", "request"]
