"""The ClientHello: those of OpenSSL, of hand, in pieces, cut, and with one byte changed."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.wire.client_hello import ClientHello, NotTls, parse

GREASE = (0x0A0A, b"")
"""RFC 8701: kinds that nobody knows, sent so that servers learn to pass over them."""


def of_openssl(name: str | None, alpn: Sequence[str] = ()) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    outgoing = ssl.MemoryBIO()
    tls = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with suppress(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


def vector(size: int, data: bytes) -> bytes:
    return len(data).to_bytes(size, "big") + data


def server_name(*names: bytes, kind: int = 0) -> tuple[int, bytes]:
    return 0, vector(2, b"".join(bytes((kind,)) + vector(2, name) for name in names))


def message(*extensions: tuple[int, bytes], behind: bytes = b"") -> bytes:
    block = b"".join(kind.to_bytes(2, "big") + vector(2, content) for kind, content in extensions)
    body = b"\x03\x03" + b"r" * 32 + vector(1, b"s" * 32) + vector(2, b"\x0a\x0a\x13\x01") + vector(1, b"\0")
    return b"\x01" + vector(3, body + (vector(2, block) if extensions else b"") + behind)


def records(data: bytes, size: int = 1 << 14) -> bytes:
    return b"".join(b"\x16\x03\x01" + vector(2, data[at : at + size]) for at in range(0, len(data), size))


NAMED = message(GREASE, server_name(b"A.Example"), (0xFAFA, b"\0"))

GOOD = {
    "OpenSSL": (of_openssl("a.example"), ClientHello("a.example")),
    "OpenSSL with ALPN": (of_openssl("b.example", ["h2", "http/1.1"]), ClientHello("b.example", (b"h2", b"http/1.1"))),
    "OpenSSL without a name": (of_openssl(None), ClientHello("")),
    "GREASE around it": (records(NAMED), ClientHello("a.example")),
    "in small records": (records(NAMED, 3), ClientHello("a.example")),
    "without extensions": (records(message()), ClientHello("")),
    "a long list of key shares": (
        records(message((51, b"k" * 20_000), server_name(b"a.example"))),
        ClientHello("a.example"),
    ),
}

BAD = {
    "HTTP": b"GET / HTTP/1.1\r\n",
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "in too many records": records(NAMED, 1),
    "an alert": b"\x15\x03\x01\x00\x02\x02\x28",
    "SSL 2": b"\x80\x2e\x01\x00\x02",
    "a record of nothing": b"\x16\x03\x01\x00\x00",
    "a record too large": b"\x16\x03\x01\x40\x01",
    "a ServerHello": records(b"\x02\x00\x00\x04abcd"),
    "longer than we wait for": records(b"\x01\xff\xff\xff"),
    "an extension twice": records(message(server_name(b"a.example"), server_name(b"b.example"))),
    "two names": records(message(server_name(b"a.example", b"b.example"))),
    "no name in the list of names": records(message(server_name())),
    "an unknown kind of name": records(message(server_name(b"a.example", kind=1))),
    "a NUL in the name": records(message(server_name(b"a.example\0.b.example"))),
    "an empty name": records(message(server_name(b""))),
    "a name with an empty label": records(message(server_name(b"a..example"))),
    "a long name": records(message(server_name(b"a" * 254))),
    "the extensions are cut": records(b"\x01" + vector(3, message(server_name(b"a.example"))[4:-1])),
    "bytes behind the extensions": records(message(GREASE, behind=b"x")),
    "another record between": records(NAMED[:10]) + b"\x17\x03\x03\x00\x01x",
}


@pytest.mark.parametrize("name", GOOD)
def test_a_hello_is_understood_whole_byte_by_byte_and_with_bytes_behind_it(name: str) -> None:
    raw, expected = GOOD[name]
    assert parse(raw) == expected
    assert parse(raw + b"\x14\x03\x03\x00\x01\x01") == expected
    for size in range(0, len(raw), 1 if len(raw) < 3000 else 997):
        assert parse(raw[:size]) is None


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_hello_is_refused(name: str) -> None:
    with pytest.raises(NotTls):
        parse(BAD[name])


@given(st.sampled_from([raw for raw, _ in GOOD.values()]), st.data())
def test_a_changed_byte_never_does_more_than_be_refused(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:at] + bytes((data.draw(st.integers(0, 255)),)) + raw[at + 1 :]
    with suppress(NotTls):
        found = parse(changed)
        assert found is None or found.name == found.name.lower()


@given(st.binary(max_size=200), st.integers(1, 50))
def test_any_message_is_read_or_refused(body: bytes, size: int) -> None:
    with suppress(NotTls):
        parse(records(b"\x01" + vector(3, body), size))
