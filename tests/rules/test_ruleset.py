"""Which rules a request hits."""

from __future__ import annotations

from typing import Any

import pytest
from tests.rules.kit import at, get, hit, request_of, rule

from enfilade.http.request import Request
from enfilade.rules import ruleset
from enfilade.rules.rule import Condition, literally
from enfilade.rules.ruleset import Ruleset

POST = request_of(("/", [("content-type", "Application/JSON; a=b"), ("content-length", "1025")]), "POST")


@pytest.mark.parametrize(
    ("condition", "request_"),
    [
        (at("method", finds="^POST$"), POST),
        (at("host", finds=literally(["example.com"])), get("/")),
        (at("path", finds="^/a b$"), get("/a%20b")),
        (at("query", finds="^a=%20b&c$"), get("/?a=%20b&c")),
        (at("argument a", finds="^ b c$"), get("/?x=1&a=+b%20c")),
        (at("argument a", finds="^2$"), get("/?a=1&a=2")),
        (at("argument a", finds="^$"), get("/?a")),
        (at("argument b c", finds="1"), get("/?b+c=1")),
        (at("argument *", finds="evil"), get("/?zz=evil")),
        (at("argument names", finds="evil"), get("/?x=1&evil%5B%5D=1")),
        (at("field x-a", finds="^v$"), get("/", ("x-a", "v"))),
        (at("field *", finds="^v$"), get("/", ("x-anything", "v"))),
        (at("cookie a", finds="^1$"), get("/", ("cookie", "b=2; a=1"))),
        (at("cookie *", finds="^2$"), get("/", ("cookie", "a=1;b=2"))),
        (at("content-type", finds=literally(["application/json"])), POST),
        (at("body size", longer_than=1024), POST),
        (at("argument a", longer_than=3), get("/?a=%C3%A9%C3%A9")),
        (at("path", "argument *", finds="evil"), get("/evil")),
        (at("path", "argument *", finds="evil"), get("/?a=evil")),
        (at("argument a", finds="x'y", transform=("decode", "lowercase")), get("/?a=X%2527Y")),
    ],
)  # fmt: skip
def test_where_it_is_looked(condition: Condition, request_: Request) -> None:
    assert hit(rule(condition), request_) == ["r"]


@pytest.mark.parametrize(
    ("condition", "request_"),
    [
        (at("argument a", finds="evil"), get("/?b=evil")),
        (at("argument *", finds="evil"), get("/evil?evil=1", ("x", "evil"))),
        (at("field *", finds="evil"), get("/evil?evil", ("cookie", "evil=evil"))),
        (at("cookie a", finds="evil"), get("/", ("cookie", "b=evil"), ("a", "evil"))),
        (at("body size", longer_than=1025), POST),
        (at("body size", longer_than=0), get("/")),
        (at("argument a", longer_than=4), get("/?a=%C3%A9%C3%A9")),
        (at("path", finds="^/a/b$"), get("/a%2Fb".replace("%2F", "%252F"))),
    ],
)  # fmt: skip
def test_where_it_is_not(condition: Condition, request_: Request) -> None:
    assert hit(rule(condition), request_) == []


@pytest.mark.parametrize(
    ("condition", "request_", "holds"),
    [
        (at("method", finds="^(GET|HEAD)$", negate=True), POST, True),
        (at("method", finds="^(GET|HEAD)$", negate=True), get("/"), False),
        (at("query", finds=".", negate=True), get("/"), True),
        (at("field x-key", finds="^secret$", negate=True), get("/"), True),
        (at("field x-key", finds="^secret$", negate=True), get("/", ("x-key", "other")), True),
        (at("field x-key", finds="^secret$", negate=True), get("/", ("x-key", "secret")), False),
        (at("path", "query", finds="a", negate=True), get("/b?a"), False),
        (at("path", "query", finds="a", negate=True), get("/b?b"), True),
    ],
)
def test_negated(condition: Condition, request_: Request, holds: bool) -> None:
    made = Ruleset([rule(condition)])
    for _ in range(2):  # the second time, all that was clean is known
        assert bool(made.find(request_)) is holds


