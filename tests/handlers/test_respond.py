"""Fixed answers."""

from __future__ import annotations

import pytest

from enfilade.handlers.respond import Respond
from enfilade.testing.exchange import make_exchange


def test_every_method_gets_the_same_object() -> None:
    handler = Respond(201, "héllo")
    r = handler(make_exchange("GET"))
    assert (r.status, r.body, r.fields.get(b"content-type")) == (201, "héllo".encode(), b"text/plain; charset=utf-8")
    assert all(handler(make_exchange(m)) is r for m in ("HEAD", "POST", "BREW"))


def test_no_body_no_type() -> None:
    assert len(Respond(204)(make_exchange()).fields) == 0


@pytest.mark.parametrize(
    ("status", "body", "type"), [(100, "", "a/b"), (600, "", "a/b"), (204, "x", "a/b"), (200, "x", "a\r\nb")]
)
def test_what_cannot_be_sent_is_refused_at_load(status: int, body: str, type: str) -> None:
    with pytest.raises(ValueError):
        Respond(status, body, type)
