"""One row for each way in which the cache answers a request, and for each reason why it stores an answer or does not.

Logs, metrics, `Cache-Status` (RFC 9211) and the docs all come from this table. A name is never used twice.
"""

from __future__ import annotations

from enum import IntEnum


class Kind(IntEnum):
    """HIT: answered from the cache, fresh. STALE: from the cache, stale. MISS: it could not be; the origin was asked.
    BYPASS: the cache was not looked at. UNKEPT: the origin's answer was not stored."""

    HIT = 0
    STALE = 1
    MISS = 2
    BYPASS = 3
    UNKEPT = 4


class CacheReason:
    """`name` for logs and metric labels; `token`: what `Cache-Status` says of it, `hit` or the parameter `fwd` of RFC 9211
    section 2.2 (empty where it says nothing); `text` for people."""

    __slots__ = ("index", "kind", "name", "text", "token")

    def __init__(self, index: int, name: str, kind: Kind, token: bytes, text: str) -> None:
        self.index = index
        self.name = name
        self.kind = kind
        self.token = token
        self.text = text

    def __repr__(self) -> str:
        return f"<CacheReason {self.name} {self.kind.name.lower()}>"


_H, _S, _M, _B, _U = Kind.HIT, Kind.STALE, Kind.MISS, Kind.BYPASS, Kind.UNKEPT
_ROWS: tuple[tuple[str, Kind, bytes, str], ...] = (
    # -- how a request was answered (RFC 9111 section 4)
    ("hit", _H, b"hit", "The stored answer is fresh."),
    ("stale_allowed", _S, b"hit", "The stored answer is stale, which the client allows (max-stale)."),
    ("stale_refreshing", _S, b"hit", "The stored answer is stale, and is being refreshed (stale-while-revalidate)."),
    ("stale_error", _S, b"stale", "The stored answer is stale, but the origin fails (stale-if-error)."),
    ("revalidated", _M, b"stale", "The origin says that the stored answer still holds (304)."),
    ("collapsed", _M, b"uri-miss", "Another request was fetching the same; its answer was shared."),
    ("uri_miss", _M, b"uri-miss", "Nothing is stored for this URI."),
    ("vary_miss", _M, b"vary-miss", "What is stored for this URI varies by fields in which the requests differ."),
    ("stale", _M, b"stale", "The stored answer is stale."),
    ("must_validate", _M, b"stale", "The stored answer is never used without asking the origin (no-cache)."),
    ("request", _M, b"request", "The request wants the origin asked (no-cache, max-age, min-fresh)."),
    ("purged_before", _M, b"miss", "The stored answer was purged."),
    ("partial", _M, b"partial", "Only a part of the representation is stored, and not the part asked for."),
    ("lost", _M, b"miss", "The stored answer cannot be read."),
    # -- why a request is none for the cache
    ("method", _B, b"method", "Only GET and HEAD are answered from the cache."),
    ("request_body", _B, b"bypass", "The request has a body."),
    ("override", _B, b"bypass", "The request has a field that applications take for another address or method."),
    ("upgrade", _B, b"bypass", "The request asks for another protocol."),
    ("cookie", _B, b"bypass", "The request has cookies, and nobody said that what is stored is for everybody."),
    ("authorization", _B, b"bypass", "The request has credentials, and nobody said that what is stored is for everybody."),
    ("hit_for_miss", _B, b"bypass", "Answers to this URI were not to be stored a moment ago, so nobody waits for another's."),
    ("range", _B, b"bypass", "A part is asked for, and nothing is stored to take it from."),
    ("only_if_cached", _M, b"", "The request wants a stored answer or none (only-if-cached)."),
    # -- why an answer is not stored (RFC 9111 section 3)
    ("request_no_store", _U, b"", "The request forbids it (no-store)."),
    ("request_method", _U, b"", "Only answers to GET are stored."),
    ("no_store", _U, b"", "The answer forbids it (no-store)."),
    ("private", _U, b"", "The answer is for one user only (private)."),
    ("request_authorization", _U, b"", "The request has credentials, and the answer does not say that it is for everybody."),
    ("request_cookie", _U, b"", "The request has cookies, and the answer does not say that it is public, or for how long."),
    ("set_cookie", _U, b"", "The answer sets a cookie, which is one client's."),
    ("status", _U, b"", "An answer of this status is not to be stored."),
    ("partial_answer", _U, b"", "The answer is only a part of the representation (206)."),
    ("no_freshness", _U, b"", "Nothing says how long the answer is fresh."),
    ("stale_already", _U, b"", "The answer is stale as it comes, and has nothing to validate it by."),
    ("vary_star", _U, b"", "The answer varies by more than the request's fields (Vary: *)."),
    ("tags", _U, b"", "The answer has more tags or groups than are kept, so that a purge would miss it."),
    ("too_large", _U, b"", "The answer is larger than what is stored."),
    ("purged", _U, b"", "It was purged while it was on its way."),
    ("min_uses", _U, b"", "It was not asked for often enough yet."),
    ("file", _U, b"", "A file of our own needs no copy."),
    ("events", _U, b"", "A stream of events is one client's."),
    ("tunnel", _U, b"", "The answer is a connection, not a message."),
)  # fmt: skip

CACHE_REASONS: dict[str, CacheReason] = {row[0]: CacheReason(i, *row) for i, row in enumerate(_ROWS)}
assert len(CACHE_REASONS) == len(_ROWS), "a name stands twice in the table of cache reasons"


OF_THE_REQUEST = frozenset(row for name, row in CACHE_REASONS.items() if name.startswith("request_"))
"""Why an answer is not stored that another request might have had stored."""


def cache_reason(name: str) -> CacheReason:
    """The row called `name`; a KeyError is a programming error and comes at import time."""
    return CACHE_REASONS[name]
