"""Request heads: RFC 9112 sections 2, 3 and 5, and the rows of FAILURES that they meet."""

from __future__ import annotations

import pytest
from tests.wire.http1.kit import GET, all_ways, answering, refusal, server

from enfilade.http.reasons import Reason
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


COOKIES = [b"a=1", b"", b" a=1\t", b"a=1; b=2", b"a=\xff", b"a\x00", b"a\nb", b"a\rb", b"x" * 600]


@pytest.mark.parametrize(
    "after", [b"", b"X: 2\r\n", b"Cookie: z=9\r\n", b"Authorization: b\r\n", b"Content-Length: 5\r\n"]
)
@pytest.mark.parametrize("before", [b"Host: a", b"Host: a\r\nX: 1", b"X: 1", b"Authorization: b\r\nHost: a"])
def test_another_cookie_behind_the_same_fields_is_read_as_if_all_were_new(before: bytes, after: bytes) -> None:
    def read(cookie: bytes) -> object:
        made = head.read_block(before + b"\r\nCookie: " + cookie + b"\r\n" + after, "1.1", 4)
        if not isinstance(made, head.Block):
            return made.name
        fields = made.fields
        return fields.pairs, dict.fromkeys(fields.names), fields.get(b"cookie"), made.control.framing, made.control.host

    head._shapes.clear()
    anew = []
    for cookie in COOKIES:
        anew.append(read(cookie))
        head._shapes.clear()
    read(b"first")
    assert [read(cookie) for cookie in COOKIES] == anew


def test_no_cookie_is_kept_for_other_connections_nor_any_fields_with_another_secret() -> None:
    head._shapes.clear()
    head.read_block(b"Host: a\r\nCookie: s=1\r\nX: 1\r\n", "1.1", 100)
    [(key, shape)] = head._shapes.items()
    assert key == ("1.1", b"Host: a", b"X: 1\r\n")
    assert shape.fields.pairs == ((b"host", b"a"), (b"cookie", b""), (b"x", b"1"))
    for secret in (
        b"Authorization: b\r\n",
        b"cookie: t=1\r\n",
        b"Proxy-Authorization: b\r\n",
        b"Content-Length: 5\r\n",
    ):
        head.read_block(b"Host: a\r\nCookie: s=1\r\n" + secret, "1.1", 100)
    head.read_block(b"Host: a\r\nCookie: s=1\r\nX: " + b"x" * head._SHAPE_BYTES + b"\r\n", "1.1", 100)
    assert len(head._shapes) == 1


def test_a_limit_of_fields_holds_for_fields_that_were_read_under_a_higher_one() -> None:
    raw = b"Host: a\r\nCookie: s=1\r\nX: 1\r\n"
    assert isinstance(head.read_block(raw, "1.1", 3), head.Block)
    refused = head.read_block(raw, "1.1", 2)
    assert isinstance(refused, Reason)
    assert refused.name == "too_many_fields"


def test_request_lines_are_remembered_without_what_their_query_says() -> None:
    head._request_lines.clear()
    for target in (b"/a?token=1", b"/" + b"x" * head._LINE_BYTES, b"http://h/a", b"/a"):
        line = b"GET " + target + b" HTTP/1.1"
        assert head.parse_request_line(line, "http") == head.parse_request_line(line, "http")
    assert list(head._request_lines) == [b"GET /a HTTP/1.1"]
