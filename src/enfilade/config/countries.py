"""Which country an address is in, as a database in MaxMind's format says."""

from __future__ import annotations

from enfilade.config.schema import Countries as Table
from enfilade.http.addresses import plain_ip
from enfilade.http.memory import remember

MEMORY = 4096
"""How many addresses are remembered with what is said of them."""
_KEYS = ("country", "registered_country")
"""Where an address is used, and, of one that is used anywhere, where it is registered."""


class Countries:
    """What `table` says of addresses, with its database as it is now. That is read whole, so nothing happens to who reads it if
    somebody writes over the file. Raises ValueError."""

    def __init__(self, table: Table) -> None:
        from maxminddb import MODE_MEMORY, InvalidDatabaseError  # noqa: PLC0415
        from maxminddb.reader import Reader  # noqa: PLC0415

        self._allow, self._deny = frozenset(table.allow), frozenset(table.deny)
        self._memory: dict[str, bool | None] = {}
        # An address of IPv6 is a ValueError to a database that has only those of IPv4.
        self._failures = ValueError, InvalidDatabaseError
        try:
            self._reader = Reader(table.file, MODE_MEMORY)
        except InvalidDatabaseError:
            raise ValueError(f'"{table.file}" is no database in the format of MaxMind (.mmdb)') from None
        except OSError as error:
            cause = "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read ({error.strerror})"
            raise ValueError(f'"{table.file}" {cause}') from None

    def lets_in(self, address: str) -> bool | None:
        """Whether those in the country of `address` are let in; None: nothing is said of them."""
        try:
            return self._memory[address]
        except KeyError:
            said = self._say(self.country(address))
            remember(self._memory, address, said, MEMORY)
            return said

    def country(self, address: str) -> str | None:
        """Its two letters (ISO 3166-1). None: the database does not know."""
        plain = plain_ip(address.partition("%")[0])
        try:
            found = None if plain is None else self._reader.get(plain)
        except self._failures:
            return None
        tables = [found.get(key) for key in _KEYS] if isinstance(found, dict) else []
        codes = [one.get("iso_code") for one in tables if isinstance(one, dict)]
        return next((code for code in codes if isinstance(code, str)), None)

    def _say(self, country: str | None) -> bool | None:
        if self._allow:
            return country in self._allow
        return False if country in self._deny else None
