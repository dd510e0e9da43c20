"""Durations, sizes and addresses as people write them. Each parser raises ValueError with a text for people."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Literal, NamedTuple, cast
from urllib.parse import urlsplit

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {"B": 1, "KB": 1 << 10, "MB": 1 << 20, "GB": 1 << 30}
_LOOPBACK = re.compile(r"localhost|::1|127(\.[0-9]+){3}")
DURATION = rf"[0-9]+(\.[0-9]+)? ?({'|'.join(_SECONDS)})"
RATE = "[1-9][0-9]{0,8}/[smhd]"
SIZE = rf"[0-9]+ ?({'|'.join(_BYTES)})"

FILE = "file:"
"""What a path begins with where something else could stand, too."""


def duration(text: str) -> float:
    """Seconds: "500ms", "10s", "2m", "1.5h", "1d"."""
    if not re.fullmatch(DURATION, text):
        raise ValueError(f'"{text}" is not a duration; write "500ms", "10s", "2m", "1h" or a number of seconds')
    number, unit = re.findall(r"[0-9.]+|[a-z]+", text)
    return float(number) * _SECONDS[unit]


def size(text: str) -> int:
    """Bytes: "512B", "64KB", "16MB", "1GB", with 1 KB = 1024 bytes, as in nginx."""
    if not re.fullmatch(SIZE, text):
        raise ValueError(f'"{text}" is not a size; write "512B", "64KB", "16MB", "1GB" or a number of bytes')
    number, unit = re.findall(r"[0-9]+|[A-Z]+", text)
    return int(number) * _BYTES[unit]


def texts(value: str | list[str]) -> list[str]:
    """What stands alone or in a list."""
    return [value] if isinstance(value, str) else value


def rate(text: str) -> tuple[int, int]:
    """How many in how many seconds: "10/s", "100/m", "1000/h", "5000/d"."""
    if not re.fullmatch(RATE, text):
        raise ValueError(f'"{text}" is not a rate; write "10/s", "100/m", "1000/h" or "5000/d"')
    count, _, unit = text.partition("/")
    return int(count), int(_SECONDS[unit])


def octets(text: str) -> bytes:
    """The bytes of a text in which `\\xHH` may stand for any one, as in nginx; everything else is UTF-8."""
    if wrong := re.search(r"\\x(?![0-9A-Fa-f]{2})", text):
        raise ValueError(f'behind "\\x" stand two hexadecimal digits, not "{text[wrong.end() : wrong.end() + 2]}"')
    first, *others = text.split("\\x")
    return first.encode() + b"".join([bytes.fromhex(part[:2]) + part[2:].encode() for part in others])


class Address(NamedTuple):
    """Where to listen. `host`: "" for every address; the path of a Unix socket; the name of a systemd socket ("": all).
    `port`: 0 takes a free one; of kind "fd" it is the descriptor."""

    kind: Literal["tcp", "unix", "fd", "systemd"]
    host: str = ""
    port: int = 0

    @property
    def is_local(self) -> bool:
        """Nobody from another machine gets here: a Unix socket or loopback."""
        return self.kind == "unix" or bool(_LOOPBACK.fullmatch(self.host))


def is_name(text: str) -> bool:
    """Whether `text` names an upstream: a URL has a colon."""
    return ":" not in text and "/" not in text


class StreamAddress(NamedTuple):
    """Where a stream listens, and what is spoken there. `tls`: TCP with TLS, which ends here."""

    protocol: Literal["tcp", "tls", "udp"]
    address: Address

    @property
    def kind(self) -> Literal["tcp", "udp", "unix", "fd", "systemd"]:
        """As `ListenSpec` has it."""
        return "udp" if self.protocol == "udp" else self.address.kind


def stream_address(text: str) -> StreamAddress:
    """ "tcp://:5432", "tls://[::1]:993", "udp://127.0.0.1:53", "unix:/path"."""
    if text.startswith("unix:"):
        return StreamAddress("tcp", address(text))
    scheme, mark, rest = text.partition("://")
    if mark and scheme in ("tcp", "tls", "udp"):
        found = address(rest)
        if found.kind == "tcp":
            return StreamAddress(cast(Literal["tcp", "tls", "udp"], scheme), found)
    raise ValueError(
        f'"{text}" is not where a stream can listen; write "tcp://:5432", "tls://:993", "udp://:53" or "unix:/path"'
    )


def address(text: str) -> Address:
    """ ":80", "host:80", "[::1]:80", "unix:/path", "fd:3", "systemd", "systemd:NAME"."""
    kind, _, rest = text.partition(":")
    if kind == "unix" and rest:
        return Address("unix", rest)
    if kind == "systemd":
        return Address("systemd", rest)
    if kind == "fd" and rest.isdecimal():
        return Address("fd", "", int(rest))
    host, colon, port = text.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not bracketed and ":" in host:
        raise ValueError(f'"{text}" is not an address; an IPv6 address stands in brackets, as in "[::1]:80"')
    if not (colon and port.isascii() and port.isdecimal() and int(port) < 65536) or kind == "unix":
        raise ValueError(
            f'"{text}" is not an address; write ":80", "host:80", "[::1]:80", "unix:/path", "fd:3" or "systemd"'
        )
    return Address("tcp", host[1:-1] if bracketed else host, int(port))


def redis_url(text: str) -> str:
    """ "redis://host:port/0", "rediss://host" (over TLS), "unix:///path?db=0"; user and password may stand before the host."""
    try:
        parts = urlsplit(text)
        where = parts.path if parts.scheme == "unix" else parts.hostname
        if parts.scheme in ("redis", "rediss", "unix") and where and parts.port != 0:
            return text
    except ValueError:
        pass
    # It is not repeated: there may be a password in it.
    raise ValueError('this is not the URL of a Redis; write "redis://host:6379/0", "rediss://host" or "unix:///path"')


def server(text: str) -> str:
    """A server of ours: "host:port" or "unix:/path"."""
    if not re.fullmatch(r"unix:/.+|(\[[0-9a-fA-F:.]+\]|[^\s:/]+):[1-9][0-9]{0,4}", text):
        raise ValueError(f'"{text}" is not a server; write "host:port" or "unix:/path"')
    return text


def dns_server(text: str) -> tuple[str, int]:
    """IP address and port of "10.0.0.2", "10.0.0.2:8600", "::1" or "[::1]:8600"; the port is 53 where none is written."""
    found = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::([0-9]{1,5}))?|([0-9.]+)(?::([0-9]{1,5}))?|([0-9a-fA-F:]+)", text)
    try:
        if found is not None:
            ip = str(ip_address(found[1] or found[3] or found[5]))
            port = int(found[2] or found[4] or 53)
            if 0 < port < 65536:
                return ip, port
    except ValueError:
        pass
    raise ValueError(f'"{text}" is not a DNS server; write its IP address, as in "10.0.0.2" or "10.0.0.2:8600"')
