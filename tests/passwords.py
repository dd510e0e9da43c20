"""Users whose passwords are checked in a sixth of the time that others' take."""

from __future__ import annotations

import hashlib

from enfilade.http.passwords import LEAST, Password

_SALT = b"salt" * 4


def cheap_line(user: str, password: str) -> str:
    """What `enfilade.config.users.line_of` makes, at the least cost that is taken."""
    digest = hashlib.scrypt(password.encode(), salt=_SALT, n=1 << LEAST, r=8, p=1, dklen=32)
    return f"{user}:{Password(LEAST, 8, 1, _SALT, digest)}"
