"""RFC 6455 section 4.2.1 and RFC 7692 section 7.1: what of a handshake is accepted."""

from __future__ import annotations

from typing import Any

import pytest

from enfilade.http.fields import Fields
from enfilade.http.reasons import Reason
from enfilade.http.request import Request
from enfilade.wire.websocket.handshake import Handshake, Negotiator, accept_key

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3
GOOD: dict[bytes, bytes] = {b"sec-websocket-key": KEY, b"sec-websocket-version": b"13"}


def ask(fields: dict[bytes, bytes], version: str = "1.1", **options: Any) -> Handshake | Reason:
    request = Request("GET", "http", "a", "a", "/", b"/", b"", Fields(fields.items()), version, protocol="websocket")
    return Negotiator(**options)(request)


def test_the_key_of_the_rfc() -> None:
    handshake = ask(GOOD)
    assert isinstance(handshake, Handshake)
    assert handshake.fields.pairs == ((b"sec-websocket-accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),)
    assert accept_key(KEY) == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


def test_http2_has_no_key() -> None:
    handshake = ask({b"sec-websocket-version": b"13"}, "2")
    assert isinstance(handshake, Handshake) and handshake.fields.pairs == ()


@pytest.mark.parametrize("version", [b"8", b"", b"13, 8"])
def test_another_version_is_426(version: bytes) -> None:
    why = ask({**GOOD, b"sec-websocket-version": version})
    assert isinstance(why, Reason) and why.status == 426


@pytest.mark.parametrize(
    "change",
    [
        {b"sec-websocket-key": b"short"},
        {b"sec-websocket-key": b"!" * 24},
        {b"sec-websocket-key": KEY + b", " + KEY},
        {b"sec-websocket-protocol": b"\xff\xfe"},
        {b"sec-websocket-protocol": b"a b"},
        {b"sec-websocket-extensions": b"permessage-deflate; ="},
    ],
)
def test_nonsense_is_400_f15(change: dict[bytes, bytes]) -> None:
    why = ask({**GOOD, **change})
    assert isinstance(why, Reason) and why.status == 400


def test_no_key_is_400() -> None:
    why = ask({b"sec-websocket-version": b"13"})
    assert isinstance(why, Reason) and why.status == 400


def test_subprotocols_in_their_order() -> None:
    handshake = ask({**GOOD, b"sec-websocket-protocol": b"chat, superchat"})
    assert isinstance(handshake, Handshake) and handshake.subprotocols == ("chat", "superchat")


@pytest.mark.parametrize(
    ("offer", "agreed"),
    [
        (b"permessage-deflate", b"permessage-deflate; server_max_window_bits=12"),
        (
            b"permessage-deflate; client_max_window_bits",
            b"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
        ),
        (
            b"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            b"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12",
        ),
        (b"permessage-deflate; nonsense=1, permessage-deflate", b"permessage-deflate; server_max_window_bits=12"),
        (b"x-other", None),
    ],
)
def test_permessage_deflate(offer: bytes, agreed: bytes | None) -> None:
    handshake = ask({**GOOD, b"sec-websocket-extensions": offer})
    assert isinstance(handshake, Handshake)
    assert handshake.fields.get(b"sec-websocket-extensions") == agreed


def test_compression_can_be_off() -> None:
    handshake = ask({**GOOD, b"sec-websocket-extensions": b"permessage-deflate"}, compress=False)
    assert isinstance(handshake, Handshake) and b"sec-websocket-extensions" not in handshake.fields
