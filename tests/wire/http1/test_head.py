"""Request heads: RFC 9112 sections 2, 3 and 5, and the rows of FAILURES that they meet."""

from __future__ import annotations

import pytest
from tests.wire.http1.kit import GET, all_ways, answering, refusal, server

from enfilade.wire.events import RequestReceived
from enfilade.wire.http1 import head
from enfilade.wire.http1.limits import Http1Limits


def one(data: bytes) -> RequestReceived:
    all_ways(data)
    events = answering(server(), [data])
    assert isinstance(events[0], RequestReceived), events
    return events[0]


def line(request_line: bytes, *fields: bytes) -> bytes:
    return b"\r\n".join([request_line, *(fields or (b"Host: a",)), b"", b""])


def test_a_plain_request() -> None:
    event = one(b"GET /a%20b?q=1 HTTP/1.1\r\nHost: Example.com:8080\r\nX-A:  1 \t\r\nx_b:\r\n\r\n")
    request = event.request
    assert event.ended
    assert (request.method, request.scheme, request.version, request.protocol) == ("GET", "http", "1.1", None)
    assert (request.authority, request.host) == ("example.com:8080", "example.com")
    assert (request.path, request.raw_path, request.query) == ("/a b", b"/a%20b", b"q=1")
    assert request.fields.pairs == ((b"host", b"Example.com:8080"), (b"x-a", b"1"), (b"x_b", b""))


def test_failures_7_absolute_form_decides_the_host() -> None:
    request = one(line(b"GET HTTP://Real.example:81?q HTTP/1.1", b"X: 1", b"Host: other.example")).request
    assert (request.authority, request.host, request.path, request.query) == (
        "real.example:81",
        "real.example",
        "/",
        b"q",
    )
    assert request.fields.all(b"host") == [b"real.example:81"]


def test_failures_7_asterisk_only_for_options() -> None:
    request = one(line(b"OPTIONS * HTTP/1.1")).request
    assert (request.path, request.raw_path) == ("*", b"*")
    assert refusal(line(b"GET * HTTP/1.1")) == "bad_target"


@pytest.mark.parametrize("target", [b"a:443", b"/", b"*", b"http://a/"])
def test_failures_7_connect_is_refused(target: bytes) -> None:
    assert refusal(line(b"CONNECT " + target + b" HTTP/1.1")) == "connect_refused"


@pytest.mark.parametrize(
    "target",
    [
        b"a:443",
        b"a/b",
        b"?q",
        b"https://a/",
        b"ftp://a/",
        b"http:/a",
        b"/\xe9",
        b"/#x",
        b"/%00",
        b"/%zz",
        b"http://a/#",
    ],
)
def test_failures_7_targets_that_are_none(target: bytes) -> None:
    assert refusal(line(b"GET " + target + b" HTTP/1.1")) == "bad_target"


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET  / HTTP/1.1", b"GET / HTTP/1.1 ", b" GET / HTTP/1.1", b"GET /a b HTTP/1.1", b"GET /", b"GET / http/1.1",
        b"GET\t/ HTTP/1.1", b"G(T / HTTP/1.1", b"GET /\x00 HTTP/1.1", b"GET /\x7f HTTP/1.1", b"GET / HTTP/1.1\r",
        b"GET / HTTP/11", b"GET /\nHTTP/1.1", b"\x16\x03\x01",
    ],
)  # fmt: skip
def test_request_lines_that_are_none(request_line: bytes) -> None:
    assert refusal(line(request_line)) == "bad_request_line"


@pytest.mark.parametrize("version", [b"2.0", b"3.0", b"0.9"])
def test_versions_not_spoken(version: bytes) -> None:
    assert refusal(line(b"GET / HTTP/" + version)) == "bad_version"


@pytest.mark.parametrize("minor", b"23456789")
def test_a_later_minor_version_is_read_as_the_highest_known_one(minor: int) -> None:
    assert one(line(b"GET / HTTP/1.%c" % minor)).request.version == "1.1"


def test_two_blank_lines_before_a_request_are_forgiven_a_third_is_not() -> None:
    assert one(b"\r\n\r\n" + GET).request.path == "/"
    assert refusal(b"\r\n\r\n\r\n" + GET) == "bad_request_line"


@pytest.mark.parametrize(
    "fields",
    [
        (b"X: 1",), (b"Host: a", b"Host: a"), (b"Host: a, b",), (b"Host:",), (b"Host: a/b?x",), (b"Host: u@a",), (b"Host: a:b",),
        (b"Host: a b",), (b"Host: a\xe9",),
    ],
)  # fmt: skip
def test_failures_8_host_missing_repeated_or_none(fields: tuple[bytes, ...]) -> None:
    assert refusal(line(b"GET / HTTP/1.1", *fields)) == "bad_host"


def test_failures_8_host_is_checked_also_behind_an_absolute_form() -> None:
    assert refusal(line(b"GET http://a/ HTTP/1.1", b"X: 1")) == "bad_host"
    assert refusal(line(b"GET http://u@a/ HTTP/1.1")) == "bad_host"


