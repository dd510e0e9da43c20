"""The words that rules are written with."""

from __future__ import annotations

from urllib.parse import quote as percent_encoded

import pytest
from tests.rules.kit import at, get, hit, rule

from enfilade.http.request import Request
from enfilade.rules.rule import excluded, literally, parse_part, quote
from enfilade.rules.scanner import check_expression


@pytest.mark.parametrize(
    ("text", "part"),
    [("path", "path"), ("body size", "body size"), ("argument names", "argument names"), ("argument *", "argument *"),
     ("argument user[name]", "argument user[name]"), ("argument a b", "argument a b"), ("field User-Agent", "field user-agent"),
     ("cookie Session", "cookie Session")],
)  # fmt: skip
def test_parts(text: str, part: str) -> None:
    assert parse_part(text) == part


@pytest.mark.parametrize(
    "text", ["", "paths", "argument", "argument ", "field a b", "field ü", "cookie a=b", "body", "header x"]
)
def test_what_is_no_part(text: str) -> None:
    with pytest.raises(ValueError, match="is not a part of a request"):
        parse_part(text)


@pytest.mark.parametrize("text", [".*", "a|b", "(", "[", "\\", "$^", "é", "a b", "\n", "", "日本"])
def test_a_text_stands_for_itself(text: str) -> None:
    assert hit(rule(at("argument a", finds=literally([text, "other"]))), _asking(text)) == ["r"]
    assert hit(rule(at("argument a", finds=literally([text]))), _asking(text + "x")) == []
    assert hit(rule(at("argument a", finds=quote(text))), _asking(f"x{text}x")) == ["r"]


def _asking(text: str) -> Request:
    return get(f"/?a={percent_encoded(text, safe='')}")


@pytest.mark.parametrize(
    ("exclude", "out"),
    [([], False), (["sql-union"], True), (["sql"], True), (["sql-*"], True), (["*"], True), (["sql-u*"], True), (["sq"], False),
     (["xss-*"], False), (["shipped"], True)],
)  # fmt: skip
def test_exclusions(exclude: list[str], out: bool) -> None:
    assert excluded(rule(id="sql-union", tags=("sql", "shipped")), exclude) is out


@pytest.mark.parametrize("expression", ["(", "a**", "(?=a)", r"(a)\1", "(?<!a)b", "a{2000}", "["])
def test_what_re2_cannot_read(expression: str) -> None:
    with pytest.raises(ValueError, match="RE2"):
        check_expression(expression)
