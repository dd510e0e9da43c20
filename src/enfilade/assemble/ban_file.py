"""Bans in a file, a JSON object a line, so that they survive a restart."""

from __future__ import annotations

import json
from collections.abc import Sequence

from enfilade.atomic import replace_file
from enfilade.limits.bans import Ban, parse_banned


def read_bans(file: str) -> list[Ban]:
    """None where there is no file yet. Raises OSError, and ValueError with the line where it is not what `write_bans` writes."""
    found = []
    try:
        with open(file, encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                try:
                    facts = json.loads(line)
                    ban = Ban(
                        parse_banned(facts["address"]), int(facts["until"]), int(facts["strikes"]), str(facts["cause"])
                    )
                except (ValueError, TypeError, KeyError):
                    raise ValueError(f'"{file}", line {number}, is no ban; without the file there are none') from None
                found.append(ban)
    except FileNotFoundError:
        pass
    return found


def write_bans(file: str, bans: Sequence[Ban]) -> None:
    """In place of what is there, whole or not at all. Raises OSError."""
    replace_file(file, "".join([json.dumps(ban._asdict()) + "\n" for ban in bans]).encode())
