"""Preconditions in the order of RFC 9110 section 13.2.2."""

from __future__ import annotations

import pytest

from enfilade.http.conditionals import CONDITIONAL, Verdict, evaluate, is_conditional
from enfilade.http.fields import Fields

PROCEED, IGNORE, SAME, FAILED = Verdict.PROCEED, Verdict.IGNORE_RANGE, Verdict.NOT_MODIFIED, Verdict.PRECONDITION_FAILED
NOW = b"Sun, 06 Nov 1994 08:49:37 GMT"
BEFORE = b"Sun, 06 Nov 1994 08:49:36 GMT"
AFTER = b"Sun, 06 Nov 1994 08:49:38 GMT"


def verdict(
    fields: dict[bytes, bytes], method: str = "GET", etag: bytes | None = b'"a"', at: int | None = 784111777
) -> Verdict:
    return evaluate(method, Fields(fields.items()), etag, at)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, PROCEED),
        # 13.1.1, strong comparison
        ({b"if-match": b'"a"'}, PROCEED),
        ({b"if-match": b'"b", "a"'}, PROCEED),
        ({b"if-match": b'"b"'}, FAILED),
        ({b"if-match": b'W/"a"'}, FAILED),
        ({b"if-match": b"*"}, PROCEED),
        # 13.1.4, and only without If-Match
        ({b"if-unmodified-since": NOW}, PROCEED),
        ({b"if-unmodified-since": BEFORE}, FAILED),
        ({b"if-unmodified-since": b"yesterday"}, PROCEED),
        ({b"if-match": b'"a"', b"if-unmodified-since": BEFORE}, PROCEED),
        # 13.1.2, weak comparison
        ({b"if-none-match": b'"a"'}, SAME),
        ({b"if-none-match": b'W/"a"'}, SAME),
        ({b"if-none-match": b'"b" , ,W/"a"'}, SAME),
        ({b"if-none-match": b'"x,"a"'}, PROCEED),
        ({b"if-none-match": b'"b"'}, PROCEED),
        ({b"if-none-match": b"a"}, PROCEED),
        ({b"if-none-match": b"*"}, SAME),
        # 13.1.3, and only without If-None-Match
        ({b"if-modified-since": NOW}, SAME),
        ({b"if-modified-since": AFTER}, SAME),
        ({b"if-modified-since": BEFORE}, PROCEED),
        ({b"if-modified-since": b"0"}, PROCEED),
        ({b"if-none-match": b'"b"', b"if-modified-since": NOW}, PROCEED),
        # 13.1.5
        ({b"range": b"bytes=0-", b"if-range": b'"a"'}, PROCEED),
        ({b"range": b"bytes=0-", b"if-range": b'"b"'}, IGNORE),
        ({b"range": b"bytes=0-", b"if-range": b'W/"a"'}, IGNORE),
        ({b"range": b"bytes=0-", b"if-range": NOW}, PROCEED),
        ({b"range": b"bytes=0-", b"if-range": AFTER}, IGNORE),
        ({b"range": b"bytes=0-", b"if-range": b"never"}, IGNORE),
        # 13.2.2: If-Match before If-None-Match before If-Range
        ({b"if-match": b'"b"', b"if-none-match": b'"a"'}, FAILED),
        ({b"if-match": b'"a"', b"if-none-match": b'"a"'}, SAME),
        ({b"if-none-match": b'"a"', b"if-range": b'"b"'}, SAME),
    ],
)
def test_rfc9110_13_2_2(fields: dict[bytes, bytes], expected: Verdict) -> None:
    assert verdict(fields) == expected


def test_other_methods() -> None:
    assert verdict({b"if-none-match": b"*"}, "PUT") == FAILED
    assert verdict({b"if-none-match": b'"a"'}, "HEAD") == SAME
    assert verdict({b"if-modified-since": NOW}, "POST") == IGNORE
    assert verdict({b"range": b"bytes=0-"}, "HEAD") == IGNORE


def test_without_validators() -> None:
    assert verdict({b"if-match": b'"a"'}, etag=None) == FAILED
    assert verdict({b"if-none-match": b'"a"'}, etag=None) == PROCEED
    assert verdict({b"if-modified-since": AFTER}, at=None) == PROCEED
    assert verdict({b"if-unmodified-since": BEFORE}, at=None) == PROCEED
    assert verdict({b"if-range": NOW}, at=None) == IGNORE
    assert verdict({b"if-range": b"never"}, at=None) == IGNORE
    assert verdict({b"if-none-match": b'"W/"'}, etag=b'W/"W/"') == SAME
    assert verdict({b"if-range": b'W/"a"'}, etag=b'W/"a"') == IGNORE


def test_whether_any_condition_is_there_is_remembered() -> None:
    plain = Fields([(b"host", b"a"), (b"accept-ranges", b"bytes")])
    assert plain.conditional is None
    assert not is_conditional(plain) and plain.conditional is False
    for name in CONDITIONAL:
        fields = Fields([(b"host", b"a"), (name, b"x")])
        assert is_conditional(fields) and fields.conditional is True
