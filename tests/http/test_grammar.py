"""RFC 9110 sections 5.5 and 5.6, byte for byte."""

from __future__ import annotations

import string

import pytest

from enfilade.http.grammar import (
    CONNECTION_FIELDS,
    FORBIDDEN_TRAILERS,
    is_field_name,
    is_field_value,
    is_token,
    list_members,
)

TCHARS = set((string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~").encode())


@pytest.mark.parametrize("byte", range(256))
def test_every_byte_is_judged_as_the_rfc_says(byte: int) -> None:
    one = bytes((byte,))
    assert is_token(b"a" + one + b"b") == (byte in TCHARS)
    assert is_field_name(b"a" + one) == (byte in TCHARS and not one.isupper())
    inside = byte == 9 or (byte >= 0x20 and byte != 0x7F)
    assert is_field_value(b"a" + one + b"b") == inside
    assert is_field_value(one) == (inside and byte not in b" \t")


def test_an_empty_name_is_none_and_an_empty_value_is_one() -> None:
    assert not is_token(b"")
    assert not is_field_name(b"")
    assert is_field_value(b"")


@pytest.mark.parametrize("value", [b" a", b"a ", b"\ta", b"a\t", b"a\n", b"a\r\nb: c", b"\n"])
def test_values_have_no_blanks_around_them_and_no_line_ends(value: bytes) -> None:
    assert not is_field_value(value)


def test_list_members() -> None:
    assert list_members(b" Keep-Alive,, Upgrade\t, ") == [b"keep-alive", b"upgrade"]


def test_framing_and_routing_fields_are_no_trailers() -> None:
    assert CONNECTION_FIELDS < FORBIDDEN_TRAILERS
    assert {b"content-length", b"host", b"authorization"} <= FORBIDDEN_TRAILERS
