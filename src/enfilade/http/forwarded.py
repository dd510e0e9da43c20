"""What proxies in front of us say of a request: who made it, by which scheme, for which host (RFC 7239, and the older
`X-Forwarded-For`, `-Proto` and `-Host`). Only what trusted proxies have written is heard: each adds to what it got at the
right, so we read from there, and stop at the first hop that is nobody's we trust: that is the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from enfilade.http.addresses import Networks, plain_ip
from enfilade.http.ends import Ends
from enfilade.http.fields import Fields
from enfilade.http.grammar import TCHAR
from enfilade.http.uri import UriError, parse_authority

_NAMES = (b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host")
_SCHEMES = {b"http": "http", b"https": "https", b"ws": "http", b"wss": "https"}
MAX_HOPS = 64
"""Hops that are looked at; nobody has so many proxies."""

MAX_ELEMENT = 1024
"""Bytes of one element of `Forwarded` that are looked through for its beginning."""

_PORT = rb"(?::(?:[0-9]{1,5}|_[A-Za-z0-9._-]+))?"
_NODE = re.compile(rb"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))" + _PORT).fullmatch
_BARE_IPV6 = re.compile(rb"[0-9A-Fa-f:.]+").fullmatch
_PAIR = rb"[" + TCHAR + rb"]+=(?:[" + TCHAR + rb"]+|\"(?:[^\"\\\x00-\x1f]|\\[^\x00-\x1f])*\")"
_BLANK = rb"[ \t]*"
_ELEMENT = re.compile(_BLANK + _PAIR + rb"(?:" + _BLANK + rb";" + _BLANK + _PAIR + rb")*" + _BLANK).fullmatch
_PARAMETER = re.compile(rb"([" + TCHAR + rb"]+)=(?:([" + TCHAR + rb"]+)|\"((?:[^\"\\]|\\.)*)\")")
_ESCAPED = re.compile(rb"\\(.)")


def is_claim(name: bytes) -> bool:
    """Whether a field of this name says something of the way that a request has come."""
    return name in (b"forwarded", b"x-real-ip") or name.startswith(b"x-forwarded-")


def told_fields(fields: Fields, ends: Ends) -> Fields:
    """What an application is told of a request's `fields`: nothing of what they claim about the way, unless it was a trusted
    proxy that brought the request. Many applications believe whatever stands there (FAILURES 17)."""
    if ends.client_ip != ends.client[0]:
        return fields
    shape = fields if fields.shape is None else fields.shape
    known = shape.told
    if known is None:
        known = shape.told = _without_claims(shape)
    if known is shape:
        return fields
    return known if shape is fields else _without_claims(fields)


def _without_claims(fields: Fields) -> Fields:
    claims = [name for name in fields.names if is_claim(name)]
    return fields.without(*claims) if claims else fields


class Told(NamedTuple):
    """`client_ip`: THE client. `scheme`, `authority` and `host` are None where nobody tells them."""

    client_ip: str
    scheme: str | None = None
    authority: str | None = None
    host: str | None = None


class _Hop(NamedTuple):
    """What one proxy says of its client. `ip`: None if that is no address (`unknown`, `_hidden`, garbage)."""

    ip: str | None
    scheme: bytes | None
    host: bytes | None


def client_of(fields: Fields, peer: str, trusted: Networks) -> Told:
    """What `fields` tell, which came from the trusted proxy `peer`.

    `Forwarded` is read only where there is no `X-Forwarded` field: a proxy that writes these would pass on a stranger's.
    """
    said = fields.values(_NAMES)
    client, scheme, host = peer, None, None
    for hop in islice(_from_x(*said) if any(said) else _from_forwarded(fields), MAX_HOPS):
        scheme, host = hop.scheme, hop.host
        if hop.ip is None:
            break
        client = hop.ip
        if client not in trusted:
            break
    return Told(client, _SCHEMES.get((scheme or b"").lower()), *_authority(host))


def _authority(host: bytes | None) -> tuple[str | None, str | None]:
    try:
        return parse_authority(host) if host else (None, None)
    except UriError:
        return None, None


def node_ip(node: bytes) -> str | None:
    """The address of a node (RFC 7239 section 6), its port left out; IPv6 may stand without brackets, as many write it."""
    found = _NODE(node)
    text = (found[1] or found[2]) if found else node if _BARE_IPV6(node) else b""
    return plain_ip(text.decode("ascii"))


def _from_x(clients: bytes | None, schemes: bytes | None, hosts: bytes | None) -> Iterator[_Hop]:
    """The hops, right-most first."""
    ips = _members(clients) or [b""]
    said_schemes, said_hosts = _column(schemes, len(ips)), _column(hosts, len(ips))
    for i, ip in enumerate(ips):
        yield _Hop(node_ip(ip), said_schemes[i], said_hosts[i])


def _members(value: bytes | None) -> list[bytes]:
    return [member.strip(b" \t") for member in reversed((value or b"").split(b","))] if value else []


def _column(value: bytes | None, size: int) -> list[bytes | None]:
    """One value a hop. Not each proxy adds its own: a list of another length speaks by its last."""
    members: list[bytes | None] = [*_members(value)]
    return members if len(members) == size else [members[0] if members else None] * size


def _from_forwarded(fields: Fields) -> Iterator[_Hop]:
    """The hops, right-most first, as far as they are well-formed: each element is read from its own end, so that a quote that a
    stranger left open swallows nothing of what was added behind it."""
    for line in reversed(fields.all(b"forwarded")):
        rest: bytes | None = line
        while rest is not None:
            element, rest = _last_element(rest)
            if element is None:
                yield _NOBODY
                return
            yield element


_NOBODY = _Hop(None, None, None)


def _last_element(line: bytes) -> tuple[_Hop | None, bytes | None]:
    """The last element of `line`, None if it is malformed, and what stands in front of it."""
    comma = len(line)
    while comma >= 0:
        comma = line.rfind(b",", 0, comma)
        if len(line) - comma > MAX_ELEMENT:
            break
        if _ELEMENT(line, comma + 1):
            return _hop(line[comma + 1 :]), line[:comma] if comma >= 0 else None
    return None, None


def _hop(element: bytes) -> _Hop | None:
    pairs = [
        (name.lower(), token or _ESCAPED.sub(rb"\1", quoted)) for name, token, quoted in _PARAMETER.findall(element)
    ]
    said = dict(pairs)
    if len(said) < len(pairs):  # section 4: each parameter once
        return None
    return _Hop(node_ip(said.get(b"for", b"")), said.get(b"proto"), said.get(b"host"))
