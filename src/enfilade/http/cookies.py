"""Cookies of requests (RFC 6265)."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Optional

from enfilade.http.fields import Fields
from enfilade.http.grammar import is_token

CookieReader = Callable[[Fields], Optional[bytes]]


def cookie_reader(name: str) -> CookieReader:
    """What reads the cookie `name` (its case counts): its value as sent, None where there is none. Of several the first counts,
    which user agents send for the longest path (section 5.4). ValueError if `name` is no token (section 4.1.1)."""
    raw = name.encode("utf-8", "replace")
    if not is_token(raw):
        raise ValueError(f'"{name}" is not the name of a cookie')
    find = re.compile(rb"(?:^|;)[ \t]*" + re.escape(raw) + rb"[ \t]*=([^;]*)").search

    def read(fields: Fields) -> bytes | None:
        value = fields.get(b"cookie")
        if value is None:
            return None
        found = find(value)
        return None if found is None else found[1].strip(b" \t")

    return read
