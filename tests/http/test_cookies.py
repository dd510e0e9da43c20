"""Cookies of requests (RFC 6265 section 5.4)."""

from __future__ import annotations

import pytest

from enfilade.http.cookies import cookie_reader
from enfilade.http.fields import Fields


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ([], None),
        ([b""], None),
        ([b"sid=1"], b"1"),
        ([b"a=b; sid=1"], b"1"),
        ([b"a=b;sid=1;c=d"], b"1"),
        ([b"a=b", b"sid=1"], b"1"),  # crumbs (RFC 9113 section 8.2.3)
        ([b"sid=1; sid=2"], b"1"),
        ([b"sid="], b""),
        ([b"sid = 1 ; a=b"], b"1"),
        ([b"sid=a=b"], b"a=b"),
        ([b'sid="1"'], b'"1"'),  # the quotes are part of the value
        ([b"SID=1"], None),
        ([b"xsid=1"], None),
        ([b"sidx=1"], None),
        ([b"a=sid=1"], None),
        ([b"sid"], None),
    ],
)
def test_the_first_cookie_of_that_very_name(lines: list[bytes], value: bytes | None) -> None:
    assert cookie_reader("sid")(Fields([(b"cookie", line) for line in lines])) == value


def test_a_name_is_no_pattern() -> None:
    assert cookie_reader("a.c")(Fields([(b"cookie", b"abc=1; a.c=2")])) == b"2"


@pytest.mark.parametrize("name", ["", "a b", "a=b", "a;b", "ä"])
def test_names_that_no_cookie_has_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name of a cookie"):
        cookie_reader(name)
