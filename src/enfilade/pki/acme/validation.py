"""Whether a client has what it asks for: its challenges, looked at over the network (RFC 8555 section 8.3, RFC 8737)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from ipaddress import ip_address

from cryptography import x509

from enfilade.exchange.fetch import Fetch, FetchError
from enfilade.pki.acme.names import Identifier
from enfilade.pki.acme.problem import Problem
from enfilade.pki.acme.words import Task

HTTP_PORT, TLS_PORT = 80, 443
"""Where challenges are looked at: who may listen there is trusted with the host."""
PAUSES = (0.0, 1.0, 3.0)
"""Seconds before each look: a client may say that it is ready a little early."""
ALPN = "acme-tls/1"
_PROOF = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_OCTETS = bytes((4, 32))
"""The head of an OCTET STRING as long as the hash (DER)."""

Present = Callable[[str, int, str, str], Awaitable[bytes]]
"""The certificate (DER) that a host shows at a port to who asks for a server name by a protocol of ALPN. Raises FetchError."""


class Validator:
    """`validate(task)` returns what is wrong, or None."""

    def __init__(self, fetch: Fetch, present: Present) -> None:
        self._looks = {"http-01": self._http, "tls-alpn-01": self._alpn}
        self._fetch = fetch
        self._present = present

    async def validate(self, task: Task) -> Problem | None:
        problem = None
        for pause in PAUSES:
            await asyncio.sleep(pause)
            try:
                problem = await self._looks[task.kind](task)
            except FetchError as error:
                problem = Problem("connection", str(error))
            if problem is None:
                break
        return problem

    async def _http(self, task: Task) -> Problem | None:
        host = f"[{task.identifier.value}]" if ":" in task.identifier.value else task.identifier.value
        port = "" if HTTP_PORT == 80 else f":{HTTP_PORT}"
        url = f"http://{host}{port}/.well-known/acme-challenge/{task.token}"
        answer = await self._fetch("GET", url)
        if answer.status == 200 and answer.body.rstrip() == task.proof.encode():
            return None
        said = "another text" if answer.status == 200 else f"status {answer.status}"
        return Problem("unauthorized", f"{url}: {said} in place of the key authorization", 403)

    async def _alpn(self, task: Task) -> Problem | None:
        value = task.identifier.value
        shown = await self._present(value, TLS_PORT, server_name(task.identifier), ALPN)
        wrong = wrong_in(shown, task)
        return None if wrong is None else Problem("unauthorized", f"{value} port {TLS_PORT}: {wrong}", 403)


def server_name(identifier: Identifier) -> str:
    """By which name TLS is asked: addresses have those of the reverse DNS (RFC 8738 section 6)."""
    return ip_address(identifier.value).reverse_pointer if identifier.type == "ip" else identifier.value


def wrong_in(shown: bytes, task: Task) -> str | None:
    """What is wrong with the certificate that was `shown` for tls-alpn-01 (RFC 8737 section 3)."""
    try:
        extensions = x509.load_der_x509_certificate(shown).extensions
        names = list(extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
        proof = extensions.get_extension_for_oid(_PROOF)
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return "its certificate is not one for the challenge"
    value = task.identifier.value
    is_ip = task.identifier.type == "ip"
    if names != [x509.IPAddress(ip_address(value)) if is_ip else x509.DNSName(value)]:
        return "its certificate is for other names"
    said = proof.value.value if isinstance(proof.value, x509.UnrecognizedExtension) else b""
    if not proof.critical or said != _OCTETS + sha256(task.proof.encode()).digest():
        return "its certificate has not the hash of the key authorization"
    return None
