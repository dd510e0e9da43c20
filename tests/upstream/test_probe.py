"""Active checks: what is sent, and which answers are good."""

from __future__ import annotations

import pytest

from enfilade.http.uri import UriError
from enfilade.upstream.probe import READ_AT_MOST, Check


def test_the_request_asks_the_peer_for_the_path() -> None:
    request = Check(path="/up%20now?deep=1").request_for("10.0.0.1:8080", "https")
    assert (request.method, request.scheme, request.version) == ("GET", "https", "1.1")
    assert (request.authority, request.host) == ("10.0.0.1:8080", "10.0.0.1")
    assert (request.path, request.raw_path, request.query) == ("/up now", b"/up%20now", b"deep=1")
    assert request.fields.get(b"user-agent") == b"enfilade (health check)"
    assert b"host" not in request.fields, "engines write it, from the authority"


def test_a_host_of_its_own_stands_in_place_of_the_peers() -> None:
    request = Check(host="shop.example.com:444").request_for("10.0.0.1:8080")
    assert (request.authority, request.host) == ("shop.example.com:444", "shop.example.com")


def test_a_configured_field_replaces_ours() -> None:
    request = Check(fields=((b"user-agent", b"me"), (b"x-token", b"1"))).request_for("[::1]:80")
    assert request.fields.all(b"user-agent") == [b"me"]
    assert request.fields.get(b"x-token") == b"1"


@pytest.mark.parametrize(
    ("check", "authority"),
    [(Check(path="up"), "a"), (Check(path="/a\r\nb: c"), "a"), (Check(host="a b"), "a"), (Check(), "a/b")],
)
def test_what_is_malformed_is_refused(check: Check, authority: str) -> None:
    with pytest.raises(UriError):
        check.request_for(authority)


@pytest.mark.parametrize(
    ("check", "status", "body", "good"),
    [
        (Check(), 200, b"", True),
        (Check(), 204, b"", True),
        (Check(), 302, b"", True),
        (Check(), 199, b"", False),
        (Check(), 404, b"", False),
        (Check(), 503, b"", False),
        (Check(statuses={200, 401}), 401, b"", True),
        (Check(statuses={200, 401}), 204, b"", False),
        (Check(contains=b"ready"), 200, b'{"state": "ready"}', True),
        (Check(contains=b"ready"), 200, b'{"state": "loading"}', False),
        (Check(contains=b"ready"), 500, b"ready", False),
        (Check(contains=b"ready"), 200, b" " * (READ_AT_MOST - 5) + b"ready", True),
        (Check(contains=b"ready"), 200, b" " * READ_AT_MOST + b"ready", False),
    ],
)
def test_which_answers_are_good(check: Check, status: int, body: bytes, good: bool) -> None:
    assert check.judge(status, body) is good


def test_checks_spread_by_a_tenth_around_the_interval() -> None:
    check = Check(interval=10.0)
    assert [check.next_due(100.0, jitter) for jitter in (0.0, 0.5, 1.0)] == [109.0, 110.0, 111.0]
