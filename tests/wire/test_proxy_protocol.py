"""The PROXY protocol: the examples of its text, every header byte by byte, and headers with one byte changed."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.http.ends import Ends
from enfilade.wire.proxy_protocol import MAX_HEADER, BadHeader, End, Header, announce, encode_v1, encode_v2, parse

SIGNATURE = b"\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
FOUR: tuple[End, End] = (("192.0.2.1", 56324), ("198.51.100.7", 443))
SIX: tuple[End, End] = (("2001:db8::1", 1), ("2001:db8::ffff", 65535))
PATHS: tuple[End, End] = (("@client", None), ("/run/server.sock", None))


def v2(command: int, family: int, block: bytes) -> bytes:
    return SIGNATURE + bytes((command, family)) + len(block).to_bytes(2, "big") + block


TCP4 = bytes((192, 0, 2, 1, 198, 51, 100, 7)) + (56324).to_bytes(2, "big") + (443).to_bytes(2, "big")
TLVS = b"\x04\x00\x03abc" + b"\x02\x00\x07a.test."

GOOD = {
    "the longest of version 1 (section 2.1)": (
        b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
        (("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535), ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 65535)),
    ),
    "the example of section 2.1": (
        b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n",
        (("192.168.0.1", 56324), ("192.168.0.11", 443)),
    ),
    "UNKNOWN, short": (b"PROXY UNKNOWN\r\n", (None, None)),
    "UNKNOWN with addresses, which are ignored": (b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n", (None, None)),
    "IPv4 in IPv6 is IPv4": (
        b"PROXY TCP6 ::ffff:192.0.2.1 ::ffff:198.51.100.7 1 2\r\n",
        (("192.0.2.1", 1), ("198.51.100.7", 2)),
    ),
    "version 2, TCP4": (v2(0x21, 0x11, TCP4), FOUR),
    "version 2, UDP4": (v2(0x21, 0x12, TCP4), FOUR),
    "version 2 with TLVs": (v2(0x21, 0x11, TCP4 + TLVS), FOUR),
    "LOCAL": (v2(0x20, 0x00, b""), (None, None)),
    "LOCAL, whatever its family says": (v2(0x20, 0xFF, b"junk"), (None, None)),
    "PROXY of an unknown connection": (v2(0x21, 0x00, b"\x04\x00\x00"), (None, None)),
    "TCP6, ours": (encode_v2(*SIX), SIX),
    "Unix sockets, ours": (encode_v2(*PATHS), PATHS),
    "version 1, ours": (encode_v1(*FOUR), FOUR),
    "version 1 over IPv6, ours": (encode_v1(*SIX), SIX),
}

BAD = {
    "no header": b"GET / HTTP/1.1\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
    "lower case": b"proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "two blanks": b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n",
    "no such family": b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
    "UDP is not for version 1": b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
    "family and address differ": b"PROXY TCP4 ::1 ::1 1 2\r\n",
    "leading zero in an address": b"PROXY TCP4 1.2.3.04 1.2.3.4 1 2\r\n",
    "leading zero in a port": b"PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
    "port too large": b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n",
    "a zone": b"PROXY TCP6 fe80::1%eth0 fe80::1 1 2\r\n",
    "one address": b"PROXY TCP4 1.2.3.4 1 2\r\n",
    "a bare line feed": b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n" + b"x" * 107,
    "no end": b"PROXY UNKNOWN " + b"x" * 93,
    "a carriage return inside": b"PROXY UNKNOWN a\rb\r\n",
    "signature broken": SIGNATURE[:-1] + b"\r\x21\x11\x00\x0c" + TCP4,
    "version 1 in version 2": v2(0x11, 0x11, TCP4),
    "no such command": v2(0x22, 0x11, TCP4),
    "no such family in version 2": v2(0x21, 0x41, TCP4),
    "no such protocol": v2(0x21, 0x13, TCP4),
    "too short for its addresses": v2(0x21, 0x21, TCP4),
    "too long": v2(0x21, 0x11, TCP4.ljust(MAX_HEADER)),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_header_is_understood_whole_byte_by_byte_and_with_bytes_behind_it(name: str) -> None:
    raw, (source, destination) = GOOD[name]
    expected = Header(len(raw), source, destination)
    assert parse(raw) == expected
    assert parse(raw + b"GET / HTTP/1.1\r\n") == expected
    for size in range(len(raw)):
        assert parse(raw[:size]) is None, f"more is needed than {raw[:size]!r}"


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_header_is_refused(name: str) -> None:
    with pytest.raises(BadHeader):
        parse(BAD[name])


@given(st.sampled_from([raw for raw, _ in GOOD.values()]), st.data())
def test_a_changed_byte_never_does_more_than_be_refused(raw: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(raw) - 1))
    changed = raw[:at] + bytes((data.draw(st.integers(0, 255)),)) + raw[at + 1 :]
    with suppress(BadHeader):
        found = parse(changed)
        assert found is None or 0 < found.size <= MAX_HEADER


@given(st.binary(max_size=20))
def test_nothing_is_waited_for_beyond_the_limit(begin: bytes) -> None:
    raw = begin.ljust(MAX_HEADER, b"x")
    with suppress(BadHeader):
        assert parse(raw) is not None
    with suppress(BadHeader):
        assert parse(SIGNATURE + raw) is not None


ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6).filter(lambda a: a.ipv4_mapped is None)).map(str)  # type: ignore[union-attr]
PORTS = st.integers(0, 65535)


@given(st.tuples(ADDRESSES, PORTS), st.tuples(ADDRESSES, PORTS))
def test_what_we_say_is_what_we_understand(source: End, destination: End) -> None:
    for raw in (encode_v1(source, destination), encode_v2(source, destination)):
        assert parse(raw) == Header(len(raw), source, destination)


def test_what_a_version_cannot_name_it_says_so() -> None:
    assert encode_v1(*PATHS) == b"PROXY UNKNOWN\r\n"
    assert parse(encode_v2(("", None), ("192.0.2.1", 80))) == Header(16)


def test_a_peer_is_told_the_client_s_address_and_port() -> None:
    ends = Ends(("192.0.2.1", 4711), ("192.0.2.9", 443))
    assert announce("v1", ends) == b"PROXY TCP4 192.0.2.1 192.0.2.9 4711 443\r\n"
    assert parse(announce("v2", ends)) == Header(28, ("192.0.2.1", 4711), ("192.0.2.9", 443))


def test_behind_a_trusted_proxy_the_client_has_no_port() -> None:
    ends = Ends(("192.0.2.1", 4711), ("192.0.2.9", 443))
    ends.client_ip = "198.51.100.7"
    assert announce("v1", ends) == b"PROXY TCP4 198.51.100.7 192.0.2.9 0 443\r\n"


def test_a_connection_of_our_own_says_so() -> None:
    """Section 2.2: LOCAL; a receiver takes the connection's own addresses."""
    assert announce("v1", None) == b"PROXY UNKNOWN\r\n"
    assert announce("v2", None) == SIGNATURE + b"\x20\x00\x00\x00"
