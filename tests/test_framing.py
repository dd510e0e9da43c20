"""Where messages end: each framing is fed every case whole, byte by byte, and with half a message behind."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.framing import Chunks, Delimiter, Fixed, Framing, Length, framed

LIMIT = 5


class Case(NamedTuple):
    """`data` holds these messages; `rest` is left, None: what comes next is too long."""

    framing: Framing
    data: bytes
    messages: list[bytes]
    rest: bytes | None = b""


LINE, CRLF = Delimiter(b"\n"), Delimiter(b"\r\n")
CASES = [
    Case(LINE, b"", []),
    Case(LINE, b"a\n", [b"a"]),
    Case(LINE, b"\n\nab\n", [b"", b"", b"ab"]),
    Case(LINE, b"a\nbc", [b"a"], b"bc"),
    Case(LINE, b"12345\n", [b"12345"]),
    Case(LINE, b"12345", [], b"12345"),
    Case(LINE, b"123456\n", [], None),
    Case(LINE, b"123456", [], None),
    Case(LINE, b"a\n123456\nb\n", [b"a"], None),
    Case(LINE, b"a\nb\n123456", [b"a", b"b"], None),
    Case(CRLF, b"a\r\n\r\n", [b"a", b""]),
    Case(CRLF, b"a\rb\nc\r\n", [b"a\rb\nc"]),
    Case(CRLF, b"12345\r\n", [b"12345"]),
    Case(CRLF, b"12345\r", [], b"12345\r"),
    Case(CRLF, b"12345\rx", [], None),
    Case(CRLF, b"\r\r\n", [b"\r"]),
    Case(Delimiter(b"aa"), b"aaa", [b""], b"a"),
    Case(Length(1), b"\0", [b""]),
    Case(Length(1), b"\2ab\0\1c", [b"ab", b"", b"c"]),
    Case(Length(1), b"\2a", [], b"\2a"),
    Case(Length(1), b"\5" + b"12345", [b"12345"]),
    Case(Length(1), b"\1a\6", [b"a"], None),
    Case(Length(2), b"\0\1a\0", [b"a"], b"\0"),
    Case(Length(4), b"\xff\xff\xff\xff", [], None),
    Case(Length(8), b"\0\0\0\0\0\0\0\1ab", [b"a"], b"b"),
    Case(Fixed(2), b"abcd", [b"ab", b"cd"]),
    Case(Fixed(2), b"abc", [b"ab"], b"c"),
    Case(Fixed(9), b"123456789", [b"123456789"]),
]


def cut_in(pieces: list[bytes], framing: Framing) -> tuple[list[bytes], bytes | None]:
    """What comes of data that comes in pieces."""
    messages: list[bytes] = []
    rest: bytes | None = b""
    for piece in pieces:
        assert rest is not None
        more, rest = framing.cut(rest + piece, LIMIT)
        messages += more
        if rest is None:
            break
    return messages, rest


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_case_whole(case: Case) -> None:
    assert case.framing.cut(case.data, LIMIT) == (case.messages, case.rest)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_a_case_byte_by_byte(case: Case) -> None:
    assert cut_in([case.data[i : i + 1] for i in range(len(case.data))], case.framing) == (case.messages, case.rest)


@pytest.mark.parametrize("case", [case for case in CASES if case.rest == b""], ids=repr)
def test_a_case_with_half_a_message_behind(case: Case) -> None:
    behind = b"\0" if isinstance(case.framing, Length) else b"x"
    if case.framing == Length(1):
        behind = b"\1"
    assert case.framing.cut(case.data + behind, LIMIT) == (case.messages, behind)


@given(
    st.sampled_from([LINE, CRLF, Delimiter(b"aba"), Length(1), Length(2), Fixed(3), Fixed(9)]),
    st.lists(st.text("\0\1\6ab\r\n", max_size=9).map(str.encode), max_size=6),
)
def test_where_no_message_ends_nothing_is_cut(framing: Framing, pieces: list[bytes]) -> None:
    data = bytearray()
    for piece in pieces:
        seen = len(data)
        data += piece
        if seen and not framing.ends(data, seen, LIMIT):
            assert framing.cut(bytes(data), LIMIT) == ([], data)
            continue
        _, rest = framing.cut(bytes(data), LIMIT)
        if rest is None:
            break
        data = bytearray(rest)


def test_an_end_is_looked_for_in_what_is_new_only() -> None:
    assert not CRLF.ends(bytearray(b"\r\na\r"), 3, LIMIT)
    assert CRLF.ends(bytearray(b"aa\r\n"), 3, LIMIT)
    assert not Delimiter(b"aba").ends(bytearray(b"abacab"), 4, LIMIT)
    assert Delimiter(b"aba").ends(bytearray(b"ccabac"), 4, LIMIT)


@given(
    st.sampled_from([LINE, CRLF, Delimiter(b"aba"), Length(1), Length(2), Fixed(3)]),
    st.lists(st.text("\0\1\6ab\r\n", max_size=9).map(str.encode), max_size=6),
)
def test_it_does_not_matter_how_the_bytes_were_cut(framing: Framing, pieces: list[bytes]) -> None:
    assert cut_in(pieces, framing) == framing.cut(b"".join(pieces), LIMIT)


@pytest.mark.parametrize("framing", [LINE, CRLF, Delimiter(b"aba"), Length(1), Length(8)], ids=repr)
def test_what_is_wrapped_is_cut_again(framing: Framing) -> None:
    answers = [b"", b"1", b"12345"]
    assert framing.cut(b"".join(map(framing.wrap, answers)), LIMIT) == (answers, b"")


def test_whatever_is_read_at_once_is_a_chunk() -> None:
    assert Chunks().cut(b"longer than 5", LIMIT) == ([b"longer than 5"], b"")
    assert Chunks().cut(b"", LIMIT) == ([b""], b"")
    assert Chunks().wrap(b"a") == b"a"


def test_an_answer_may_end_in_something_else() -> None:
    assert Delimiter(b"?", b".").wrap(b"so") == b"so."
    assert Delimiter(b"?", b"").wrap(b"so") == b"so"
    assert Delimiter(b"?").wrap(b"so") == b"so?"


def test_an_answer_to_fixed_messages_has_any_length() -> None:
    assert Fixed(2).wrap(b"abc") == b"abc"


def test_an_answer_longer_than_its_length_can_say_is_an_error() -> None:
    assert Length(1).wrap(bytes(255)) == b"\xff" + bytes(255)
    with pytest.raises(OverflowError):
        Length(1).wrap(bytes(256))


@pytest.mark.parametrize("make", [lambda: Delimiter(b""), lambda: Length(0), lambda: Length(9), lambda: Fixed(0)])
def test_framings_without_sense_are_refused(make: type) -> None:
    with pytest.raises(ValueError):
        make()


def test_a_handler_that_is_framed_is_the_same_function() -> None:
    def shout(line: bytes) -> bytes:
        return line.upper()

    assert framed(LINE)(shout) is shout
    assert shout(b"a") == b"A"
    assert shout.framing is LINE  # type: ignore[attr-defined]
