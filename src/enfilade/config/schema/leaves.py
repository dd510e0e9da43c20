"""The leaves: what a value can be that is more than its type, and what all tables have in common."""

# No `from __future__ import annotations` in this room: every start reads these, and would have to compile them as texts.
from typing import Annotated

import msgspec
from msgspec import Meta

from enfilade.config import units

# Leaves that are more than their type: `extra["parse"]` makes the value of a text, `extra["says"]` is what an error
# expects, `extra["schema"]` what JSON Schema allows, `extra["path"]` marks a path, which is relative to the configuration's
# directory. (msgspec keeps `extra_json_schema` of the outermost Meta only.)
Duration = Annotated[
    float,
    Meta(
        ge=0,
        extra={
            "parse": units.duration,
            "says": 'a duration such as "500ms", "10s", "2m" or a number of seconds',
            "schema": {"type": ["number", "string"], "pattern": f"^{units.DURATION}$"},
        },
    ),
]
Size = Annotated[
    int,
    Meta(
        ge=0,
        extra={
            "parse": units.size,
            "says": 'a size such as "64KB", "16MB" or a number of bytes',
            "schema": {"type": ["integer", "string"], "pattern": f"^{units.SIZE}$"},
        },
    ),
]
RedisUrl = Annotated[
    str, Meta(extra={"parse": units.redis_url, "says": 'the URL of a Redis, such as "redis://host:6379/0"'})
]
Rate = Annotated[str, Meta(extra={"says": 'a rate such as "10/s", "100/m", "1000/h" or "5000/d"'})]
Token = Annotated[str, Meta(min_length=1, extra={"says": "a text that is not empty"})]
FilePath = Annotated[str, Meta(extra={"path": True})]
Files = Annotated[list[str], Meta(extra={"files": True, "says": "a list of texts"})]
"""Texts; those that begin with `units.FILE` are paths."""
Positive = Annotated[int, Meta(ge=1, extra={"says": "a whole number of at least 1"})]
Count = Annotated[int, Meta(ge=0, extra={"says": "a whole number of at least 0"})]
Workers = Annotated[int, Meta(ge=1, le=64, extra={"says": "a whole number from 1 to 64"})]
Status = Annotated[int, Meta(ge=200, le=599, extra={"says": "a status from 200 to 599"})]


def Text(description: str) -> Meta:
    return Meta(description=description)


class Table(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True, frozen=True):
    pass
