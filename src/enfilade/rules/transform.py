"""What is done to a value before it is looked at, so that it looks as whoever takes it in would see it.

Each takes time in proportion to its text, and raises for none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from html import unescape
from urllib.parse import unquote_to_bytes

Transform = Callable[[str], str]

_UNICODE_ESCAPE = re.compile(r"%u([0-9a-fA-F]{4})")
_LEADING_ZEROS = re.compile(r"&#([xX]?)0+")
_TOO_LONG = re.compile(r"&#[xX]?[0-9a-fA-F]{8,}")
_COMMENT = re.compile(r"/\*!?[0-9]*|\*/")
_SHELL_QUOTES = re.compile(r"[\"'\\^]")


def read_text(raw: bytes) -> str:
    r"""Bytes as text: UTF-8, and `\xHH` for what is none, so that no byte hides."""
    return raw.decode("utf-8", "backslashreplace")


def percent_decoded(raw: bytes) -> str:
    return read_text(unquote_to_bytes(raw)) if b"%" in raw else read_text(raw)


def _decode(text: str) -> str:
    if "%" not in text:
        return text
    text = _UNICODE_ESCAPE.sub(lambda m: chr(int(m[1], 16)), text)
    return percent_decoded(text.encode("utf-8", "backslashreplace"))


def _entities(text: str) -> str:
    if "&" not in text:
        return text
    # Zeros in front mean nothing, and what is longer than any character is none: html.unescape would make a number of it.
    return unescape(_TOO_LONG.sub("", _LEADING_ZEROS.sub(r"&#\g<1>", text)))


def _no_nul(text: str) -> str:
    return text.replace("\0", "")


def _no_comments(text: str) -> str:
    """SQL reads `/* */` as a space; MySQL reads what stands in `/*!50000 */`."""
    return _COMMENT.sub(" ", text)


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def _no_quotes(text: str) -> str:
    r"""Shells read `c'a't` and `c\at` as `cat`."""
    return _SHELL_QUOTES.sub("", text)


TRANSFORMS: dict[str, Transform] = {
    "decode": _decode,
    "entities": _entities,
    "no_nul": _no_nul,
    "no_comments": _no_comments,
    "no_quotes": _no_quotes,
    "squeeze": _squeeze,
    "lowercase": str.lower,
}
"""The words of `transform`: percent-decoded (once more), HTML entities read, NULs, comments and quotes taken out, white space
squeezed to one space, lower case."""


_UNTOUCHED = re.compile(r"(?:[^%&\0*\"'\\^\s]+(?: [^%&\0*\"'\\^\s]+)*)?").fullmatch


def is_untouched(text: str) -> bool:
    """Whether each transform but `lowercase` would leave `text` as it is, as with most that honest people send."""
    return _UNTOUCHED(text) is not None


def transformed(text: str, words: Iterable[str]) -> str:
    """`text` after the transforms `words`, in their order."""
    for word in words:
        text = TRANSFORMS[word](text)
    return text
