"""Patterns: which one wins, which cannot stand together, and what is found."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.route.patterns import Found, Refused, RouteError, Table, compile_routes


def table(*patterns: str) -> Table[str]:
    return compile_routes([(p, p) for p in patterns])


def target(t: Table[str], method: str, path: str) -> str | None:
    found = t.find(method, path)
    return found.target if isinstance(found, Found) else None


SITE = table(
    "/*", "/about", "/api/*", "GET /api/users/{id}", "/api/users/{id}", "GET /api/users/me", "GET /reports/*",
    "/dir/", "/help/{lang}",
)  # fmt: skip


@pytest.mark.parametrize(
    ("request_line", "pattern"),
    [
        ("GET /", "/*"),
        ("GET /nothing/special", "/*"),
        ("GET /about", "/about"),
        ("GET /about/", "/*"),
        ("GET /api", "/api/*"),
        ("GET /api/", "/api/*"),
        ("DELETE /api/a/b/c", "/api/*"),
        ("GET /apis", "/*"),
        ("GET /api/users/7", "GET /api/users/{id}"),
        ("HEAD /api/users/7", "GET /api/users/{id}"),
        ("PUT /api/users/7", "/api/users/{id}"),
        ("GET /api/users/me", "GET /api/users/me"),
        ("GET /api/users/", "/api/*"),
        ("GET /api/users/7/x", "/api/*"),
        ("GET /reports/2024", "GET /reports/*"),
        ("POST /reports/2024", "/*"),
        ("GET /dir/", "/dir/"),
        ("GET /dir", "/*"),
        ("GET /help/de", "/help/{lang}"),
    ],
)
def test_the_most_specific_pattern_wins(request_line: str, pattern: str) -> None:
    method, path = request_line.split()
    assert target(SITE, method, path) == pattern


def test_params_and_mount() -> None:
    t = table("/{user}/files/*")
    found = t.find("GET", "/bob b/files/a/b")
    assert isinstance(found, Found)
    assert (found.params, found.mount) == ({"user": "bob b"}, "/bob b/files")
    t = table("PUT /u/{a}/x/{b}", "/api/*", "/x/*", "/x/y")
    found = t.find("PUT", "/u/1/x/2")
    assert isinstance(found, Found)
    assert (found.params, found.mount) == ({"a": "1", "b": "2"}, "")
    for path in ("/api", "/api/", "/api/x/y"):
        found = t.find("GET", path)
        assert isinstance(found, Found) and found.mount == "/api"
    found = table("/*").find("GET", "/a/b")
    assert isinstance(found, Found) and found.mount == ""
    found = t.find("GET", "/x/y")
    assert isinstance(found, Found) and found.mount == ""


def test_a_known_path_with_another_method_is_405_with_allow() -> None:
    t = table("GET /a", "PUT /a", "DELETE /{x}", "/b/*")
    refused = t.find("POST", "/a")
    assert isinstance(refused, Refused) and refused.allow == ("DELETE", "GET", "HEAD", "PUT")
    assert target(t, "DELETE", "/a") == "DELETE /{x}"
    refused = t.find("GET", "/zzz")
    assert isinstance(refused, Refused) and refused.allow == ("DELETE",)
    assert t.find("GET", "/a/b") is None


def test_head_may_have_its_own_pattern_in_either_order() -> None:
    for t in (table("GET /a", "HEAD /a"), table("HEAD /a", "GET /a")):
        assert (target(t, "HEAD", "/a"), target(t, "GET", "/a")) == ("HEAD /a", "GET /a")


def test_the_asterisk_form_and_authorities_belong_to_no_route() -> None:
    assert table("/*").find("OPTIONS", "*") is None
    assert table("/*").find("CONNECT", "") is None


def test_the_bare_prefix_yields_to_patterns_without_asterisk() -> None:
    assert target(table("/{x}", "/api/*"), "GET", "/api") == "/{x}"
    assert target(table("/api", "/api/*"), "GET", "/api") == "/api"
    assert target(table("GET /api", "/api/*"), "POST", "/api") == "/api/*"


@pytest.mark.parametrize(
    "pair",
    [
        ("/a", "/a"),
        ("/{x}", "/{y}"),
        ("/a/*", "/a/*"),
        ("GET /a", "GET /a"),
        ("/a/{x}", "/{y}/b"),
        ("GET /*", "/a"),
        ("GET /{x}", "/a"),
        ("/{x}/*", "/{y}/*"),
        ("/{x}/b/*", "/a/*"),
    ],
)
def test_patterns_that_tie_are_an_error_that_names_both(pair: tuple[str, str]) -> None:
    for a, b in (pair, pair[::-1]):
        with pytest.raises(RouteError) as e:
            table("PUT /other", a, b)
        assert e.value.patterns == (a, b)
        assert repr(a) in str(e.value) and repr(b) in str(e.value)


def test_the_error_shows_a_request_that_both_match() -> None:
    with pytest.raises(RouteError, match="such as 'GET /a/b'"):
        table("/a/{x}", "/{y}/b")
    with pytest.raises(RouteError, match="such as 'GET /a'"):
        table("GET /*", "/a")


@pytest.mark.parametrize(
    "pattern",
    ["", "a", "*", "get /a", "GET  x", "/a*", "/*/a", "/{a", "/a}", "/{}", "/{1}", "/x{a}", "/{a}/{a}", "/a//b",
     "/a/../b", "/./a", "/a?b"],
)  # fmt: skip
def test_what_cannot_match_or_cannot_be_read_is_an_error(pattern: str) -> None:
    with pytest.raises(RouteError):
        table(pattern)


SEGMENT = st.sampled_from(["a", "b", "{x}", ""])
PATTERN = st.builds(
    lambda method, inner, last: method + "".join(f"/{s}" for s in [*inner, last]),
    st.sampled_from(["", "GET ", "HEAD ", "PUT "]),
    st.lists(st.sampled_from(["a", "b", "{x}"]), max_size=2, unique_by=lambda s: s if s == "{x}" else object()),
    st.sampled_from(["a", "b", "*", "", "{y}"]),
)


def matches(pattern: str, method: str, path: str) -> bool:
    """The plain meaning of one pattern, without the bare prefix."""
    wanted, _, want = pattern.rpartition(" ")
    if wanted and wanted != method and (wanted, method) != ("GET", "HEAD"):
        return False
    segments, parts = want[1:].split("/"), path[1:].split("/")
    if segments[-1] == "*":
        if len(parts) < len(segments):
            return False
        segments, parts = segments[:-1], parts[: len(segments) - 1]
    return len(segments) == len(parts) and all(
        p != "" if s[:1] == "{" else s == p for s, p in zip(segments, parts, strict=True)
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(PATTERN, min_size=1, max_size=5, unique=True))
def test_the_winner_matches_and_is_the_narrowest_of_all_that_match(patterns: list[str]) -> None:
    try:
        t = table(*patterns)
    except RouteError:
        return
    requests = [
        (m, "/" + "/".join(p))
        for m in ("GET", "HEAD", "PUT", "POST")
        for p in ([a] for a in ("", "a", "b", "c"))
    ] + [(m, f"/{p}/{q}") for m in ("GET", "HEAD", "PUT") for p in ("a", "b", "c") for q in ("", "a", "b", "c")]  # fmt: skip
    reach = {p: {r for r in requests if matches(p, *r)} for p in patterns}
    for request in requests:
        candidates = [p for p in patterns if request in reach[p]]
        won = target(t, *request)
        if candidates:
            if won in candidates:
                assert all(reach[won] <= reach[p] for p in candidates)
            else:
                assert won is not None and won.endswith("/*") and all(p.endswith("/*") for p in candidates)


def test_a_thousand_patterns_are_compared_only_where_they_may_meet() -> None:
    routes = [
        (f"{method} /api/{{x}}/thing{i}", i) for i in range(200) for method in ("GET", "PUT", "POST", "DELETE", "PATCH")
    ]
    table = compile_routes([*routes, ("/api/*", -1), ("/*", -2)])
    found = table.find("PUT", "/api/a/thing7")
    assert isinstance(found, Found) and found.target == 7
    with pytest.raises(RouteError, match="neither is more specific"):
        compile_routes([*routes, ("GET /api/a/{y}", -1)])
