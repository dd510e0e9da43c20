"""Client-Cert (RFC 9440): what the handshake has verified, and never what a client says of itself."""

from __future__ import annotations

from base64 import b64decode

import pytest
from tests.filters.kit import exchange

from enfilade.filters.client_certificate import ClientCertificate
from enfilade.http.ends import Ends


def told(*pairs: tuple[bytes, bytes], certificate: bytes | None) -> dict[bytes, bytes]:
    x = exchange(*pairs)
    x.ends = Ends(("192.0.2.1", 5), ("192.0.2.2", 443), "https", certificate=certificate)
    ClientCertificate().on_request(x)
    return dict(x.request.fields)


def test_the_certificate_is_a_byte_sequence() -> None:
    value = told((b"accept", b"*/*"), certificate=b"\x30\x82DER")[b"client-cert"]
    assert value[:1] == value[-1:] == b":"
    assert b64decode(value[1:-1]) == b"\x30\x82DER"


def test_where_one_is_required_who_has_none_is_refused() -> None:
    x = exchange()
    answer = ClientCertificate(required=True).on_request(x)
    assert answer is not None and answer.status == 403
    x.ends = Ends(("192.0.2.1", 5), ("192.0.2.2", 443), "https", certificate=b"DER")
    assert ClientCertificate(required=True).on_request(x) is None


def test_no_client_keeps_it_from_whoever_answers() -> None:
    """A proxy takes off what Connection names."""
    fields = told((b"connection", b"client-cert, close"), certificate=b"DER")
    assert fields[b"connection"] == b"close" and b"client-cert" in fields


@pytest.mark.parametrize("certificate", [None, b"DER"])
@pytest.mark.parametrize("name", [b"client-cert", b"client-cert-chain"])
def test_what_a_client_says_is_removed(name: bytes, certificate: bytes | None) -> None:
    fields = told((name, b":Zm9yZ2Vk:"), (b"accept", b"*/*"), certificate=certificate)
    assert b":Zm9yZ2Vk:" not in fields.values()
    assert fields[b"accept"] == b"*/*"
    assert (b"client-cert" in fields) is (certificate is not None)
