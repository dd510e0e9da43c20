"""The JSON Schema (draft 2020-12) of `enfilade.toml`, for editors: made from the schema's own objects."""

from __future__ import annotations

from typing import Any, get_args, get_origin, get_type_hints

import msgspec

from enfilade.config.build import extra_of, kinds_of
from enfilade.config.schema import Config, Table

PATTERN = r"^([A-Z][A-Z0-9-]* +)?/"
"""Keys of a site that are routes."""


def json_schema() -> dict[str, Any]:
    """The schema, ready for JSON."""
    schema = msgspec.json.schema(Config)
    tables = schema["$defs"]
    routes = tables["Site"]["properties"].pop("routes")
    tables["Site"]["patternProperties"] = {
        PATTERN: {**routes["additionalProperties"], "description": routes["description"]}
    }
    for table in tables.values():
        table["description"] = " ".join(table["description"].split())
    rules = tables["HeaderRules"]
    tables["HeaderRules"] = {
        "title": rules["title"],
        "description": rules["description"],
        "anyOf": [
            {key: rules[key] for key in ("type", "properties", "required", "additionalProperties")},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ],
    }
    for cls in _tables(Config):
        hints = get_type_hints(cls, include_extras=True)
        for name, field in tables[cls.__name__].get("properties", {}).items():
            _forget_empty(field)
            if isinstance(more := extra_of(hints[name], "schema"), dict):
                field.update(more)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "enfilade.toml", **schema}


def _tables(cls: type[Table]) -> set[type[Table]]:
    """`cls` and the tables in it."""
    found = {cls}
    for hint in get_type_hints(cls, include_extras=True).values():
        for kind in kinds_of(hint):
            inner = get_args(kind)[1] if get_origin(kind) is dict else kind
            if isinstance(inner, type) and issubclass(inner, Table):
                found |= _tables(inner)
    return found


def _forget_empty(field: dict[str, Any]) -> None:
    """TOML has no null, and a table that defaults to its own defaults says nothing."""
    if field.get("default") is None or isinstance(field.get("default"), dict):
        field.pop("default", None)
    choices = [choice for choice in field.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del field["anyOf"]
        field.update(choices[0])
    elif choices:
        field["anyOf"] = choices
