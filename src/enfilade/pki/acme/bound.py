"""External accounts, to which accounts must be bound (RFC 8555 section 7.3.4), a line each: `NAME:KEY`, the key in base64url."""

from __future__ import annotations

import os
import stat

from enfilade.pki.acme.problem import Problem
from enfilade.pki.acme.signed import decode

LEAST = 16
"""Bytes of a key."""


def read_bound(path: str) -> dict[str, bytes]:
    """The keys in the file by their names. Raises OSError, and ValueError with the line, which does not repeat a key."""
    found: dict[str, bytes] = {}
    with open(path, encoding="utf-8") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise ValueError(f'"{path}" is open to others: chmod 600')
        for number, line in enumerate(map(str.strip, file), 1):
            name, _, text = line.partition(":")
            if not line or line.startswith("#"):
                continue
            try:
                key = decode(text)
            except Problem:
                key = b""
            if not name or name in found or len(key) < LEAST:
                raise ValueError(f'"{path}", line {number}: write NAME:KEY, each name once, {LEAST} bytes in base64url')
            found[name] = key
    if not found:
        raise ValueError(f'"{path}" has no accounts')
    return found
