"""The JSON Schema says the same as the loader. Checked with a small reader of the keywords that it uses."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from enfilade.config.jsonschema import json_schema

HERE = Path(__file__).parent.parent.parent
GOLDEN = HERE / "tests" / "golden" / "config"
SCHEMA = json_schema()
TYPES = {
    "string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict, "null": type(None),
}  # fmt: skip
KNOWN = {
    "$schema", "$ref", "$defs", "title", "description", "default", "type", "enum", "anyOf", "properties", "required",
    "additionalProperties", "patternProperties", "items", "minimum", "maximum", "pattern",
}  # fmt: skip
# What only the loader knows: files, names of other tables, addresses, tying patterns.
SHAPE_ERRORS = [
    "bad_unknown_key", "bad_unknown_key_far", "bad_unknown_table", "bad_types", "bad_missing_key", "bad_routes_key",
]  # fmt: skip


def fits(value: Any, schema: dict[str, Any]) -> bool:
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        return fits(value, SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]])
    if "anyOf" in schema:
        return any(fits(value, choice) for choice in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    if not any(isinstance(value, TYPES[t]) and (t == "boolean" or not isinstance(value, bool)) for t in types):
        return False
    if isinstance(value, dict):
        return fits_table(value, schema)
    if isinstance(value, list):
        return all(fits(item, schema["items"]) for item in value)
    if isinstance(value, str):
        return re.search(schema.get("pattern", ""), value) is not None
    return schema.get("minimum", value) <= value <= schema.get("maximum", value)


def fits_table(value: dict[str, Any], schema: dict[str, Any]) -> bool:
    for key, item in value.items():
        found = schema.get("properties", {}).get(key)
        for pattern, inner in schema.get("patternProperties", {}).items():
            found = inner if found is None and re.search(pattern, key) else found
        found = schema.get("additionalProperties", True) if found is None else found
        if found is False or (isinstance(found, dict) and not fits(item, found)):
            return False
    return set(schema.get("required", ())) <= set(value)


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("good_*.toml")), ids=lambda path: path.stem)
def test_accepts_what_the_loader_accepts(path: Path) -> None:
    assert fits(tomllib.loads(path.read_text()), SCHEMA)


@pytest.mark.parametrize("name", SHAPE_ERRORS)
def test_refuses_what_has_the_wrong_shape(name: str) -> None:
    assert not fits(tomllib.loads((GOLDEN / f"{name}.toml").read_text()), SCHEMA)


def test_every_key_has_a_description() -> None:
    for name, table in SCHEMA["$defs"].items():
        for key, field in (table["anyOf"][0] if "anyOf" in table else table)["properties"].items():
            assert field.get("description"), f"{name}.{key}"


def test_is_json_of_the_named_draft() -> None:
    assert json.loads(json.dumps(SCHEMA))["title"] == "enfilade.toml"
    assert SCHEMA["$schema"] == "https://json-schema.org/draft/2020-12/schema"