def test_all_conditions_must_hold() -> None:
    one = rule(at("path", finds="^/admin"), at("field x-key", finds="^secret$", negate=True))
    made = Ruleset([one])
    for _ in range(2):
        assert not made.find(get("/"))
        assert made.find(get("/admin/x"))
        assert not made.find(get("/admin/x", ("x-key", "secret")))


def test_what_was_found_is_told() -> None:
    (found,) = Ruleset([rule(at("argument *", finds="evil"), id="no-evil")]).find(get("/?a=an+evil%0Aone" + "x" * 200))
    assert str(found).startswith(r"no-evil at argument a 'an evil\none" + "xxx")
    assert len(str(found)) < 140


def test_arguments_that_are_passed_over() -> None:
    everywhere, named = rule(at("argument *", finds="evil"), id="a"), rule(at("argument text", finds="evil"), id="b")
    assert hit([everywhere, named], get("/?text=evil"), ["text", "other"]) == ["b"]
    assert hit([everywhere, named], get("/?other=evil"), ["text", "other"]) == []
    assert hit([everywhere, named], get("/?x=evil"), ["text", "other"]) == ["a"]


def test_only_arguments_are_passed_over() -> None:
    elsewhere = rule(at("field *", "cookie *", finds="evil"))
    assert hit([elsewhere], get("/", ("text", "evil")), ["text"])
    assert hit([elsewhere], get("/", ("cookie", "text=evil")), ["text"])


def test_what_is_clean_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    made = Ruleset([rule(at("path", "argument *", "field *", finds="evil"))])
    for scanner in made._scanners.values():
        assert scanner is not None
        monkeypatch.setattr(scanner, "scan", lambda text, scan=scanner.scan: (looked.append(text), scan(text))[1])
    for _ in range(2):
        made.find(get("/a?b=c", ("d", "e")))
    assert looked == ["/a", "c", "example.com", "e"]
    made.find(get("/a?b=d", ("d", "f")))
    assert looked[4:] == ["d", "f"]


def test_what_is_not_clean_is_found_each_time() -> None:
    made = Ruleset([rule(at("path", "argument *", "field *", finds="evil"))])
    for asked in (get("/evil"), get("/?a=evil"), get("/", ("x", "evil"))):
        assert all(made.find(asked) for _ in range(3))


def test_one_field_that_is_clean_does_not_excuse_another() -> None:
    made = Ruleset([rule(at("field a", finds="evil"))])
    assert not made.find(get("/", ("b", "evil")))
    assert made.find(get("/", ("a", "evil")))


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ruleset, "MEMORY", 50)
    made = Ruleset([rule(at("argument *", finds="evil"))])
    for i in range(1000):
        made.find(get(f"/{i}?a{i}={i}", ("x", str(i))))
        assert len(made._clean) <= 50
    scanners = len(made._scanners)
    made.find(get("/?" + "y" * 7000, ("x", "y" * 7000)))
    assert max(len(str(key)) for key in made._clean) < 7000
    assert len(made._scanners) == scanners < 10, "names that strangers think of make no scanners"


def test_nothing_hides_behind_many_arguments_or_cookies() -> None:
    many = "&".join(f"a{i}=1" for i in range(ruleset.PIECES * 2))
    assert hit(rule(at("argument *", finds="evil")), get(f"/?{many}&z=evil")) == ["r"]
    crumbs = "; ".join(f"a{i}=1" for i in range(ruleset.PIECES * 2))
    assert hit(rule(at("cookie *", finds="evil")), get("/", ("cookie", f"{crumbs}; z=evil"))) == ["r"]


def test_bytes_that_are_no_text_hide_nothing() -> None:
    one: Any = rule(at("argument *", finds="a.+b"))
    assert hit(one, get("/?x=a%ff%feb")) == ["r"]


def test_expressions_that_need_too_much_memory_are_refused() -> None:
    heavy = [rule(at("path", finds=f"(?:[a-z]{{900}}[0-9]{{900}}{i}x){{1,40}}"), id=f"r{i}") for i in range(40)]
    with pytest.raises(Exception, match=r"too much|compile|failed"):
        Ruleset(heavy)
