"""Header fields on their way through (RFC 9110 section 7.6)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.handlers.proxy.kit import OK, Scene

from enfilade.handlers.proxy.fields import outgoing_fields, returned_fields
from enfilade.http.ends import Ends
from enfilade.http.field_rules import FieldRules
from enfilade.http.fields import Fields, Pair
from enfilade.testing.exchange import make_request

Make = Callable[..., Scene]


def sent(*fields: Pair, client_ip: str = "192.0.2.1", version: str = "1.1", method: str = "GET") -> Fields:
    ends = Ends(("192.0.2.1", 5), ("192.0.2.2", 443), "https")
    ends.client_ip = client_ip
    return Fields(outgoing_fields(make_request(method, fields=fields, version=version), ends))


@pytest.mark.parametrize(
    "name",
    [
        b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade", b"http2-settings",
        b"proxy-authorization", b"host", b"te", b"x-real-ip", b"x_forwarded_for", b"x-forwarded-prefix",
    ],
)  # fmt: skip
def test_fields_that_end_here_f17(name: bytes) -> None:
    assert name not in sent((name, b"x"), (b"accept", b"*/*")) and b"accept" in sent((name, b"x"), (b"accept", b"*/*"))


def test_fields_that_connection_names_end_here_f17() -> None:
    found = sent((b"connection", b"close, X-Once"), (b"x-once", b"1"), (b"x-twice", b"2"))
    assert b"x-once" not in found and found.get(b"x-twice") == b"2"


def test_what_connection_names_is_stripped_before_ours_is_added_f17() -> None:
    """Otherwise clients could make us drop who they are."""
    found = sent((b"connection", b"x-forwarded-for, via, forwarded, x-forwarded-proto"))
    assert found.get(b"x-forwarded-for") == b"192.0.2.1" and found.get(b"via") == b"1.1 enfilade"
    assert found.get(b"x-forwarded-proto") == b"https"


def test_what_strangers_claim_is_thrown_away_f17() -> None:
    found = sent(
        (b"x-forwarded-for", b"10.0.0.1"), (b"x-forwarded-proto", b"gopher"), (b"x-forwarded-host", b"evil"),
        (b"x-forwarded-port", b"1"), (b"forwarded", b"for=10.0.0.1"), (b"x-real-ip", b"10.0.0.1"),
    )  # fmt: skip
    assert found.pairs == (
        (b"x-forwarded-for", b"192.0.2.1"), (b"x-forwarded-host", b"example.com"), (b"x-forwarded-proto", b"https"),
        (b"via", b"1.1 enfilade"),
    )  # fmt: skip


def test_what_trusted_proxies_say_is_extended_f17() -> None:
    found = sent(
        (b"x-forwarded-for", b"10.0.0.1, 203.0.113.7"), (b"forwarded", b"for=203.0.113.7"), client_ip="203.0.113.7"
    )  # fmt: skip
    assert found.get(b"x-forwarded-for") == b"10.0.0.1, 203.0.113.7, 192.0.2.1"
    assert found.get(b"forwarded") == b'for=203.0.113.7, for=192.0.2.1;host="example.com";proto=https'


def test_a_trusted_proxy_that_says_nothing_f17() -> None:
    """As with the PROXY protocol."""
    found = sent(client_ip="203.0.113.7")
    assert found.get(b"x-forwarded-for") == b"203.0.113.7, 192.0.2.1" and found.get(b"x-forwarded-proto") == b"https"
    assert b"forwarded" not in found


def test_a_client_on_a_unix_socket_has_no_address() -> None:
    ends = Ends(("", None), ("/run/s", None))
    assert b"x-forwarded-for" not in Fields(outgoing_fields(make_request(), ends))


@pytest.mark.parametrize(("version", "own"), [("1.0", b"1.0 enfilade"), ("1.1", b"1.1 enfilade"), ("2", b"2 enfilade")])
def test_via(version: str, own: bytes) -> None:
    assert sent(version=version).get(b"via") == own
    assert sent((b"via", b"1.1 a"), (b"via", b"2 b"), version=version).all(b"via") == [b"1.1 a, 2 b, " + own]


@pytest.mark.parametrize(
    ("te", "expected"),
    [(b"trailers", b"trailers"), (b" Trailers", b"trailers"), (b"gzip", None), (b"trailers, gzip", None)],
)
def test_te(te: bytes, expected: bytes | None) -> None:
    assert sent((b"te", te)).get(b"te") == expected


def test_trailer_and_expect_go_on() -> None:
    found = sent((b"trailer", b"x-sum"), (b"expect", b"100-continue"))
    assert found.get(b"trailer") == b"x-sum" and found.get(b"expect") == b"100-continue"


def test_a_cookie_in_crumbs_is_one_line() -> None:
    found = sent((b"cookie", b"a=1"), (b"accept", b"*/*"), (b"cookie", b"b=2"), version="2")
    assert found.all(b"cookie") == [b"a=1; b=2"]


@pytest.mark.parametrize(
    ("method", "value", "expected"),
    [("OPTIONS", b"5", b"4"), ("OPTIONS", b"1", b"0"), ("GET", b"5", b"5"), ("OPTIONS", b"x", b"x")],
)
def test_max_forwards(method: str, value: bytes, expected: bytes) -> None:
    assert sent((b"max-forwards", value), method=method).get(b"max-forwards") == expected


def test_options_that_go_no_further_are_answered_here(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"OPTIONS / HTTP/1.1\r\nhost: a\r\nmax-forwards: 0\r\n\r\n")
    assert client.got().startswith(b"HTTP/1.1 204 ") and not s.far
    client.says(b"OPTIONS / HTTP/1.1\r\nhost: a\r\nmax-forwards: 1\r\n\r\n")
    assert b"max-forwards: 0\r\n" in s.far[0].got()


def test_what_comes_back_f17() -> None:
    fields = Fields(
        [
            (b"connection", b"close, x-hop"), (b"x-hop", b"1"), (b"keep-alive", b"timeout=5"), (b"set-cookie", b"a"),
            (b"set-cookie", b"b"), (b"proxy-authenticate", b"Basic"), (b"www-authenticate", b"Basic"), (b"trailer", b"x"),
        ]
    )  # fmt: skip
    found = returned_fields(fields)
    assert [name for name, _ in found] == [b"set-cookie", b"set-cookie", b"www-authenticate", b"trailer"]
    assert returned_fields(fields) is found, "worked out once"


def test_rules_of_the_configuration_come_last(scene: Make) -> None:
    s = scene(rules=FieldRules({"x-forwarded-proto": "https", "authorization": "Bearer x"}, {"x-new": "1"}, ["cookie"]))
    s.client().says(b"GET / HTTP/1.1\r\nhost: a\r\ncookie: a=1\r\nauthorization: Basic y\r\n\r\n")
    head = s.far[0].got()
    assert b"cookie" not in head and b"authorization: Bearer x\r\n" in head and head.count(b"authorization") == 1
    assert b"x-forwarded-proto: https\r\n" in head and b"x-new: 1\r\n" in head


@pytest.mark.parametrize(
    ("host", "expected"), [(None, b"a.example:81"), ("", b"peer0"), ("fixed.example", b"fixed.example")]
)
def test_host(scene: Make, host: str | None, expected: bytes) -> None:
    s = scene(host=host)
    client = s.client()
    for _ in range(2):
        client.says(b"GET / HTTP/1.1\r\nhost: A.example:81\r\n\r\n")
        head = s.far[0].got()
        assert b"\r\nhost: " + expected + b"\r\n" in head and b"x-forwarded-host: a.example:81\r\n" in head
        assert head.count(b"\r\nhost:") == 1
        s.far[0].says(OK)


def test_the_host_of_each_peer_is_its_own(scene: Make) -> None:
    s = scene(host="", peers=2)
    client = s.client()
    for _ in range(4):
        client.says(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        for far in s.far:
            if far.got():
                far.says(OK)
    assert [b"host: peer%d\r\n" % n in s.far[n].transport.wrote for n in range(2)] == [True, True]
    assert all(far.transport.wrote.count(b"host: peer") == 2 for far in s.far)
