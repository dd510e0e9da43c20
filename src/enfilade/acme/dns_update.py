"""Records made by updates of a zone (RFC 2136), signed (RFC 8945)."""

from __future__ import annotations

from collections.abc import Callable

import dns.asyncquery
import dns.exception
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update

from enfilade.acme.client import AcmeError

TIMEOUT = 10.0
"""Seconds for an answer."""
TTL = 60


class UpdatedZone:
    """The `Zone` of whichever zone a name is in, on the server at `address`. `secret` is the key that it calls `key`."""

    def __init__(self, address: tuple[str, int], key: str, secret: bytes, algorithm: str) -> None:
        self._address = address
        name = dns.name.from_text(key)
        self._keys = {name: dns.tsig.Key(name, secret, algorithm)}

    async def add(self, name: str, value: str) -> None:
        """See `Zone`."""
        await self._update(name, lambda update, record: update.add(record, TTL, "TXT", value))

    async def remove(self, name: str, value: str) -> None:
        """See `Zone`."""
        await self._update(name, lambda update, record: update.delete(record, "TXT", value))

    async def _update(self, name: str, change: Callable[[dns.update.UpdateMessage, dns.name.Name], None]) -> None:
        record = dns.name.from_text(name)
        update = dns.update.UpdateMessage(await self._zone_of(record), keyring=self._keys)
        change(update, record)
        code = (await self._ask(update)).rcode()
        if code != dns.rcode.NOERROR:
            raise AcmeError(f"the name server refuses to change {name}: {dns.rcode.to_text(code)}; {_ADVICE}")

    async def _zone_of(self, record: dns.name.Name) -> dns.name.Name:
        """The server says itself: whatever is asked for, it answers with the zone's SOA, or names it beside."""
        answer = await self._ask(dns.message.make_query(record, "SOA"))
        for found in (*answer.answer, *answer.authority):
            if found.rdtype == dns.rdatatype.SOA and record.is_subdomain(found.name):
                return found.name
        raise AcmeError(f"the name server {self._address[0]} has no zone that {record} could be in")

    async def _ask(self, question: dns.message.Message) -> dns.message.Message:
        host, port = self._address
        try:
            return await dns.asyncquery.tcp(question, host, TIMEOUT, port)
        except (dns.exception.DNSException, OSError) as error:
            raise AcmeError(
                f"the name server {host} does not do it: {error or type(error).__name__}; {_ADVICE}"
            ) from None


_ADVICE = "it must know the key by this name and algorithm, and let it change TXT records"
