"""The PROXY protocol, versions 1 and 2 (HAProxy's `proxy-protocol.txt`, sections 2.1 and 2.2): a header in front of everything
else on a connection, in which a load balancer says whose connection it passes on.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import Literal, NamedTuple

from enfilade.http.addresses import plain_ip
from enfilade.http.ends import Ends

End = tuple[str, "int | None"]
"""Host and port of one end; for a Unix socket its path ("@name": abstract) and None."""

MAX_HEADER = 4096
"""Bytes of a header of version 2, TLVs included: those of TLS with a client certificate take some hundred."""
_V1_LONGEST = 107
_V1_BEGIN = b"PROXY "
_V1 = re.compile(
    rb"PROXY (?:(TCP[46]) ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) ([0-9]{1,5}) ([0-9]{1,5})|UNKNOWN(?: [^\r\n]*)?)\r\n"
)
_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
_V2_FIXED = 16
_LOCAL, _PROXY = 0x20, 0x21
_UNSPEC, _TCP4, _TCP6, _UNIX = 0x00, 0x11, 0x21, 0x31
_UNIX_PATH = 108
# By family (upper half byte): the size of both addresses. The lower half says what is proxied: 0 unknown, 1 stream, 2 datagram.
_SIZES = {0: 0, 1: 12, 2: 36, 3: 2 * _UNIX_PATH}


class BadHeader(ValueError):
    """It is no header of the PROXY protocol, or a malformed or too long one."""


class Header(NamedTuple):
    """`size` bytes that stand in front of what was meant for us. `source` and `destination`: the two ends of the connection that
    is passed on; None where the sender speaks for itself (LOCAL) or does not know: then its own connection's count."""

    size: int
    source: End | None = None
    destination: End | None = None


def parse(data: bytes) -> Header | None:
    """The header that `data` begins with; None if more is needed to say. Raises BadHeader."""
    if data[:1] == _SIGNATURE[:1]:
        return _parse_v2(data)
    return _parse_v1(data)


def _parse_v1(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _V1_LONGEST)
    if end < 0:
        if len(data) >= _V1_LONGEST or not (data.startswith(_V1_BEGIN) or _V1_BEGIN.startswith(data)):
            raise BadHeader("no header of the PROXY protocol")
        return None
    line = _V1.fullmatch(data, 0, end + 2)
    if line is None:
        raise BadHeader("malformed header of version 1")
    if line[1] is None:
        return Header(line.end())
    make = IPv4Address if line[1] == b"TCP4" else IPv6Address
    hosts = [_address(make, text) for text in (line[2], line[3])]
    ports = [_port(text) for text in (line[4], line[5])]
    return Header(line.end(), (hosts[0], ports[0]), (hosts[1], ports[1]))


def _address(make: type[IPv4Address] | type[IPv6Address], text: bytes) -> str:
    try:
        return _plain(make(text.decode("ascii")))
    except AddressValueError:
        raise BadHeader("malformed address in a header of version 1") from None


def _port(text: bytes) -> int:
    port = int(text)
    if port > 65535 or b"%d" % port != text:
        raise BadHeader("malformed port in a header of version 1")
    return port


def _parse_v2(data: bytes) -> Header | None:
    if not data.startswith(_SIGNATURE[: len(data)]):
        raise BadHeader("no header of the PROXY protocol")
    if len(data) < _V2_FIXED:
        return None
    command, family = data[12], data[13]
    size = _V2_FIXED + int.from_bytes(data[14:16], "big")
    if command not in (_LOCAL, _PROXY):
        raise BadHeader("unknown version or command")
    if size > MAX_HEADER:
        raise BadHeader("the header is too long")
    if command == _LOCAL:  # whatever else it says (section 2.2)
        return Header(size) if len(data) >= size else None
    addresses = _SIZES.get(family >> 4)
    if addresses is None or family & 15 > 2:
        raise BadHeader("unknown family or protocol")
    if size < _V2_FIXED + addresses:
        raise BadHeader("the addresses are cut short")
    if len(data) < size:
        return None
    return Header(size, *_ends_of(family >> 4, data[_V2_FIXED:size]))


