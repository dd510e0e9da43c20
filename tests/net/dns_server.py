"""A small DNS server over UDP, for one test: it answers from a zone that may change."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset


class DnsServer(asyncio.DatagramProtocol):
    """`zone`: the records of a name by kind, as in zone files; a name that is not in it does not exist. `broken`: it fails
    (SERVFAIL) whatever it is asked."""

    def __init__(self) -> None:
        self.zone: dict[str, dict[str, list[str]]] = {}
        self.ttl = 60
        self.broken = False
        self.asked: list[str] = []
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)  # uvloop's is no subclass of it
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        (question,) = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{question.name} {kind}")
        self._transport.sendto(self._answer(query, question.name.to_text(omit_final_dot=True), kind).to_wire(), addr)

    def _answer(self, query: dns.message.Message, name: str, kind: str) -> dns.message.Message:
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        if self.broken:
            answer.set_rcode(dns.rcode.SERVFAIL)
        elif name not in self.zone:
            answer.set_rcode(dns.rcode.NXDOMAIN)
        ttl = self.ttl
        while name in self.zone and not self.broken:
            for part in ("CNAME", kind):
                if records := self.zone[name].get(part):
                    answer.answer.append(dns.rrset.from_text_list(f"{name}.", ttl, "IN", part, records))
            name, ttl = next(iter(self.zone[name].get("CNAME", ())), "").removesuffix("."), ttl // 2
        return answer


@asynccontextmanager
async def dns_server() -> AsyncIterator[DnsServer]:
    """One on a free port of this machine."""
    transport, server = await asyncio.get_running_loop().create_datagram_endpoint(
        DnsServer, local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()
