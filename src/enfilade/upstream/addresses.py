"""THE grammar of peers' addresses, as configurations, watched files and registrations write them."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Literal, NamedTuple

Protocol = Literal["http", "h2c", "tcp", "udp"]


class Scheme(NamedTuple):
    """`port`: what is meant where none is written; 0: one must be."""

    protocol: Protocol
    tls: bool
    port: int


SCHEMES = {
    "http": Scheme("http", False, 80),
    "https": Scheme("http", True, 443),
    "h2c": Scheme("h2c", False, 80),
    "tcp": Scheme("tcp", False, 0),
    "tls": Scheme("tcp", True, 0),
    "udp": Scheme("udp", False, 0),
}
_UNIX = {"unix": SCHEMES["http"], "unix+h2c": SCHEMES["h2c"]}
_NAMES = {(scheme.protocol, scheme.tls): name for name, scheme in SCHEMES.items()}

UNIX_PATH = 107
"""Bytes of a socket's path at most: what `sun_path` holds beside its NUL (unix(7))."""
_HOST_LENGTH = 253
_HOST = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*").fullmatch
_NUMERIC_END = re.compile(r"(.*\.)?[0-9]+").fullmatch
_WRITE = 'write it as "http://host:port", "https://host", "h2c://host:port" or "unix:/path"'


class Address(NamedTuple):
    """Where a peer is, and what it speaks.

    - `protocol`: "http" (HTTP/1.1; over TLS, HTTP/2 where the peer agrees to it), "h2c" (HTTP/2 by prior knowledge), or "tcp"
      and "udp" for what is not HTTP. Whoever relays bytes takes a Unix socket whichever of the first two it says.
    - `host`: a name or an IP address, in lower case, IPv6 without brackets; "" for Unix sockets. TLS verifies it.
    - `path`: of a Unix socket.
    - `srv`: `host` is not that of a peer, but the name of SRV records (RFC 2782) which say who the peers are; `port` is 0.
    - `at`: the IP address that `host` was found to have; "" where nobody has looked, or `host` is one.
    """

    protocol: Protocol
    tls: bool = False
    host: str = ""
    port: int = 0
    path: str = ""
    srv: bool = False
    at: str = ""

    @property
    def name(self) -> str:
        """The one way to write it, with its port; what was found for a name stands behind `@`. Parses to the same again,
        but for that."""
        if self.path:
            return f"unix{'+h2c' if self.protocol == 'h2c' else ''}:{self.path}"
        scheme = _NAMES[self.protocol, self.tls]
        if self.srv:
            return f"srv+{scheme}://{self.host}"
        return f"{scheme}://{_bracketed(self.host)}:{self.port}" + (f"@{self.at}" if self.at else "")

    @property
    def authority(self) -> str:
        """What requests for it carry in Host (RFC 9110 section 7.2): without the port that is meant anyway. A Unix socket has no
        name: "localhost"."""
        if self.path:
            return "localhost"
        usual = SCHEMES[_NAMES[self.protocol, self.tls]].port
        return _bracketed(self.host) + ("" if self.port == usual else f":{self.port}")

    @property
    def where(self) -> tuple[str, int] | str:
        """What to connect to: IP address (or name, where none is known) and port, or the path of a Unix socket."""
        return self.path or (self.at or self.host, self.port)

    def speaks(self, what: Literal["http", "tcp", "udp"]) -> bool:
        """Whether it can be the peer of a route, or of a stream."""
        if self.path:
            return what != "udp"
        return self.protocol == what or (what == "http" and self.protocol == "h2c")

    @property
    def is_literal(self) -> bool:
        """Nothing needs to be looked up to connect to it."""
        return bool(self.path or self.at) or (not self.srv and is_ip(self.host))


class Wanted(NamedTuple):
    """A peer that an upstream should have. `weight`, `tier`, `limit`: as in `Peer`."""

    address: Address
    weight: int = 1
    tier: int = 0
    limit: int = 0


