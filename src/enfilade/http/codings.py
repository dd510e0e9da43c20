"""Content codings (RFC 9110 section 8.4.1): which there are, what is worth coding, and what becomes of the fields where it is."""

from __future__ import annotations

import re
from collections.abc import Iterable

from enfilade.http.fields import Fields
from enfilade.http.negotiate import vary_by

CODINGS: dict[str, str | None] = {"zstd": "zstandard", "br": "brotli", "gzip": None}
"""The codings that are spoken here, best first, each with the module that it needs beyond the standard library."""

TYPES = (
    "text/*", "*+json", "*+xml", "*+yaml",
    "application/json", "application/jsonl", "application/x-ndjson", "application/json-seq", "application/graphql",
    "application/javascript", "application/x-javascript", "application/xml", "application/xml-dtd", "application/yaml",
    "application/toml", "application/sql", "application/rtf", "application/postscript", "application/wasm",
    "application/vnd.apple.mpegurl", "application/vnd.ms-fontobject", "font/ttf", "font/otf", "font/collection",
    "image/bmp", "image/x-icon", "image/vnd.microsoft.icon",
)  # fmt: skip
"""The media types that are worth coding. Other images, sound, film, archives, `font/woff2` and PDF are compressed already."""

_MEDIA = re.compile(r"(?:[\w!#$&^.+-]+/(?:\*|[\w!#$&^.+-]+)|\*\+[\w.-]+)", re.ASCII)
# A body that carries a digest of itself is sent as its author made it (RFC 9530, RFC 2616 section 14.15).
_UNTOUCHED = frozenset((b"content-encoding", b"content-digest", b"repr-digest", b"digest", b"content-md5"))
# What these say is not so any more once the body is coded; ranges would be those of a content that nobody keeps.
_GONE = frozenset((b"content-length", b"accept-ranges", b"etag", b"vary"))
_OWN_TAG = re.compile(rb'W/("[^"]*)-(%s)"' % b"|".join([coding.encode() for coding in CODINGS]))


class MediaTypes:
    """A set of media types. Patterns are `text/html`, `text/*` and `*+json` (a structured syntax suffix, RFC 6839).
    Raises ValueError for what is none of these."""

    __slots__ = ("_exact", "_suffixes")

    def __init__(self, patterns: Iterable[str]) -> None:
        known = [media_pattern(pattern) for pattern in patterns]
        self._exact = frozenset(pattern.encode() for pattern in known if not pattern.startswith("*"))
        self._suffixes = tuple([pattern[1:].encode() for pattern in known if pattern.startswith("*")])

    def __contains__(self, content_type: bytes) -> bool:
        """Whether the value of a Content-Type field is of one of these types; its parameters do not count."""
        media = content_type.partition(b";")[0].strip(b" \t").lower()
        kind, slash, _ = media.partition(b"/")
        return media in self._exact or kind + slash + b"*" in self._exact or media.endswith(self._suffixes)


def media_pattern(text: str) -> str:
    """`text` in lower case; ValueError if it is no pattern of media types."""
    if _MEDIA.fullmatch(text) is None:
        raise ValueError(f'"{text}" is no media type such as "text/html", "text/*" or "*+json"')
    return text.lower()


def may_be_coded(fields: Fields) -> bool:
    """Whether an answer with `fields` may be coded at all: it is not yet (section 8.4), its author does not forbid it
    (no-transform, RFC 9111 section 5.2.2.6), and it carries no digest of what is sent."""
    if not _UNTOUCHED.isdisjoint(fields.names):
        return False
    said = fields.get(b"cache-control")
    return said is None or all(part.strip(b" \t") != b"no-transform" for part in said.lower().split(b","))


def varied(fields: Fields) -> Fields:
    """`fields` of an answer that depends on Accept-Encoding (section 12.5.5)."""
    vary = vary_by(b"accept-encoding", fields.get(b"vary"))
    if vary == fields.get(b"vary"):
        return fields
    return fields.setting((b"vary", vary)) if b"vary" in fields else fields.adding((b"vary", vary))


def coded(fields: Fields, coding: bytes) -> Fields:
    """`fields` of an answer as they are once its body is in `coding`, its length not known yet."""
    pairs = [pair for pair in fields.pairs if pair[0] not in _GONE]
    pairs += [(b"content-encoding", coding), (b"vary", vary_by(b"accept-encoding", fields.get(b"vary")))]
    etag = fields.get(b"etag")
    if etag is not None:
        pairs.append((b"etag", coded_tag(etag, coding)))
    return Fields(pairs)


def coded_tag(etag: bytes, coding: bytes) -> bytes:
    """The entity tag of what `etag` names, in `coding`: `"a"` becomes `W/"a-gzip"`.

    Weak (section 8.8.1), as the same content need not be coded into the same bytes each time, so nobody may put ranges of two
    of them together; and recognisable, so that `plain_tags` knows it from a weak tag of the handler's own, which stays: it
    stands for all codings.
    """
    return etag if etag.startswith(b"W/") or not etag.endswith(b'"') else b'W/%s-%s"' % (etag[:-1], coding)


def plain_tags(value: bytes, coding: bytes | None = None) -> bytes:
    """If-Match or If-None-Match with the tags that `coded_tag` made for `coding` (None: for any) as they were before: the
    handler knows no others."""
    if b"W/" not in value:
        return value
    return _OWN_TAG.sub(lambda tag: tag[1] + b'"' if coding in (None, tag[2]) else tag[0], value)
