"""Requests, answers and what is decided of them, written as on the wire."""

from __future__ import annotations

from enfilade.cache.decide import Asked, Rules, Use, read_request, store, use
from enfilade.cache.reasons import CacheReason
from enfilade.cache.stored import Terms
from enfilade.http.dates import format_date
from enfilade.http.fields import Fields
from enfilade.http.request import Request

NOW = 1_700_000_000.0
RULES = Rules()
DAY = 86400


def at(seconds: float) -> str:
    """The date `seconds` after NOW."""
    return format_date(NOW + seconds).decode()


def fields(*lines: str) -> Fields:
    pairs = []
    for line in lines:
        name, _, value = line.partition(":")
        pairs.append((name.lower().encode(), value.strip().encode("latin-1")))
    return Fields(pairs)


def request(*lines: str, method: str = "GET", target: str = "/page", authority: str = "shop.example.com") -> Request:
    path, _, query = target.partition("?")
    host = authority.partition(":")[0]
    return Request(method, "http", authority, host, path, path.encode(), query.encode(), fields(*lines), "1.1")


def asked(*lines: str) -> Asked:
    return read_request(request(*lines))


def decide(
    *lines: str,
    status: int = 200,
    by: tuple[str, ...] = (),
    method: str = "GET",
    rules: Rules = RULES,
    took: float = 0.0,
) -> Terms | CacheReason:
    """What is decided of an answer with the fields `lines` to a request with the fields `by`, which comes at NOW."""
    asking = request(*by, method=method)
    return store(asking, read_request(asking), status, fields(*lines), NOW - took, NOW, rules)


def kept(*lines: str, status: int = 200, by: tuple[str, ...] = (), rules: Rules = RULES, took: float = 0.0) -> Terms:
    """The terms of an answer that is stored."""
    terms = decide(*lines, status=status, by=by, rules=rules, took=took)
    assert isinstance(terms, Terms), terms
    return terms


def unkept(*lines: str, status: int = 200, by: tuple[str, ...] = (), method: str = "GET", rules: Rules = RULES) -> str:
    """Why an answer is not stored."""
    reason = decide(*lines, status=status, by=by, method=method, rules=rules)
    assert isinstance(reason, CacheReason), reason
    return reason.name


def lifetime(*lines: str, status: int = 200, rules: Rules = RULES, took: float = 0.0) -> float:
    """For how long after NOW an answer is fresh; negative: it never was. It has a validator, so that it is stored anyway."""
    return kept(*lines, 'ETag: "a"', status=status, rules=rules, took=took).fresh_until - NOW


def used(terms: Terms, *lines: str, after: float = 0.0, rules: Rules = RULES) -> Use:
    """What may be done with it for a request with the fields `lines`, `after` so many seconds."""
    return use(asked(*lines), terms, NOW + after, rules)[0]


def why(terms: Terms, *lines: str, after: float = 0.0, rules: Rules = RULES) -> str:
    return use(asked(*lines), terms, NOW + after, rules)[1].name