def _ends_of(family: int, block: bytes) -> tuple[End | None, End | None]:
    """What stands behind the addresses (TLVs) is passed over."""
    if family == 0:
        return None, None
    if family == 3:
        return (_path(block[:_UNIX_PATH]), None), (_path(block[_UNIX_PATH : 2 * _UNIX_PATH]), None)
    width = 4 if family == 1 else 16
    hosts = [_plain(ip_address(block[at : at + width])) for at in (0, width)]
    ports = [int.from_bytes(block[at : at + 2], "big") for at in (2 * width, 2 * width + 2)]
    return (hosts[0], ports[0]), (hosts[1], ports[1])


def _plain(address: IPv4Address | IPv6Address) -> str:
    text = str(address)
    return plain_ip(text) or text


def _path(field: bytes) -> str:
    if field[:1] == b"\0":
        name = field[1:].rstrip(b"\0")
        return "@" + name.decode("utf-8", "surrogateescape") if name else ""
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


# -- what we say to others

Version = Literal["v1", "v2"]


def announce(version: Version, ends: Ends | None) -> bytes:
    """What a peer is told of the client's connection that has these `ends`; None: the connection is our own, as for a health
    check (LOCAL, for which version 1 has only UNKNOWN)."""
    if ends is None:
        return b"PROXY UNKNOWN\r\n" if version == "v1" else _frame(_LOCAL, _UNSPEC, b"")
    source = ends.client
    if ends.client_ip != source[0]:
        source = (ends.client_ip, 0)  # a trusted proxy has told us the address, and nothing of the port
    return _ENCODE[version](source, ends.server)


def encode_v1(source: End, destination: End) -> bytes:
    """The header in version 1; it can name TCP over IPv4 and IPv6, and whatever else is UNKNOWN."""
    ends = _same_family(source, destination)
    if ends is None:
        return b"PROXY UNKNOWN\r\n"
    one, other = ends
    return f"PROXY TCP{one.version} {one} {other} {source[1]} {destination[1]}\r\n".encode("ascii")


def encode_v2(source: End, destination: End) -> bytes:
    """The header in version 2."""
    ends = _same_family(source, destination)
    if ends is not None:
        one, other = ends
        ports = (source[1] or 0).to_bytes(2, "big") + (destination[1] or 0).to_bytes(2, "big")
        return _frame(_PROXY, _TCP4 if one.version == 4 else _TCP6, one.packed + other.packed + ports)
    if source[1] is None and destination[1] is None:
        return _frame(_PROXY, _UNIX, _path_field(source[0]) + _path_field(destination[0]))
    return _frame(_PROXY, _UNSPEC, b"")


_ENCODE = {"v1": encode_v1, "v2": encode_v2}


def _frame(command: int, family: int, block: bytes) -> bytes:
    return _SIGNATURE + bytes((command, family)) + len(block).to_bytes(2, "big") + block


def _path_field(path: str) -> bytes:
    name = path.encode("utf-8", "surrogateescape")
    if name.startswith(b"@"):
        name = b"\0" + name[1:]
    return name[:_UNIX_PATH].ljust(_UNIX_PATH, b"\0")


def _same_family(
    source: End, destination: End
) -> tuple[IPv4Address, IPv4Address] | tuple[IPv6Address, IPv6Address] | None:
    """Both hosts as addresses; of IPv6 if only one of them is. None: they are no IP addresses."""
    try:
        one, other = ip_address(source[0]), ip_address(destination[0])
    except ValueError:
        return None
    if isinstance(one, IPv4Address) and isinstance(other, IPv4Address):
        return one, other
    return _wide(one), _wide(other)


def _wide(address: IPv4Address | IPv6Address) -> IPv6Address:
    if isinstance(address, IPv6Address):
        return address
    return IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)
