"""HTTP dates (RFC 9110 section 5.6.7), and moments as people read them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.http.dates import format_date, local_time, parse_date


@pytest.mark.parametrize(
    "value", [b"Sun, 06 Nov 1994 08:49:37 GMT", b"Sunday, 06-Nov-94 08:49:37 GMT", b"Sun Nov  6 08:49:37 1994"]
)
def test_the_three_forms_mean_the_same(value: bytes) -> None:
    assert parse_date(value) == 784111777


def test_imf_fixdate_is_written() -> None:
    assert format_date(784111777.9) == b"Sun, 06 Nov 1994 08:49:37 GMT"
    assert format_date(0) == b"Thu, 01 Jan 1970 00:00:00 GMT"


@settings(max_examples=100, deadline=None)
@given(st.integers(-(10**10), 250_000_000_000))
def test_what_is_written_is_read_again(seconds: int) -> None:
    assert parse_date(format_date(seconds)) == seconds


def test_two_digit_years_and_leap_seconds() -> None:
    assert parse_date(b"Thursday, 01-Jan-70 00:00:00 GMT") == 0
    assert parse_date(b"Tuesday, 01-Jan-69 00:00:00 GMT") == parse_date(b"Tue, 01 Jan 2069 00:00:00 GMT")
    assert parse_date(b"Sat, 31 Dec 2016 23:59:60 GMT") == parse_date(b"Sat, 31 Dec 2016 23:59:59 GMT")


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"0",
        b"Sun, 06 Nov 1994 08:49:37",
        b"Sun, 06 Nov 1994 08:49:37 UTC",
        b"sun, 06 nov 1994 08:49:37 GMT",
        b"Sun, 31 Feb 1994 08:49:37 GMT",
        b"Sun, 06 Nov 1994 24:00:00 GMT",
        b"Sun, 06 Nov 1994 08:49:61 GMT",
        b"Sun, 06 Nov 0000 08:49:37 GMT",
        b"Sun, 06 Nov 1994 08:49:37 GMT\n",
    ],
)
def test_anything_else_is_no_date(value: bytes) -> None:
    assert parse_date(value) is None


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as context:
        context.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("_berlin")
@pytest.mark.parametrize(
    ("seconds", "text"),
    [(784111777, "1994-11-06 09:49:37"), (772543777.9, "1994-06-25 13:29:37"), (2**62, "9999-01-01 01:00:00")],
)
def test_people_read_a_moment_by_their_own_clock(seconds: float, text: str) -> None:
    """A ban may be meant for ever, and is told of nevertheless."""
    assert local_time(seconds) == text
