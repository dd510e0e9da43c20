"""Basic authentication (RFC 7617): who knows a password comes in."""

from __future__ import annotations

import asyncio
import base64
import binascii
import os
from collections.abc import Awaitable, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.identity import Identity
from enfilade.exchange.response import Response
from enfilade.http.field_texts import field_value
from enfilade.http.fields import Fields
from enfilade.http.memory import remember
from enfilade.http.passwords import Password
from enfilade.http.reasons import reason

AT_ONCE, WAITING = 2, 32
"""So many passwords of one file are checked at once in one worker, each in 32 MB or so; so many in all, with those that wait."""
REMEMBERED = 60.0
"""Seconds for which a password that was right is not checked again."""
MEMORY = 1024
_WANTED = reason("password_wanted")
_BUSY = reason("passwords_busy")


class Users:
    """Users by name with their passwords. A check takes long, on purpose, so threads do it."""

    def __init__(self, users: Mapping[str, Password]) -> None:
        self._users = users
        # Who is not there is checked against this, so that the time does not tell.
        self._nobody = max(users.values(), key=lambda password: password.work)
        self._threads = ThreadPoolExecutor(AT_ONCE, "passwords")
        self._checks: dict[bytes, asyncio.Future[bool]] = {}
        self._key = os.urandom(32)
        self._known: dict[bytes, float] = {}

    def know(self, credentials: bytes, now: float) -> bool:
        """Whether `credentials` (`user:password`) were right not long ago."""
        return now < self._known.get(self._name(credentials), 0.0)

    def check(self, credentials: bytes, now: float) -> Awaitable[bool] | None:
        """Find out whether they are right; None: too many are waited for already."""
        name = self._name(credentials)
        found = self._checks.get(name)
        if found is None:
            if len(self._checks) >= WAITING:
                return None
            found = self._begin(name, credentials, now)
        return asyncio.shield(found)  # others wait for it as well

    def _begin(self, name: bytes, credentials: bytes, now: float) -> asyncio.Future[bool]:
        user, _, password = credentials.partition(b":")
        known = self._users.get(user.decode("utf-8", "replace"))
        future = asyncio.get_running_loop().run_in_executor(self._threads, (known or self._nobody).is_it, password)
        right = asyncio.get_running_loop().create_future()
        self._checks[name] = right

        def checked(future: asyncio.Future[bool]) -> None:
            del self._checks[name]
            if known is not None and future.exception() is None and future.result():
                remember(self._known, name, now + REMEMBERED, MEMORY)
                right.set_result(True)
            else:
                right.set_result(False)

        future.add_done_callback(checked)
        return right

    def _name(self, credentials: bytes) -> bytes:
        """What stands for them in memory: nobody reads a password out of it."""
        return blake2b(credentials, key=self._key, digest_size=32).digest()


class BasicAuth(Filter):
    """Lets requests pass whose Authorization names one of `users`, with the password; others are answered 401. ValueError for a
    `realm` that cannot be said."""

    def __init__(self, users: Users, realm: str) -> None:
        if '"' in realm or "\\" in realm:
            raise ValueError("a realm has neither quotes nor backslashes")
        self._users = users
        self._challenge = Fields([(b"www-authenticate", b'Basic realm="%s", charset="UTF-8"' % field_value(realm))])

    def on_request(self, x: Exchange) -> Response | Awaitable[Response | None] | None:
        credentials = credentials_of(x.request.fields.get(b"authorization"))
        if credentials is None:
            return error_response(_WANTED, x, self._challenge)
        now = x.carrier.now()
        if self._users.know(credentials, now):
            x.keep(Identity, _identity(credentials))
            return None
        checking = self._users.check(credentials, now)
        return error_response(_BUSY, x) if checking is None else self._decide(x, credentials, checking)

    async def _decide(self, x: Exchange, credentials: bytes, checking: Awaitable[bool]) -> Response | None:
        if not await checking:
            return error_response(_WANTED, x, self._challenge)
        x.keep(Identity, _identity(credentials))
        return None


def _identity(credentials: bytes) -> Identity:
    return Identity(credentials.partition(b":")[0].decode("utf-8", "replace"))


def credentials_of(authorization: bytes | None) -> bytes | None:
    """`user:password` as the field says it; None if it says nothing of the kind."""
    scheme, _, text = (authorization or b"").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        credentials = base64.b64decode(text.strip(b" "), validate=True)
    except binascii.Error:
        return None
    return credentials if b":" in credentials else None
