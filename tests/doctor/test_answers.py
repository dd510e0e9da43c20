"""Reading what came back: tolerant, but never of two minds about where an answer ends."""

from __future__ import annotations

import gzip

from enfilade.doctor.answers import Answer, Ending, Seen, read_answers

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
CHUNKS = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nTrailer: x\r\n\r\n"


def test_answers_follow_each_other() -> None:
    seen = read_answers(OK + CHUNKS + OK)
    assert [answer.body for answer in seen.answers] == [b"ok"] * 3
    assert all(answer.whole for answer in seen.answers) and seen.rest == b""


def test_what_is_cut_is_not_whole() -> None:
    for data in (OK[:-1], CHUNKS[:-2], CHUNKS[:-12]):
        assert not read_answers(data).answers[0].whole
    assert read_answers(OK[:20]) == Seen(rest=OK[:20])


def test_interim_answers_are_no_answers() -> None:
    seen = read_answers(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert (seen.interim, seen.status) == ((100,), 200)


def test_behind_a_switch_nothing_is_http() -> None:
    seen = read_answers(b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x88\x02\x03\xe9")
    assert (seen.interim, seen.rest) == ((101,), b"\x88\x02\x03\xe9")


def test_answers_without_a_body() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"
    assert [a.status for a in read_answers(head + OK, ("HEAD", "GET")).answers] == [200, 200]
    assert [a.status for a in read_answers(head.replace(b"200", b"304") + OK).answers] == [304, 200]


def test_a_body_until_the_end() -> None:
    data = b"HTTP/1.0 200 OK\r\n\r\nall of it"
    assert not read_answers(data).answers[0].whole
    assert read_answers(data, at_end=True).answers[0] == Answer(200, (), b"all of it")


def test_fields_and_gzip() -> None:
    answer = Answer(200, (("a", "1"), ("a", "2"), ("content-encoding", "gzip")), gzip.compress(b"text"))
    assert (answer.get("a"), answer.get("b"), answer.text) == ("1, 2", "", b"text")
    assert answer._replace(body=b"not gzip").text == b"not gzip"


def test_as_a_text() -> None:
    assert str(Seen()) == "no answer"
    assert str(Seen((Answer(200),) * 3, Ending.CLOSED, (100,))) == "100, 3 x 200, closed"
    assert str(Seen((Answer(200), Answer(400)), signals=("GOAWAY NO_ERROR",))) == "200, 400, GOAWAY NO_ERROR"
