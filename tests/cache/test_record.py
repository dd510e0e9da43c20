"""The form of stored answers: what was written is read again, what was torn is not."""

from __future__ import annotations

import pytest

from enfilade.cache.record import decode, encode
from enfilade.cache.stored import Flag, Stored, Terms, Whole
from enfilade.http.fields import Fields

ANSWER = Stored(
    b"http\0example.com\0/\0",
    200,
    Fields([(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=\xff")]),
    Terms(1000.5, 1060.5, 1060.5, 1120.5, Flag.STRICT | Flag.GUESSED),
    (3, 70000),
    12,
    Whole(b"hello"),
)
RECORD = encode(ANSWER, b"hello")


def test_what_was_written_is_read_again() -> None:
    answer = decode(RECORD)
    assert answer is not None
    for name in ("key", "status", "fields", "terms", "names", "generation"):
        assert getattr(answer, name) == getattr(ANSWER, name)
    assert answer.content.read(0, 5) == b"hello"
    assert answer.content.read(1, 3) == b"el"


@pytest.mark.parametrize("at", range(len(RECORD)))
def test_a_flipped_bit_anywhere_makes_it_no_record(at: int) -> None:
    torn = bytearray(RECORD)
    torn[at] ^= 0x10
    assert decode(bytes(torn)) is None


@pytest.mark.parametrize("size", range(len(RECORD)))
def test_a_record_that_is_cut_is_none(size: int) -> None:
    assert decode(RECORD[:size]) is None


def test_a_record_with_something_behind_it_is_none() -> None:
    assert decode(RECORD + b"x") is None
