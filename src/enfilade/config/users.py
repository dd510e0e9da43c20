"""Files of users and their hashed passwords: `USER:$scrypt$...` a line, and lines that begin with `#` are comments."""

from __future__ import annotations

import os

from enfilade.http.passwords import Password, hash_password, parse_password


def read_users(file: str) -> dict[str, Password]:
    """The users in the file called `file`. Raises OSError, and ValueError with the line, which does not repeat a hash. A file
    without users is an error, too: nobody could come in."""
    users: dict[str, Password] = {}
    with open(file, encoding="utf-8") as lines:
        for number, line in enumerate(map(str.strip, lines), 1):
            if not line or line.startswith("#"):
                continue
            user, colon, text = line.partition(":")
            try:
                if not (colon and is_user(user)):
                    raise ValueError("write USER:HASH")
                if user in users:
                    raise ValueError(f'"{user}" stands there already')
                users[user] = parse_password(text)
            except ValueError as error:
                raise ValueError(f'"{file}", line {number}: {error}') from None
    if not users:
        raise ValueError(f'"{file}" lists no users')
    return users


def is_user(name: str) -> bool:
    """Whether it can be a user's name (RFC 7617 section 2): no colon, and nothing unprintable."""
    return bool(name) and ":" not in name and not name.startswith("#") and name.isprintable() and name == name.strip()


def line_of(user: str, password: str) -> str:
    """The line for `user`. ValueError where that can be no name, or the password is empty or has control characters."""
    if not is_user(user):
        raise ValueError(f'"{user}" can be no name: it has no colon, no blanks around it, and does not begin with "#"')
    if not password or not password.isprintable():
        raise ValueError("a password has one character at least, and each can be printed")
    return f"{user}:{hash_password(password.encode(), os.urandom(16))}"
