"""Content negotiation (RFC 9110 section 12)."""

from __future__ import annotations

import pytest

from enfilade.http.negotiate import MAX_PREFERENCES, choose_encoding, choose_type, forbids_identity, parse_weights


def test_weights_in_thousandths() -> None:
    assert parse_weights(b"A;q=0.5, b ; Q=1.000,c;x=1;q=.5,,d;q=2,e;q=0.1234,f") == [
        (b"a", 500), (b"b", 1000), (b"c", 0), (b"d", 0), (b"e", 0), (b"f", 1000),
    ]  # fmt: skip
    assert len(parse_weights(b"a," * 1000)) == MAX_PREFERENCES


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (None, None),
        (b"", None),
        (b"gzip", b"gzip"),
        (b"x-gzip", b"gzip"),
        (b"gzip, deflate, br, zstd", b"zstd"),
        (b"gzip, br", b"br"),
        (b"gzip;q=1.0, br;q=0.5", b"gzip"),
        (b"*", b"zstd"),
        (b"*;q=0.1, zstd;q=0", b"br"),
        (b"deflate", None),
        (b"gzip;q=0", None),
        (b"identity, gzip;q=0.5", None),
        (b"identity;q=0", None),
        (b"identity;q=0.5, gzip", b"gzip"),
    ],
)
def test_rfc9110_12_5_3(accept: bytes | None, coding: bytes | None) -> None:
    assert choose_encoding(accept, (b"zstd", b"br", b"gzip")) == coding


@pytest.mark.parametrize(
    ("accept", "media"),
    [
        (None, b"text/plain"),
        (b"*/*", b"text/plain"),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", b"text/html"),
        (b"text/*;q=0.5, application/json", b"application/json"),
        (b"text/html;q=0, text/*", b"text/plain"),
        (b"image/png", None),
        (b"text/plain;q=0, application/json;q=0.001", b"application/json"),
    ],
)
def test_rfc9110_12_5_1(accept: bytes | None, media: bytes | None) -> None:
    assert choose_type(accept, (b"text/plain", b"text/html", b"application/json")) == media


@pytest.mark.parametrize(
    ("accept", "forbids"),
    [
        (None, False), (b"", False), (b"gzip", False), (b"gzip, identity;q=0", True), (b"*;q=0", True),
        (b"*;q=0, identity;q=0.001", False), (b"gzip, *;q=0", True), (b"identity;q=0, *", True), (b"*", False),
    ],
)  # fmt: skip
def test_identity_is_acceptable_unless_it_is_said_not_to_be(accept: bytes | None, forbids: bool) -> None:
    """RFC 9110 section 12.5.3."""
    assert forbids_identity(accept) is forbids
