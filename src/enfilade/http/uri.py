"""THE normalisation of paths, and the grammar of authorities (RFC 3986).

Match, auth, files, applications, cache keys and forwarding all use what comes out of here, so that no two of them can
read one target differently. Whatever two careful readers could still read differently is refused.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import NamedTuple

from enfilade.http.memory import remember
from enfilade.http.reasons import Reason, reason

_BAD_TARGET = reason("bad_target")
_BAD_HOST = reason("bad_host")

_MEMORY_ENTRIES = 4096
_MEMORY_KEY_BYTES = 512
_paths: dict[bytes, tuple[str, bytes]] = {}
_authorities: dict[bytes, tuple[str, str]] = {}

_PLAIN = re.compile(rb"/[A-Za-z0-9._~!$&'()*+,;=:@/-]*").fullmatch
# Visible ASCII; "#" begins a fragment, which is never sent (section 3.5), and some readers would cut there.
_VISIBLE = re.compile(rb"[!-\"$-~]*").fullmatch
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})|%(?:[01][0-9A-Fa-f]|7[Ff])").search
_TRIPLET = re.compile(rb"%[0-9A-Fa-f]{2}")
_NOT_PCHAR = re.compile(rb"[^A-Za-z0-9._~!$&'()*+,;=:@%-]")
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
_NORMAL = {b"%%%02X" % i: bytes((i,)) if i in _UNRESERVED else b"%%%02X" % i for i in range(256)}

_AUTHORITY = re.compile(
    rb"(?:(\[[0-9a-f:.]+\])|((?:[a-z0-9._~!$&'()*+,;=-]|%[0-9a-f]{2})+))(?::([0-9]{0,5}))?"
).fullmatch


class UriError(ValueError):
    """A target or an authority that is refused: `reason` is `bad_target` or `bad_host`."""

    def __init__(self, why: Reason) -> None:
        super().__init__(why.text)
        self.reason = why


def split_target(raw: bytes) -> tuple[str, bytes, bytes]:
    """The target `raw` in origin-form (RFC 9112 section 3.2.1) as `(path, raw_path, query)`; see `Request` for each.

    - `path` is percent-decoded once, as UTF-8 (what is not UTF-8 becomes U+FFFD), without dot segments (section 5.2.4).
    - `raw_path` is the normal form of section 6.2.2: unreserved bytes decoded, what may not stand in a path encoded, hex in
      upper case. Reserved bytes stay as they were sent: `%2F` is not `/`.
    - `query` is as sent. `//` is kept.

    Raises UriError: no leading `/`, bytes that are not visible ASCII, a broken escape, an encoded control byte, a dot segment
    that is one only if an encoded slash or a backslash parts segments, or that would climb over such a segment.
    """
    mark = raw.find(b"?")
    if mark < 0:
        path, raw_path = _paths.get(raw) or _remember_path(raw)
        return path, raw_path, b""
    query = raw[mark + 1 :]
    if _VISIBLE(query) is None:
        raise UriError(_BAD_TARGET)
    part = raw[:mark]
    path, raw_path = _paths.get(part) or _remember_path(part)
    return path, raw_path, query


def parse_authority(raw: bytes) -> tuple[str, str]:
    """The authority `raw` (section 3.2, without userinfo) in lower case as `(authority, host)`; a port's colon with nothing
    behind it is dropped, an IPv6 host loses its brackets. Raises UriError."""
    return _authorities.get(raw) or _remember_authority(raw)


def _remember_path(raw: bytes) -> tuple[str, bytes]:
    if _PLAIN(raw) is not None and b"/." not in raw:
        result = raw.decode("ascii"), raw
    else:
        result = normalise_path(raw)
    if len(raw) <= _MEMORY_KEY_BYTES:
        remember(_paths, raw, result, _MEMORY_ENTRIES)
    return result


def normalise_path(raw: bytes) -> tuple[str, bytes]:
    """`split_target` for a path, without its memory and its short cut for plain paths."""
    if raw[:1] != b"/" or _VISIBLE(raw) is None or _BAD_PERCENT(raw) is not None:
        raise UriError(_BAD_TARGET)
    normal = _TRIPLET.sub(lambda m: _NORMAL[m[0].upper()], raw)
    segments = normal[1:].split(b"/")
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            if kept and _parted(kept.pop()) is not None:
                raise UriError(_BAD_TARGET)
        elif segment != b".":
            _refuse_hidden_dots(segment)
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    raw_path = b"/" + b"/".join([_NOT_PCHAR.sub(lambda m: b"%%%02X" % m[0][0], s) for s in kept])
    decoded = _TRIPLET.sub(lambda m: bytes((int(m[0][1:], 16),)), raw_path)
    return decoded.decode("utf-8", "replace"), raw_path


_parted = re.compile(rb"%2F|%5C|\\").search


def _refuse_hidden_dots(segment: bytes) -> None:
    """Readers that part segments at `%2F`, `%5C` or a backslash must not find dot segments where we see none."""
    if _parted(segment) is not None:
        parts = re.split(rb"%2F|%5C|\\", segment)
        if b"." in parts or b".." in parts:
            raise UriError(_BAD_TARGET)


def _remember_authority(raw: bytes) -> tuple[str, str]:
    match = _AUTHORITY(raw.lower())
    if match is None:
        raise UriError(_BAD_HOST)
    address, name, port = match.groups()
    host = (address or name).decode("ascii")
    if address is not None:
        host = _ipv6(address[1:-1].decode("ascii"))
    if port and int(port) > 65535:
        raise UriError(_BAD_HOST)
    authority = (address or name).decode("ascii")
    result = f"{authority}:{port.decode('ascii')}" if port else authority, host
    if len(raw) <= _MEMORY_KEY_BYTES:
        remember(_authorities, raw, result, _MEMORY_ENTRIES)
    return result


def _ipv6(text: str) -> str:
    try:
        IPv6Address(text)
    except ValueError:
        raise UriError(_BAD_HOST) from None
    return text


class Url(NamedTuple):
    """Where something can be fetched. `host`, without brackets, and `port` are to be connected to; for the rest see `Request`."""

    scheme: str
    authority: str
    host: str
    port: int
    path: str
    raw_path: bytes
    query: bytes

    def __str__(self) -> str:
        """Without the query, which may be a secret."""
        return f"{self.scheme}://{self.authority}{self.raw_path.decode()}"


_PORTS = {"http": 80, "https": 443}
_URL = re.compile(r"(https?)://([^/?#]+)(/[^?#]*)?(\?[^#]*)?(?:#.*)?", re.IGNORECASE).fullmatch


def parse_url(text: str) -> Url:
    """The absolute URL `text`, of http or https, less its fragment. Raises ValueError with a text for people, which
    does not repeat it: it may have credentials in it, which are refused."""
    found = _URL(text)
    if found is None or not text.isascii():
        raise ValueError('this is not a URL; write "https://host/path"')
    scheme, where, path, query = found.groups()
    if "@" in where:
        raise ValueError("this URL has credentials in it: whoever sees it would know them")
    try:
        authority, host = parse_authority(where.encode())
        decoded, raw_path, asked = split_target(((path or "/") + (query or "")).encode())
    except UriError as error:
        raise ValueError(f"this is not a URL: {error}") from None
    scheme = scheme.lower()
    port = authority.rpartition("]")[2].rpartition(":")
    return Url(scheme, authority, host, int(port[2]) if port[1] else _PORTS[scheme], decoded, raw_path, asked)
