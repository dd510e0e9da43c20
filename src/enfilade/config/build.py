"""From the tables of a document to the objects of the schema, with everything that does not fit.

msgspec would stop at the first error and knows no lines, so each table is walked here, and msgspec converts the leaves.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from types import UnionType
from typing import Annotated, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from enfilade.config.errors import Path, did_you_mean, dotted
from enfilade.config.report import Report
from enfilade.config.schema import HeaderRules, Site
from enfilade.config.units import FILE

T = TypeVar("T", bound=msgspec.Struct)

REFUSED = object()
STREAMS = ("stdout", "stderr")
_NAMES = {str: "a text", int: "a whole number", float: "a number", bool: "true or false"}


class Builder:
    """`base`: the directory that paths are relative to."""

    def __init__(self, base: str, report: Report) -> None:
        self._base = base
        self._report = report

    def table(self, cls: type[T], value: Mapping[str, object], path: Path) -> T:
        """An object of `cls`, with defaults for what was reported."""
        fields = get_type_hints(cls, include_extras=True)
        given = _NORMALISE[cls](value) if cls in _NORMALISE else value
        values = {}
        for key, item in given.items():
            if key not in fields or (key == "routes" and "routes" in value):
                known = [name for name in fields if name != "routes"]
                self._report((*path, key), True, f'unknown key "{key}"{_inside(path)}', did_you_mean(key, known))
                self._report.misread((*path, key))
                continue
            place = path if key == "routes" else (*path, key)  # routes stand in the site's own table
            made = self._value(fields[key], item, place)
            if made is not REFUSED:
                values[key] = made
        for field in msgspec.structs.fields(cls):
            if field.name in values:
                continue
            if field.required:
                if field.name not in given:
                    self._report(path, True, f'the key "{field.name}" is missing{_inside(path)}')
                    self._report.misread((*path, field.name))
                values[field.name] = ""  # each of them is a text
            elif extra_of(fields[field.name], "path") and isinstance(field.default, str):
                values[field.name] = self._absolute(field.default)
        return cls(**values)

    def _value(self, hint: object, value: object, path: Path) -> object:
        """What `value` is as a `hint`; REFUSED if that was reported."""
        if isinstance(value, dict):
            return self._table_value(hint, value, path)
        if isinstance(value, list) and any(isinstance(item, dict) for item in value):
            return self._list_value(hint, value, path)
        parse = extra_of(hint, "parse")
        try:
            if parse is not None and isinstance(value, str):
                return parse(value)  # type: ignore[operator]
            made: object = msgspec.convert(value, hint)
            if extra_of(hint, "files") and isinstance(made, list):
                return [self._file(text) for text in made]
            return self._absolute(made) if extra_of(hint, "path") and isinstance(made, str) else made
        except msgspec.ValidationError:
            return self._refuse(hint, value, path)
        except ValueError as error:
            self._report(path, False, f"{dotted(path)}: {error}")
            self._report.misread(path)
            return REFUSED

    def _file(self, text: str) -> str:
        return FILE + self._absolute(text.removeprefix(FILE)) if text.startswith(FILE) else text

    def _absolute(self, path: str) -> str:
        if "\0" in path:
            raise ValueError("no path has a NUL in it")
        return path if path in STREAMS else os.path.normpath(os.path.join(self._base, path))

    def _table_value(self, hint: object, value: dict[str, object], path: Path) -> object:
        for kind in kinds_of(hint):
            if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
                return self.table(kind, value, path)
            if get_origin(kind) is dict:
                inner = get_args(kind)[1]
                made = {key: self._value(inner, item, (*path, key)) for key, item in value.items()}
                return {key: item for key, item in made.items() if item is not REFUSED}
        return self._refuse(hint, value, path)

    def _list_value(self, hint: object, value: list[object], path: Path) -> object:
        """A list with tables in it."""
        for kind in kinds_of(hint):
            if get_origin(kind) is list:
                inner = get_args(kind)[0]
                made = [self._value(inner, item, (*path, i)) for i, item in enumerate(value)]
                return [item for item in made if item is not REFUSED]
        return self._refuse(hint, value, path)

    def _refuse(self, hint: object, value: object, path: Path) -> object:
        text = f"{dotted(path)}: expected {_describe(hint)}, not {_show(value)}"
        words = [word for kind in kinds_of(hint) if get_origin(kind) is Literal for word in get_args(kind)]
        near = ""
        if isinstance(value, str):
            near = did_you_mean(value, [w for w in words if isinstance(w, str)])
        self._report(path, False, text, near)
        self._report.misread(path)
        return REFUSED


def _lift_routes(site: Mapping[str, object]) -> Mapping[str, object]:
    """The keys of a site that are patterns, moved into `routes`."""
    routes = {key: item for key, item in site.items() if "/" in key}
    return {**{key: item for key, item in site.items() if key not in routes}, "routes": routes}


def _long_rules(rules: Mapping[str, object]) -> Mapping[str, object]:
    """`{name = "text"}` is short for `{set = {name = "text"}}`."""
    return {"set": rules} if rules and all(isinstance(item, str) for item in rules.values()) else rules


_NORMALISE: dict[type, Callable[[Mapping[str, object]], Mapping[str, object]]] = {
    Site: _lift_routes,
    HeaderRules: _long_rules,
}


# -- types, for people


def kinds_of(hint: object) -> list[object]:
    """The members of a union, without Annotated and None."""
    origin = get_origin(hint)
    if origin is Annotated:
        return kinds_of(get_args(hint)[0])
    if origin in (Union, UnionType):
        return [kind for member in get_args(hint) for kind in kinds_of(member)]
    return [] if hint is type(None) else [hint]


def _members(hint: object) -> list[object]:
    """The members of a union, with the innermost Annotated that says something about them."""
    if get_origin(hint) is Annotated:
        return [hint] if _own_extra(hint) else _members(get_args(hint)[0])
    if get_origin(hint) in (Union, UnionType):
        return [found for member in get_args(hint) for found in _members(member)]
    return [] if hint is type(None) else [hint]


def _own_extra(hint: object) -> dict[str, object]:
    found: dict[str, object] = {}
    for meta in getattr(hint, "__metadata__", ()):
        found.update(meta.extra or {})
    return found


def extra_of(hint: object, key: str) -> object:
    """What the leaves of the type `hint` say under `key`; None if they say nothing."""
    return next((extra[key] for member in _members(hint) if key in (extra := _own_extra(member))), None)


def _describe(hint: object) -> str:
    words = list(dict.fromkeys(word for member in _members(hint) for word in _describe_one(member)))
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _describe_one(member: object) -> list[str]:
    says = _own_extra(member).get("says")
    if says:
        return [str(says)]
    kind = kinds_of(member)[0]
    origin = get_origin(kind)
    if origin is Literal:
        return [_show(word) for word in get_args(kind)]
    if origin in (list, tuple):
        return ["a list of texts"]
    return [_NAMES.get(kind, "a table")] if isinstance(kind, type) else ["a table"]


def _show(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a table"
    return str(value)


def _inside(path: Path) -> str:
    return f" in {dotted(path)}" if path else ""
