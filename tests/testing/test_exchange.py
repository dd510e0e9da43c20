"""The kit's own exchanges are what the rooms expect."""

from __future__ import annotations

from enfilade.testing.exchange import FakeCarrier, make_exchange


def test_a_target_is_split_and_decoded() -> None:
    request = make_exchange("GET", "/a%20b/c?x=%20", authority="[::1]:8080").request
    assert (request.path, request.raw_path, request.query) == ("/a b/c", b"/a%20b/c", b"x=%20")
    assert (request.authority, request.host) == ("[::1]:8080", "::1")


def test_the_body_is_there_and_ends() -> None:
    body = make_exchange("POST", "/", body=b"abc").body
    assert (body.take(), body.take()) == (b"abc", b"")
    assert make_exchange().body.take() == b""


def test_the_carrier_owns_the_clock_and_remembers_interim_answers() -> None:
    carrier = FakeCarrier(time=5.0)
    x = make_exchange(carrier=carrier)
    x.inform(103, x.request.fields)
    assert (x.started, carrier.informed) == (5.0, [(1, 103, x.request.fields)])
