"""The form of stored answers: what was written is read again, what was torn is not."""

from __future__ import annotations

import pytest

from enfilade.cache.record import PREFIX_SIZE, decode_head, decode_prefix, encode
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


def read(record: bytes) -> Stored | None:
    prefix = decode_prefix(record)
    if prefix is None:
        return None
    head = memoryview(record)[PREFIX_SIZE : PREFIX_SIZE + prefix.head_size]
    return decode_head(prefix, head, Whole(record[PREFIX_SIZE + prefix.head_size :]))


def test_what_was_written_is_read_again() -> None:
    answer = read(RECORD)
    assert answer is not None
    for name in ("key", "status", "fields", "terms", "names", "generation"):
        assert getattr(answer, name) == getattr(ANSWER, name)
    assert answer.content.read(0, 5) == b"hello"
    assert answer.content.read(1, 3) == b"el"


@pytest.mark.parametrize("at", range(len(RECORD) - len(b"hello")))
def test_a_flipped_bit_in_front_of_the_body_is_no_record_or_another_body(at: int) -> None:
    torn = bytearray(RECORD)
    torn[at] ^= 0x10
    prefix = decode_prefix(bytes(torn))
    if at >= PREFIX_SIZE:
        assert read(bytes(torn)) is None
    elif prefix is not None:
        assert prefix != decode_prefix(RECORD)


@pytest.mark.parametrize("size", range(len(RECORD) - len(b"hello")))
def test_a_record_that_ends_in_its_head_is_none(size: int) -> None:
    assert read(RECORD[:size]) is None
