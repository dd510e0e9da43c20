"""Careful browsers: each preset, what goes out over TLS only, and that the application's own field wins."""

from __future__ import annotations

import pytest
from tests.filters.kit import exchange

from enfilade.exchange.response import Response
from enfilade.filters.remade import MEMORY
from enfilade.filters.security_headers import SecurityHeaders
from enfilade.http.fields import NO_FIELDS, Fields
from enfilade.http.security_fields import HSTS, PRESETS, ROWS

STANDARD = SecurityHeaders(PRESETS["standard"])


@pytest.mark.parametrize("preset", PRESETS)
def test_an_answer_gets_every_field_of_the_preset(preset: str) -> None:
    r = SecurityHeaders(PRESETS[preset]).on_response(exchange(), Response(404, NO_FIELDS, b"body"))
    assert {name.decode(): value.decode() for name, value in r.fields} == PRESETS[preset]
    assert (r.status, r.body) == (404, b"body")


def test_each_preset_has_the_fields_of_its_column() -> None:
    assert [row.name for row in ROWS if row.standard] == list(PRESETS["standard"])
    assert set(PRESETS["standard"]) < set(PRESETS["strict"]) == {row.name for row in ROWS}


def test_what_the_answer_says_itself_stays() -> None:
    own = Fields(
        [(b"x-frame-options", b"ALLOWALL"), (b"referrer-policy", b"no-referrer"), (b"referrer-policy", b"origin")]
    )
    fields = STANDARD.on_response(exchange(), Response(200, own)).fields
    assert fields.all(b"x-frame-options") == [b"ALLOWALL"]
    assert fields.all(b"referrer-policy") == [b"no-referrer", b"origin"]
    assert b"x-content-type-options" in fields


def test_strict_transport_security_goes_out_over_tls_only() -> None:
    """RFC 6797 section 7.2."""
    x = exchange()
    assert HSTS.encode() in STANDARD.on_response(x, Response(200)).fields
    x.request.scheme = "http"
    plain = STANDARD.on_response(x, Response(200)).fields
    assert HSTS.encode() not in plain and b"x-content-type-options" in plain


def test_the_same_fields_give_the_same_fields_and_the_memory_is_bounded() -> None:
    defaults = SecurityHeaders({"a": "1"})

    def applied(fields: Fields) -> Fields:
        return defaults.on_response(exchange(), Response(200, fields)).fields

    given = Fields([(b"b", b"2")])
    assert applied(given) is applied(given)
    for i in range(3 * MEMORY):
        assert applied(Fields([(b"n", b"%d" % i)])).pairs == ((b"n", b"%d" % i), (b"a", b"1"))
    assert len(defaults._remade.memory) <= MEMORY


def test_fields_that_cannot_be_sent_are_refused() -> None:
    for fields in ({"a b": "1"}, {"Content-Length": "1"}, {"a": "\n"}):
        with pytest.raises(ValueError, match=r"header field|connection"):
            SecurityHeaders(fields)
