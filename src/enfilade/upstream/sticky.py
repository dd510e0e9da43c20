"""Sticky sessions: a client comes back to the peer that served it before, by a cookie that only we can make."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from typing import NamedTuple

from enfilade.http.cookies import cookie_reader
from enfilade.http.fields import Fields
from enfilade.http.memory import remember
from enfilade.upstream.peer import Peer

SECRET_BYTES = 16
"""A secret's least length: who could guess it could try all addresses until one gives the cookie."""
MEMORY = 4096
"""For how many peers it is remembered what their cookies are."""


class _Known(NamedTuple):
    token: bytes
    plain: bytes
    secure: bytes


class Sticky:
    """The cookie `name`, of which the value is the peer's token: HMAC-SHA256 (RFC 2104) of its name under `secret`.

    It says nothing about the peer, and it is valid as long as the secret and the peer's name stay what they are. `max_age`:
    seconds for which browsers keep it; None: until they are closed. ValueError if `name` is no token (RFC 6265 section 4.1.1),
    `secret` is shorter than `SECRET_BYTES`, or `max_age` is not above 0.
    """

    def __init__(self, name: str, secret: bytes, max_age: int | None = None) -> None:
        self._read = cookie_reader(name)
        if len(secret) < SECRET_BYTES:
            raise ValueError(
                f"the secret of sticky sessions has {len(secret)} bytes: at least {SECRET_BYTES} are needed"
            )
        if max_age is not None and max_age <= 0:
            raise ValueError(f"the age of sticky sessions is {max_age} seconds: at least 1 is needed")
        self._secret = secret
        self._name = name.encode()
        self._attributes = b"; Path=/; HttpOnly; SameSite=Lax"
        if max_age is not None:
            self._attributes += b"; Max-Age=%d" % max_age
        self._memory: dict[str, _Known] = {}

    def read(self, fields: Fields) -> bytes | None:
        """The token that a request with `fields` brings, whoever made it; None without one."""
        return self._read(fields)

    def find(self, token: bytes, peers: Iterable[Peer]) -> Peer | None:
        """The one of `peers` that `token` was made for; None: it was forged, or its peer is not among them."""
        for peer in peers:
            if hmac.compare_digest(self._known(peer).token, token):
                return peer
        return None

    def cookie(self, peer: Peer, secure: bool) -> bytes:
        """The value of the Set-Cookie that brings a client back to `peer`; `secure`: over TLS only."""
        known = self._known(peer)
        return known.secure if secure else known.plain

    def _known(self, peer: Peer) -> _Known:
        return self._memory.get(peer.name) or self._make(peer.name)

    def _make(self, name: str) -> _Known:
        token = hmac.digest(self._secret, name.encode(), "sha256").hex().encode()
        plain = b"%s=%s%s" % (self._name, token, self._attributes)
        known = _Known(token, plain, plain + b"; Secure")
        remember(self._memory, name, known, MEMORY)
        return known
