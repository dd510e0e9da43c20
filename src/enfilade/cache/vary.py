"""Answers that vary (RFC 9111 section 4.1): what a variant of a resource is found by.

Under the key of the resource itself a signpost is stored, which names the fields; under the key that `variant_key` makes of their
values, the variant.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b

from enfilade.http.fields import Fields
from enfilade.http.grammar import TCHAR, list_members
from enfilade.http.negotiate import MAX_PREFERENCES, parse_weights

_ONE_VALUE = frozenset((b"authorization", b"cookie", b"from", b"host", b"origin", b"referer", b"user-agent"))
"""Fields that are no lists: a comma in them is a byte as any other."""

_LONGEST_REMEMBERED = 512
_LONGEST_IN_KEY = 200

_member = re.compile(rb"(?:[" + TCHAR + rb"]+(?:[ \t]*;[ \t]*[qQ]=(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?)?").fullmatch


def signpost_names(fields: Fields) -> tuple[bytes, ...] | None:
    """The names that Vary lists, in lower case, sorted, once each; empty: there is none. None: `*`, which nothing matches."""
    value = fields.get(b"vary")
    return _names(value) if value is not None else ()


def variant_key(primary: bytes, names: tuple[bytes, ...], fields: Fields) -> bytes:
    """The key of the variant for a request with `fields` of what is found by `primary`. Neither names nor values have controls in
    them, so that no two variants are mistaken for each other; a field that is absent differs from one that is empty. For a long
    value its hash stands."""
    parts = [primary]
    for name, value in zip(names, fields.values(names), strict=True):
        if value is None:
            parts.append(name)
            continue
        normal = normal_value(name, value)
        if len(normal) > _LONGEST_IN_KEY:
            normal = b"\2" + blake2b(normal, digest_size=32).digest().hex().encode()
        parts.append(name + b"\0" + normal)
    return b"\1".join(parts)


def normal_value(name: bytes, value: bytes) -> bytes:
    """A form that values which mean the same have in common, so far as the field is known here."""
    if name in _ONE_VALUE:
        return value
    normal = _NORMAL.get(name)
    if normal is None:
        return _spaced(value)
    return normal(value) if len(value) <= _LONGEST_REMEMBERED else b"?" + value


@lru_cache(maxsize=256)
def _names(value: bytes) -> tuple[bytes, ...] | None:
    names = set(list_members(value))
    return None if b"*" in names else tuple(sorted(names))


def _spaced(value: bytes) -> bytes:
    """Blanks around the commas of a list mean nothing; where quotes are, they may."""
    return value if b'"' in value else b",".join([part.strip(b" \t") for part in value.split(b",")])


def _weighted(value: bytes) -> bool:
    """Whether the list is short and its weights are well-formed; who knows what another reader makes of one that is not. Such a
    value is kept as it is, behind a mark that no token begins with."""
    parts = value.split(b",")
    return len(parts) <= MAX_PREFERENCES and all(_member(part.strip(b" \t")) is not None for part in parts)


@lru_cache(maxsize=256)
def _codings(value: bytes) -> bytes:
    """The codings that may be sent, sorted. Their weights are left out: any answer to one such request is acceptable to all of
    them. All codings count, not only those that we know: the origin may know more."""
    if not _weighted(value):
        return b"?" + value
    weights = {b"gzip" if name == b"x-gzip" else name: q for name, q in parse_weights(value)}
    taken = {name for name, q in weights.items() if q > 0} - {b"identity"}
    # Identity is there unless it is refused (RFC 9110 section 12.5.3); beside `*` refusals have a meaning for others too.
    refused = {b"=" + name for name, q in weights.items() if q == 0 and (name == b"identity" or b"*" in taken)}
    if weights.get(b"*") == 0 and b"identity" not in weights:
        refused.add(b"=identity")
    return b",".join(sorted(taken | refused))


@lru_cache(maxsize=256)
def _languages(value: bytes) -> bytes:
    """The ranges by falling weight; those of one weight sorted, for their order means nothing (RFC 9110 section 12.5.4). How much
    one is preferred to the next is left out, but not that it is, nor what is refused."""
    if not _weighted(value):
        return b"?" + value
    ranks: dict[int, set[bytes]] = {}
    for name, q in parse_weights(value):
        ranks.setdefault(q, set()).add(name)
    ranked = [b",".join(sorted(ranks[q])) for q in sorted(ranks, reverse=True) if q > 0]
    return b";".join(ranked) + (b"=" + b",".join(sorted(ranks[0])) if 0 in ranks else b"")


_NORMAL: dict[bytes, Callable[[bytes], bytes]] = {b"accept-encoding": _codings, b"accept-language": _languages}
