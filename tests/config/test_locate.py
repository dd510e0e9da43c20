"""The scanner finds every key that tomllib finds, and no other, at the place where it stands."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.config.errors import Path
from enfilade.config.locate import Place, Places


def paths_of(value: object, path: Path = ()) -> set[Path]:
    items: list[tuple[str | int, object]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return {(*path, key) for key, _ in items} | {p for key, item in items for p in paths_of(item, (*path, key))}


def quoted(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'


BARE = st.text("abcXYZ019_-", min_size=1, max_size=5)
TEXT = st.text("ab \\\"'#.,=[]{}\n\tä€😀", max_size=8)
KEY = BARE | TEXT.map(quoted) | st.text('ab "#.=[]{}\\', max_size=6).map(lambda t: f"'{t}'")
SCALAR = st.one_of(
    st.sampled_from(["true", "1", "-1.5e3", "0xff", "inf", "1979-05-27 07:32:00", "07:32:00", "1979-05-27T07:32:00Z"]),
    TEXT.map(quoted),
    TEXT.map(lambda t: '"""' + quoted(t)[1:-1].replace("\\n", "\n") + '"""'),
    st.text('ab \\"#.,=[]{}\n', max_size=8).map(lambda t: f"'''{t}'''"),
    st.sampled_from(['"""a""b"""', '"""a\\\n  b"""', '"""""a"""""', "'''''a'''''", '""', "''", '""""""', "''''''"]),
)


def lists(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    gap = st.sampled_from(["", " ", "\n", " # ] comment\n"])
    return st.tuples(st.lists(inner, max_size=3), gap).map(lambda x: f"[{x[1]}" + f",{x[1]}".join(x[0]) + f"{x[1]}]")


def tables(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    pairs = st.lists(st.tuples(KEY, inner), max_size=3, unique_by=lambda pair: pair[0])
    return pairs.map(lambda x: "{ " + ", ".join(f"{key} = {value}" for key, value in x) + " }")


VALUE = st.recursive(SCALAR, lambda inner: lists(inner) | tables(inner), max_leaves=6)
DOTTED = st.lists(KEY, min_size=1, max_size=3).map(" . ".join)
LINE = st.one_of(
    st.tuples(DOTTED, VALUE).map(" = ".join),
    st.tuples(DOTTED, VALUE).map(lambda x: f"\t{x[0]}={x[1]} # comment"),
    DOTTED.map("[{}]".format),
    DOTTED.map("[[ {} ]]".format),
    st.just("# [comment]"),
    st.just(""),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(LINE, max_size=12), st.sampled_from(["\n", "\r\n"]))
def test_finds_what_tomllib_finds(lines: list[str], newline: str) -> None:
    good: list[str] = []
    for line in lines:  # keep what is a document together: most of what is generated at random contradicts itself
        try:
            tomllib.loads("\n".join([*good, line]))
            good.append(line)
        except tomllib.TOMLDecodeError:
            continue
    text = "\n".join(good).replace("\n", newline)
    assert Places(text).paths() == paths_of(tomllib.loads(text))


DOCUMENT = """\
top = 1
[server]   # comment with = and [x]
http = [
  ":80",  # one
  ":81",
]
limits.head = 3
[sites."a.b"]
"/*" = { files = "x", headers = { A = "}" } }
[[list]]
k = 1
[[list]]
  k = '''
two'''
after = 2
"""


@pytest.mark.parametrize(
    ("path", "key", "value"),
    [
        (("top",), (1, 1), (1, 7)),
        (("server",), (2, 2), (2, 1)),
        (("server", "http"), (3, 1), (3, 8)),
        (("server", "http", 1), (5, 3), (5, 3)),
        (("server", "limits"), (7, 1), (7, 1)),
        (("server", "limits", "head"), (7, 8), (7, 15)),
        (("sites", "a.b"), (8, 8), (8, 1)),
        (("sites", "a.b", "/*", "headers", "A"), (9, 35), (9, 39)),
        (("list", 1, "k"), (13, 3), (13, 7)),
        (("list", 1, "after"), (15, 1), (15, 9)),
        (("server", "none", "there"), (2, 2), (2, 1)),
    ],
)
def test_places(path: Path, key: tuple[int, int], value: tuple[int, int]) -> None:
    places = Places(DOCUMENT)
    assert places.key(path) == Place(*key)
    assert places.value(path) == Place(*value)


def test_nothing_is_nowhere() -> None:
    assert Places("").key(("a",)) is None
