"""Hashed passwords: what is made, what is read, and what costs too little or too much."""

from __future__ import annotations

import pytest

from enfilade.http.passwords import hash_password, parse_password

# RFC 7914 section 12 has this one with N = 16384, r = 8, p = 1 and a digest of 64 bytes.
KNOWN = (
    "$scrypt$ln=14,r=8,p=1$U29kaXVtQ2hsb3JpZGU$"
    "cCO9yzr9c0hGHAbNgf046/2o+7qQT44+qbVD9lRdofLVQylVYT8Pz2LUlwUkKpr55h6F3A1lHkDfzwF7RVdYhw"
)


def test_a_hash_of_the_rfc_is_known() -> None:
    known = parse_password(KNOWN)
    assert known.is_it(b"pleaseletmein") and not known.is_it(b"pleaseletmeim")
    assert str(known) == KNOWN


def test_what_is_made_can_be_read() -> None:
    made = hash_password("pässword".encode(), b"salt" * 4)
    assert str(made).startswith("$scrypt$ln=15,r=8,p=3$")
    assert parse_password(str(made)).is_it("pässword".encode())
    assert str(hash_password("pässword".encode(), b"tlas" * 4)) != str(made)


@pytest.mark.parametrize(
    "text",
    [
        "", "secret", "$2y$05$abcdefghijklmnopqrstuv", "$apr1$x$y", "{SHA}xx", KNOWN + "=", KNOWN[:-60] + "*", " " + KNOWN,
        KNOWN.replace("ln=14", "ln=13"), KNOWN.replace("ln=14", "ln=18"), KNOWN.replace("r=8", "r=9"),
        KNOWN.replace("p=1", "p=0"), KNOWN.replace("p=1", "p=9"), KNOWN[:-1],
    ],
)  # fmt: skip
def test_what_is_none_or_not_worth_it_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(ValueError, match=r"hash") as raised:
        parse_password(text)
    assert not text.strip() or text.strip() not in str(raised.value)
