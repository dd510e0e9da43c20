"""Bearer tokens (RFC 6750): who has a good one comes in."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Mapping
from hashlib import blake2b
from typing import NamedTuple

from enfilade.exchange.errors import error_response
from enfilade.exchange.exchange import Exchange, Filter
from enfilade.exchange.identity import Identity
from enfilade.exchange.response import Response
from enfilade.exchange.told import Told
from enfilade.http.fields import Fields, Pair
from enfilade.http.grammar import is_field_value
from enfilade.http.memory import remember
from enfilade.http.reasons import reason
from enfilade.identity.keys import Keys
from enfilade.identity.token import Refused, Terms, UnknownKey, verify

_WANTED = reason("token_wanted")
_REFUSED = reason("token_refused")
_INSUFFICIENT = reason("token_insufficient")
_NO_KEYS = reason("no_token_keys")

LONGEST = 16384
"""Bytes of a token."""
MEMORY = 4096
"""Tokens that were good are remembered; so many."""
_TOKEN = re.compile(rb"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+").fullmatch


class _Known(NamedTuple):
    until: float
    identity: Identity
    pairs: tuple[Pair, ...]


class Jwt(Filter):
    """Lets requests pass whose token, as `read` finds it, is signed with one of `keys` and holds `terms`; others are answered
    401, and 403 where the token is a good one, but for something else.

    `forward`: fields by the claims that they tell whoever answers. `clock`: Unix time.
    """

    def __init__(
        self, read: Callable[[Fields], bytes | None], keys: Keys, terms: Terms, forward: Mapping[str, bytes] = {},
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._read = read
        self._keys = keys
        self._terms = terms
        self._forward = forward
        self._told = Told(forward.values())
        self._clock = clock
        self._known: dict[bytes, _Known] = {}
        self._generation = keys.generation

    def on_request(self, x: Exchange) -> Response | Awaitable[Response | None] | None:
        token = self._read(x.request.fields)
        if self._forward:
            fields = self._told.clear(x.request.fields)
            if fields is not x.request.fields:
                x.request = x.request.with_fields(fields)
        if token is None:
            return error_response(_WANTED, x, _CHALLENGE)
        if self._generation != self._keys.generation:
            self._generation = self._keys.generation
            self._known.clear()  # the key that one was signed with may have been taken back
        name = blake2b(token).digest()
        known = self._known.get(name)
        if known is not None and self._clock() < known.until:
            self._let_in(x, known)
            return None
        try:
            return self._verify(x, token, name)
        except UnknownKey as unknown:
            more = self._keys.more()
            return self._refuse_unknown(x, unknown) if more is None else self._wait(x, token, name, more)

    async def _wait(self, x: Exchange, token: bytes, name: bytes, more: Awaitable[None]) -> Response | None:
        await more
        try:
            return self._verify(x, token, name)
        except UnknownKey as unknown:
            return self._refuse_unknown(x, unknown)

    def _verify(self, x: Exchange, token: bytes, name: bytes) -> Response | None:
        """Raises UnknownKey."""
        try:
            if len(token) > LONGEST or _TOKEN(token) is None:
                raise Refused("The token is malformed.")
            identity, until = verify(token, self._keys.now, self._terms, self._clock())
        except UnknownKey:
            raise
        except Refused as refused:
            return _refuse(x, refused)
        pairs = ((field, _text(identity.claims.get(claim))) for claim, field in self._forward.items())
        known = _Known(until, identity, tuple([(field, value) for field, value in pairs if value is not None]))
        remember(self._known, name, known, MEMORY)
        self._let_in(x, known)
        return None

    def _let_in(self, x: Exchange, known: _Known) -> None:
        x.keep(Identity, known.identity)
        if known.pairs:
            x.request = x.request.with_fields(x.request.fields.adding(*known.pairs))

    def _refuse_unknown(self, x: Exchange, unknown: UnknownKey) -> Response:
        return _refuse(x, unknown) if self._keys.now else error_response(_NO_KEYS, x, _LATER)


def _refuse(x: Exchange, refused: Refused) -> Response:
    error, why = (b"insufficient_scope", _INSUFFICIENT) if refused.insufficient else (b"invalid_token", _REFUSED)
    said = b'Bearer error="%s", error_description="%s"' % (error, str(refused).encode())
    return error_response(why, x, Fields([(b"www-authenticate", said)]))


_CHALLENGE = Fields([(b"www-authenticate", b"Bearer")])  # section 3.1: no error where there was no token
_LATER = Fields([(b"retry-after", b"5")])


def _text(claim: object) -> bytes | None:
    """A claim as the value of a field; None where it cannot be one."""
    if isinstance(claim, list) and all(isinstance(one, str) and "," not in one for one in claim):
        claim = ",".join(claim)
    if isinstance(claim, bool):
        claim = "true" if claim else "false"
    if not isinstance(claim, str | int):
        return None
    value = str(claim).encode("utf-8", "replace")
    return value if value and is_field_value(value) else None


def bearer(fields: Fields) -> bytes | None:
    """The token in Authorization (section 2.1); None: there is none."""
    scheme, _, token = (fields.get(b"authorization") or b"").partition(b" ")
    return token.strip(b" ") if scheme.lower() == b"bearer" else None
