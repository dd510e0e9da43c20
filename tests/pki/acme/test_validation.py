"""How it is looked whether a client has a name."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from tests.pki.kit import DAY, NOW

from enfilade.exchange.fetch import Fetched, FetchError
from enfilade.http.fields import NO_FIELDS
from enfilade.pki.acme import validation
from enfilade.pki.acme.names import Identifier
from enfilade.pki.acme.problem import Problem
from enfilade.pki.acme.validation import PAUSES, Validator, server_name, wrong_in
from enfilade.pki.acme.words import Task

TASK = Task("id", "http-01", Identifier("dns", "a.internal"), "token", "token.mark")
BY_TLS = TASK._replace(kind="tls-alpn-01")
Answer = Fetched | FetchError


def fetched(body: bytes, status: int = 200) -> Fetched:
    return Fetched(status, NO_FIELDS, body)


def validate(task: Task, *answers: Any) -> tuple[Problem | None, list[object]]:
    """What comes of it where these are the answers, one after the other; and what was asked."""
    asked: list[object] = []

    async def answer(*what: object, **more: object) -> Any:
        asked.append(what)
        found = answers[len(asked) - 1]
        if isinstance(found, FetchError):
            raise found
        return found

    async def main() -> Problem | None:
        pauses: list[float] = []

        async def pause(seconds: float) -> None:
            pauses.append(seconds)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(validation.asyncio, "sleep", pause)
            found = await Validator(answer, answer).validate(task)
        assert pauses == [*PAUSES[: len(asked)]]
        return found

    return asyncio.run(main()), asked


def test_http_finds_the_proof_at_its_place() -> None:
    problem, asked = validate(TASK, fetched(b"token.mark\n"))
    assert problem is None
    assert asked == [("GET", "http://a.internal/.well-known/acme-challenge/token")]
    v6 = TASK._replace(identifier=Identifier("ip", "fd00::1"))
    assert validate(v6, fetched(b"token.mark"))[1] == [("GET", "http://[fd00::1]/.well-known/acme-challenge/token")]


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (fetched(b"token.other"), "unauthorized", "another text in place of the key authorization"),
        (fetched(b"token.mark", 404), "unauthorized", "status 404"),
        (fetched(b"token.mark", 302), "unauthorized", "status 302"),
        (fetched(b""), "unauthorized", "another text"),
        (FetchError("a.internal: 10.0.0.1 is not a public address"), "connection", "is not a public address"),
    ],
)
def test_anything_else_is_no_proof_after_several_looks(answer: Answer, kind: str, says: str) -> None:
    problem, asked = validate(TASK, answer, answer, answer)
    assert problem is not None and problem.kind == kind and says in problem.detail
    assert len(asked) == len(PAUSES)


def test_a_client_may_be_a_little_late() -> None:
    problem, asked = validate(TASK, FetchError("refused"), fetched(b"", 404), fetched(b"token.mark"))
    assert problem is None and len(asked) == 3


def shown(
    names: Sequence[x509.GeneralName] = (x509.DNSName("a.internal"),), proof: str = "token.mark", critical: bool = True,
    head: bytes = b"\x04\x20", extended: bool = True,
) -> bytes:  # fmt: skip
    """A certificate such as RFC 8737 wants it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, NOW - DAY, NOW + DAY)
    if names:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if extended:
        identifier = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
        value = head + sha256(proof.encode()).digest()
        made = made.add_extension(x509.UnrecognizedExtension(identifier, value), critical=critical)
    return made.sign(key, SHA256()).public_bytes(Encoding.DER)


def test_tls_finds_the_hash_of_the_proof() -> None:
    problem, asked = validate(BY_TLS, shown())
    assert problem is None
    assert asked == [("a.internal", 443, "a.internal", "acme-tls/1")]
    assert server_name(Identifier("ip", "10.1.2.3")) == "3.2.1.10.in-addr.arpa"


@pytest.mark.parametrize(
    ("certificate", "says"),
    [
        (b"junk", "is not one for the challenge"),
        (shown(extended=False), "is not one for the challenge"),
        (shown(names=()), "is not one for the challenge"),
        (shown(names=[x509.DNSName("b.internal")]), "is for other names"),
        (shown(names=[x509.DNSName("a.internal"), x509.DNSName("b.internal")]), "is for other names"),
        (shown(critical=False), "has not the hash"),
        (shown(proof="token.other"), "has not the hash"),
        (shown(head=b"\x04\x21"), "has not the hash"),
    ],
)
def test_other_certificates_prove_nothing(certificate: bytes, says: str) -> None:
    assert says in str(wrong_in(certificate, BY_TLS))
    problem, _ = validate(BY_TLS, certificate, certificate, certificate)
    assert problem is not None and problem.kind == "unauthorized" and says in problem.detail
