"""How an authority is shown that a name is ours: what it asks for is laid into the storage, where all workers find it."""

from __future__ import annotations

import logging

from enfilade.acme.client import AcmeError
from enfilade.acme.storage import Storage, StorageError
from enfilade.acme.view import LOOK

log = logging.getLogger("enfilade.acme")

HTTP_PATH = "/.well-known/acme-challenge/"
"""What stands in front of the token in a request of http-01 (RFC 8555 section 8.3)."""
SETTLE = 2 * LOOK + 0.5
"""Seconds until every worker has looked, be it a little late."""


class Http01:
    """The `Solver` of http-01."""

    kind = "http-01"
    settle = SETTLE

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    async def show(self, name: str, token: str, authorization: str) -> None:
        """See `Solver`."""
        try:
            await self._storage.put("http-01", token, authorization.encode())
        except StorageError as error:
            raise AcmeError(f"the challenge cannot be stored: {error}") from None

    async def withdraw(self, name: str, token: str) -> None:
        """See `Solver`."""
        try:
            await self._storage.delete("http-01", token)
        except StorageError as error:
            log.warning("a challenge stays in the storage: %s", error)
