"""What authorities complain about, in sentences."""

from __future__ import annotations

import pytest

from enfilade.acme.problem import ADVICE, Identifier, Problem, sentence

PREFIX = "urn:ietf:params:acme:error:"


@pytest.mark.parametrize("kind", ADVICE)
def test_each_says_what_to_do(kind: str) -> None:
    assert sentence(Problem(PREFIX + kind, "Because.")) == f"Because ({kind}); {ADVICE[kind]}"


def test_what_nobody_knows_is_passed_on() -> None:
    assert sentence(Problem("about:blank", "odd")) == "odd (about:blank)"
    assert sentence(Problem()) == "no details"


def test_each_name_has_its_own() -> None:
    parts = [Problem(PREFIX + "caa", "no", Identifier("dns", name)) for name in ("a.b", "c.d")]
    text = sentence(Problem(PREFIX + "compound", "several", subproblems=parts))
    assert text == f"several (compound); a.b: no (caa); c.d: no (caa); {ADVICE['caa']}"


def test_what_a_stranger_wrote_cannot_make_a_line_of_the_log() -> None:
    text = sentence(Problem(PREFIX + "unauthorized", 'got "<html>\n\x1b[31m2026 ERROR all is lost' + "x" * 1000))
    assert "\n" not in text and "\x1b" not in text and len(text) < 700
