"""Fixed answers."""

from __future__ import annotations

import pytest

from enfilade.handlers.respond import Respond
from enfilade.testing.exchange import make_exchange


def test_every_answer_is_the_same_object() -> None:
    handler = Respond(203, "héllo")
    r = handler(make_exchange("GET"))
    assert (r.status, r.body, r.fields.get(b"content-type")) == (203, "héllo".encode(), b"text/plain; charset=utf-8")
    assert handler(make_exchange("HEAD")) is r


@pytest.mark.parametrize(("method", "status"), [("POST", 405), ("DELETE", 405), ("BREW", 501), ("OPTIONS", 204)])
def test_success_is_only_for_reading_rfc9110_15_3(method: str, status: int) -> None:
    r = Respond(200, "x")(make_exchange(method))
    assert r.status == status
    assert r.fields.get(b"allow") == (None if status == 501 else b"GET, HEAD, OPTIONS")


@pytest.mark.parametrize("handler", [Respond(403), Respond(410, "x"), Respond(503), Respond(201, "x", any_method=True)])
def test_any_other_answer_and_one_for_a_method_of_its_own_goes_to_all(handler: Respond) -> None:
    r = handler(make_exchange("GET"))
    assert all(handler(make_exchange(m)) is r for m in ("HEAD", "POST", "DELETE", "OPTIONS", "BREW"))


def test_no_body_no_type() -> None:
    assert len(Respond(204)(make_exchange()).fields) == 0


@pytest.mark.parametrize(
    ("status", "body", "type"), [(100, "", "a/b"), (600, "", "a/b"), (204, "x", "a/b"), (200, "x", "a\r\nb")]
)
def test_what_cannot_be_sent_is_refused_at_load(status: int, body: str, type: str) -> None:
    with pytest.raises(ValueError):
        Respond(status, body, type)