def parse_address(text: str) -> Address:
    """The peer at `text`:

    - `http://host:port`, `https://host:port`, `h2c://host:port`, without a port 80, 443 and 80;
    - `tcp://host:port`, `tls://host:port`, `udp://host:port`;
    - `srv+` in front of any of these: `srv+http://_api._tcp.example.com`;
    - `unix:/path`, and `unix+h2c:/path` for HTTP/2 by prior knowledge. The path is taken as it is, without escapes.

    Raises ValueError with a text for people, which does not repeat credentials.
    """
    scheme, colon, rest = text.partition(":")
    scheme = scheme.lower()
    if scheme in _UNIX and colon:
        return _unix(text, _UNIX[scheme], rest)
    name = scheme.removeprefix("srv+")
    if name not in SCHEMES or not rest.startswith("//"):
        raise ValueError(_no_scheme(text, name, rest))
    authority = _only_authority(text, rest[2:])
    kind, srv = SCHEMES[name], scheme != name
    bracketed, host, port = _split_port(text, authority)
    host = _ipv6(text, host) if bracketed else _host(text, host)
    if srv:
        if port is not None or bracketed or is_ip(host):
            raise ValueError(f'"{text}": SRV records belong to a name and say the port; write "{scheme}://name"')
        return Address(kind.protocol, kind.tls, host, srv=True)
    if not (port or kind.port):
        raise ValueError(f'"{text}" has no port; write "{name}://{_bracketed(host)}:PORT"')
    return Address(kind.protocol, kind.tls, host, port or kind.port)


def is_ip(host: str) -> bool:
    """Whether `host`, without brackets, is an IP address and not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _unix(text: str, kind: Scheme, path: str) -> Address:
    if path.startswith("//"):
        raise ValueError(f'"{text}" is not a path; write "{text.partition(":")[0]}:/{path.lstrip("/")}"')
    if not path.startswith("/") or path.endswith("/") or not path.isprintable():
        raise ValueError(f'"{text}" is not the path of a socket; write it from the root, as in "unix:/run/app.sock"')
    if len(path.encode()) > UNIX_PATH:
        raise ValueError(f'"{text}": the path of a socket has at most {UNIX_PATH} bytes')
    return Address(kind.protocol, kind.tls, path=path)


def _no_scheme(text: str, scheme: str, rest: str) -> str:
    if "@" in text:
        return f"this is not a peer; {_WRITE}"
    if scheme in SCHEMES:
        return f'"{text}" is not a peer: after "{scheme}:" comes "//"'
    if rest.startswith("//"):
        return f'"{text}": a peer does not speak "{scheme}"; it is one of {", ".join([*SCHEMES, *_UNIX])}'
    return f'"{text}" is not a peer; {_WRITE}'


def _only_authority(text: str, rest: str) -> str:
    """`rest` (what follows `//`) if nothing but host and port stands there; an empty path may be written `/` (RFC 3986
    section 6.2.3)."""
    authority, mark, tail = re.fullmatch(r"([^/?#]*)([/?#]?)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
    if "@" in rest:
        raise ValueError(
            "a peer's URL has no credentials: whoever sees it would know them; send them in a header field"
        )
    if mark == "/" and tail:
        raise ValueError(f'"{text}": a peer has no path; the route says which path is asked for')
    if mark in ("?", "#"):
        raise ValueError(f'"{text}": a peer has no {"query" if mark == "?" else "fragment"}, only host and port')
    if not authority:
        raise ValueError(f'"{text}" has no host; {_WRITE}')
    return authority


def _split_port(text: str, authority: str) -> tuple[bool, str, int | None]:
    """Whether the host stands in brackets, the host, and the port if there is one."""
    found = re.fullmatch(r"(\[)?((?(1)[^\]]*|[^:\[\]]*))(?(1)\])(?::([0-9]{1,5}))?", authority)
    if found is None:
        if authority.count(":") > 1 and "[" not in authority:
            raise ValueError(f'"{text}": an IPv6 address stands in brackets, as in "http://[::1]:8080"')
        raise ValueError(f'"{text}": "{authority}" is not host and port')
    bracket, host, digits = found.groups()
    port = int(digits) if digits is not None else None
    if port is not None and not 0 < port < 65536:
        raise ValueError(f'"{text}": a port is a number from 1 to 65535')
    return bracket is not None, host, port


def _ipv6(text: str, host: str) -> str:
    try:
        if "%" not in host:
            return str(IPv6Address(host))
    except ValueError:
        pass
    raise ValueError(f'"{text}": "{host}" is not an IPv6 address')


def _host(text: str, host: str) -> str:
    name = host.lower().removesuffix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode("ascii")
        except UnicodeError:
            name = ""
    if _NUMERIC_END(name):
        try:
            return str(IPv4Address(name))
        except ValueError:
            raise ValueError(f'"{text}": "{host}" is not an IPv4 address') from None
    if _HOST(name) is None or len(name) > _HOST_LENGTH:
        raise ValueError(f'"{text}": "{host}" is not the name of a host')
    return name


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
