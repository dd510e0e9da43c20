"""How an authority is shown that a name is ours: what it asks for is laid into the storage, where all workers find it."""

from __future__ import annotations

import logging
from ipaddress import ip_address
from typing import Literal

from enfilade.acme.client import AcmeError
from enfilade.acme.storage import Storage, StorageError
from enfilade.acme.view import LOOK
from enfilade.acme.x509 import validation_certificate

log = logging.getLogger("enfilade.acme")

HTTP_PATH = "/.well-known/acme-challenge/"
"""What stands in front of the token in a request of http-01 (RFC 8555 section 8.3)."""
SETTLE = 2 * LOOK + 0.5
"""Seconds until every worker has looked, be it a little late."""


class _Stored:
    """A `Solver` that lays its answers into the storage, where they are called `_key`."""

    kind: Literal["http-01", "tls-alpn-01"]
    settle = SETTLE

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, name: str, token: str, authorization: str) -> None:
        """See `Solver`."""
        try:
            await self._storage.put(self.kind, self._key(name, token), self._answer(name, authorization))
        except StorageError as error:
            raise AcmeError(f"the challenge cannot be stored: {error}") from None

    async def withdraw(self, name: str, token: str) -> None:
        """See `Solver`."""
        try:
            await self._storage.delete(self.kind, self._key(name, token))
        except StorageError as error:
            log.warning("a challenge stays in the storage: %s", error)

    def _key(self, name: str, token: str) -> str:
        raise NotImplementedError

    def _answer(self, name: str, authorization: str) -> bytes:
        raise NotImplementedError


class Http01(_Stored):
    """A file at a path that has the token in it (RFC 8555 section 8.3)."""

    kind = "http-01"

    def _key(self, name: str, token: str) -> str:
        return token

    def _answer(self, name: str, authorization: str) -> bytes:
        return authorization.encode()


class TlsAlpn01(_Stored):
    """A certificate of its own, for whoever asks for the name by a protocol of its own (RFC 8737)."""

    kind = "tls-alpn-01"

    def _key(self, name: str, token: str) -> str:
        return server_name(name)

    def _answer(self, name: str, authorization: str) -> bytes:
        return validation_certificate(name, authorization)


def server_name(name: str) -> str:
    """By which the authority asks for `name` in a handshake: for an address, that of its reverse look-up (RFC 8738 section 6)."""
    try:
        return ip_address(name).reverse_pointer
    except ValueError:
        return name