def test_http10_needs_no_host() -> None:
    assert one(b"GET / HTTP/1.0\r\n\r\n").request.authority == ""


@pytest.mark.parametrize(
    "field",
    [
        b"X : 1", b" X: 1", b"X\t: 1", b"X", b": 1", b"X: 1\r\n folded", b"X: a\rb", b"X: a\x00b", b"X: \x7f", b"X: a\nY: b",
        b"X: 1\n", b"X: \x01", b"X\xe9: 1",
    ],
)  # fmt: skip
def test_failures_14_malformed_fields(field: bytes) -> None:
    assert refusal(line(b"GET / HTTP/1.1", b"Host: a", field)) == "bad_field"
    assert refusal(line(b"GET / HTTP/1.1", field, b"Host: a")) == "bad_field"


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\nHost: a\n\n", b"GET / HTTP/1.1\r\nHost: a\n\n", b"\n"])
def test_bare_line_feeds_are_refused_as_soon_as_they_come(data: bytes) -> None:
    events = answering(server(), [data])
    assert [type(e).__name__ for e in events] == ["Rejected"]
    all_ways(data)


SMALL = Http1Limits(request_line=40, head=200, fields=4)


def test_failures_12_long_targets_and_heads() -> None:
    assert refusal(line(b"GET /" + b"x" * 40 + b" HTTP/1.1"), SMALL) == "uri_too_long"
    assert refusal(b"G" * 50, SMALL) == "uri_too_long"
    assert refusal(line(b"GET / HTTP/1.1", b"Host: a", b"X: " + b"x" * 200), SMALL) == "head_too_large"
    assert refusal(b"GET / HTTP/1.1\r\nX: " + b"x" * 300, SMALL) == "head_too_large"
    assert refusal(line(b"GET / HTTP/1.1", b"Host: a", *[b"X: 1"] * 4), SMALL) == "too_many_fields"
    assert refusal(line(b"GET / HTTP/1.1", b"Host: a", *[b"X: 1"] * 4, b"Y\n"), SMALL) == "bad_field"


def test_a_head_just_within_its_limits_is_taken() -> None:
    longest = line(b"GET /" + b"x" * 26 + b" HTTP/1.1", b"Host: a", b"X: 1", b"X: 1", b"X: ")
    longest = longest[:-4] + b"x" * (200 - len(longest)) + b"\r\n\r\n"
    assert len(longest) == 200
    assert all_ways(longest, SMALL)[0][0] == "request"


def test_expectations_other_than_100_continue_are_refused() -> None:
    fields = (b"Host: a", b"Content-Length: 1", b"Expect: 200-maybe")
    assert refusal(line(b"POST / HTTP/1.1", *fields)) == "expectation_failed"


def test_secrets_and_long_lines_stay_out_of_the_shared_memory() -> None:
    answering(
        server(),
        [
            line(
                b"GET / HTTP/1.1",
                b"Host: a",
                b"Cookie: s=1",
                b"Authorization: b",
                b"X-Long: " + b"x" * 600,
                b"X-Known: 1",
            )
        ],
    )
    assert b"X-Known: 1" in head._lines
    names = {name for name, _ in head._lines.values()}
    assert not names & {b"cookie", b"authorization", b"x-long"}


def test_the_shared_memory_is_bounded() -> None:
    for i in range(head._LINES_ENTRIES // 50 + 5):
        head.parse_fields(b"".join(b"X-%d-%d: 1\r\n" % (i, j) for j in range(50)), 100)
    assert len(head._lines) <= head._LINES_ENTRIES


@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize(
    "fields",
    [
        b"Host: a\r\n",
        b"Host: A:8080\r\nConnection: close\r\n",
        b"Host: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n",
        b"Host: a\r\nTransfer-Encoding: chunked\r\nExpect: 100-continue\r\n",
        b"Host: a\r\nContent-Length: 7\r\n",
        b"",
        b"Host: a\r\nHost: a\r\n",
    ],
)
def test_what_the_fields_decide_is_the_same_from_memory(fields: bytes, version: str) -> None:
    def decided() -> object:
        read = head.read_block(b"X: 1\r\n" + fields, version, 100)
        return (
            [getattr(read.control, name) for name in head.Control.__slots__] if isinstance(read, head.Block) else read
        )

    head._controls.clear()
    first = decided()
    assert decided() == first


def test_the_memory_of_what_fields_decide_is_bounded() -> None:
    for i in range(head._LINES_ENTRIES + 5):
        head.read_block(b"Host: h%d\r\n" % i, "1.1", 100)
    assert 0 < len(head._controls) <= head._LINES_ENTRIES
    head._controls.clear()
    head.read_block(b"Host: a\r\nConnection: " + b"x" * head._LINE_BYTES + b"\r\n", "1.1", 100)
    head.read_block(b"Host: a\r\nContent-Length: 5\r\n", "1.1", 100)
    assert not head._controls, "neither long values nor lengths, which are many"
