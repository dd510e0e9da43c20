"""What an answer is purged by, and what it purges: URIs (RFC 9111 section 4.4), groups (RFC 9875), tags (surrogate keys)."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from enfilade.cache.key import origin_host, without_port
from enfilade.http.fields import Fields
from enfilade.http.request import Request
from enfilade.http.structured import Token, parse_list
from enfilade.http.uri import UriError, parse_authority, split_target

SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH"))
"""Methods that are known to change nothing (RFC 9110 section 9.2.1; the registry). All others may have."""

MAX_TAGS = 128
MAX_TAG = 256
"""Tags, or groups, that an answer may have, and bytes of each. (RFC 9875 section 2: 32 and 32 at least.)"""

_TAG_FIELDS: tuple[tuple[bytes, bytes | None], ...] = (
    (b"surrogate-key", None),
    (b"cache-tag", b","),
    (b"edge-cache-tag", b","),
)
"""Each with what stands between tags; None: blanks."""


def target_uri(request: Request) -> bytes:
    """`http://host/path?query`, as the rooms have normalised it, without a port that the scheme implies."""
    return _uri(request, request.raw_path, request.query)


def invalidated(request: Request, status: int, fields: Fields) -> tuple[bytes, ...]:
    """The URIs that the answer to `request` makes invalid (RFC 9111 section 4.4): where an unsafe method did not fail, its target
    and what Location and Content-Location say, if that is of the same origin."""
    if request.method in SAFE or not 200 <= status < 400:
        return ()
    uris = [target_uri(request)]
    for name in (b"location", b"content-location"):
        value = fields.get(name)
        uri = _same_origin(request, value) if value is not None else None
        if uri is not None and uri not in uris:
            uris.append(uri)
    return tuple(uris)


def groups(fields: Fields) -> tuple[bytes, ...] | None:
    """The groups that an answer belongs to (RFC 9875 section 2); None: more, or longer ones, than are kept."""
    return _bounded(_strings(fields.get(b"cache-groups")))


def invalidated_groups(request: Request, status: int, fields: Fields) -> tuple[bytes, ...]:
    """The groups that an answer makes invalid (RFC 9875 section 3): one to an unsafe method that did not fail."""
    if request.method in SAFE or not 200 <= status < 400:
        return ()
    return tuple(dict.fromkeys(_strings(fields.get(b"cache-group-invalidation"))))


def tags(fields: Fields) -> tuple[bytes, ...] | None:
    """The tags of an answer: Surrogate-Key, between blanks; Cache-Tag and Edge-Cache-Tag, between commas. None: more, or longer
    ones, than are kept: such an answer is better not stored than stored and missed by a purge."""
    found: list[bytes] = []
    for name, separator in _TAG_FIELDS:
        for value in fields.all(name):
            found += [tag for part in value.split(separator) if (tag := part.strip(b" \t"))]
    return _bounded(found)


def untagged(fields: Fields) -> Fields:
    """What of `fields` goes on to clients: tags are between an origin and its cache."""
    names = [name for name, _ in _TAG_FIELDS if name in fields]
    return fields.without(*names) if names else fields


def _bounded(found: list[bytes]) -> tuple[bytes, ...] | None:
    once = tuple(dict.fromkeys(found))
    return None if len(once) > MAX_TAGS or any(len(tag) > MAX_TAG for tag in once) else once


def _strings(value: bytes | None) -> list[bytes]:
    """The members of a List of Strings; what is no such list is ignored."""
    members = parse_list(value) if value is not None else None
    if members is None or not all(isinstance(member, str) and not isinstance(member, Token) for member in members):
        return []
    return [str(member).encode() for member in members]


def _same_origin(request: Request, reference: bytes) -> bytes | None:
    """The URI that `reference` means in the answer to `request`; None: it is of another origin, or none that could be stored."""
    try:
        parts = urlsplit(urljoin(target_uri(request).decode("ascii"), reference.decode("ascii")))
        authority = parse_authority(parts.netloc.encode("ascii"))[0]
        _, path, query = split_target(f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}".encode("ascii"))
    except (UriError, ValueError):
        return None
    host = without_port(authority.encode(), request.scheme.encode())
    return _uri(request, path, query) if parts.scheme == request.scheme and host == origin_host(request) else None


def _uri(request: Request, path: bytes, query: bytes) -> bytes:
    uri = request.scheme.encode() + b"://" + origin_host(request) + path
    return uri + b"?" + query if query else uri
