"""Certificates: issued for a request (RFC 8555 section 7.4), handed out, and revoked (section 7.6)."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from joserfc.jwk import JWKRegistry

from enfilade.pki.acme.names import Identifier
from enfilade.pki.acme.problem import Problem, malformed
from enfilade.pki.acme.records import Transaction
from enfilade.pki.acme.signed import RSA_BITS, Jwk, decode
from enfilade.pki.acme.words import Answer, Authorization, Call, Issued, Revoked, one_of_ours
from enfilade.pki.authority import Authority, pem

log = logging.getLogger("enfilade.pki")

REASONS = (0, 1, 3, 4, 5)
"""Of RFC 5280 section 5.3.1: those that a client can know."""
CRL_LIFETIME = timedelta(days=7)
_PEM_CHAIN = (b"content-type", b"application/pem-certificate-chain")


def issue(call: Call, identifiers: list[Identifier]) -> Issued:
    """A certificate for what an order names, and for the key of the CSR that the client sends. Raises Problem."""
    request = _read_request(call.payload.get("csr"))
    if _names_of(request) != set(identifiers):
        raise Problem("badCSR", "the CSR names something else than the order")
    # The configuration may have changed since the order.
    if any(one not in call.rules.names for one in identifiers):
        raise Problem("rejectedIdentifier", "certificates for these names are given no more", 403)
    key = request.public_key()
    _check_key(key)
    if _der(key) == _der_of(call.owner.jwk):
        raise Problem("badCSR", "the key of an account is not to be used for anything else (section 11.1)")
    points = x509.CRLDistributionPoints(
        [x509.DistributionPoint([x509.UniformResourceIdentifier(call.url("revoked.crl"))], None, None, None)]
    )
    names = [one.value for one in identifiers]
    made = call.authority.sign(key, names, datetime.fromtimestamp(call.now, UTC), call.rules.lifetime, [points])
    issued = Issued(
        id=f"{made.serial_number:x}",
        owner=call.owner.id,
        expires=made.not_valid_after_utc.timestamp(),
        chain=pem(made, call.authority.certificate).decode(),
        names=identifiers,
    )
    call.tx.put(issued)
    log.info("account %s has a certificate for %s, serial number %s", call.owner.id, ", ".join(names), issued.id)
    return issued


def certificate(call: Call) -> Answer:
    """One with its chain (section 7.4.2)."""
    found = call.tx.get(Issued, "/".join(call.rest))
    one_of_ours(found, call.owner)
    assert found is not None, "it is one of ours"
    return Answer(200, found.chain.encode(), (_PEM_CHAIN,))


def revoke(call: Call) -> Answer:
    """Section 7.6: for who has it, who has its key, and who could have it."""
    try:
        told = x509.load_der_x509_certificate(decode(call.payload.get("certificate")))
    except ValueError:
        raise malformed("this is not a certificate") from None
    found = call.tx.get(Issued, f"{told.serial_number:x}")
    if found is None or x509.load_pem_x509_certificate(found.chain.encode()) != told:
        raise Problem("malformed", "this certificate was not issued here, or has expired", 404)
    if not _may_revoke(call, found, told):
        raise Problem("unauthorized", "this certificate is somebody else's", 403)
    reason = call.payload.get("reason", 0)
    if type(reason) is not int or reason not in REASONS:
        raise Problem("badRevocationReason", f"reasons are {', '.join(map(str, REASONS))}")
    if call.tx.get(Revoked, found.id) is not None:
        raise Problem("alreadyRevoked", "this certificate was revoked before")
    call.tx.put(Revoked(id=found.id, owner=found.owner, expires=found.expires, since=call.now, reason=reason))
    log.info("the certificate with serial number %s was revoked", found.id)
    return Answer(200)


def revocation_list(tx: Transaction, authority: Authority, now: float) -> bytes:
    """DER: what was revoked and has not expired. What was signed with the key of now is on it, whichever the certificate of the
    authority was then."""
    moment = datetime.fromtimestamp(now, UTC)
    made = x509.CertificateRevocationListBuilder()
    made = made.last_update(moment).next_update(moment + CRL_LIFETIME)
    made = made.add_extension(x509.CRLNumber(int(now)), critical=False)
    for revoked in tx.all(Revoked):
        one = x509.RevokedCertificateBuilder().serial_number(int(revoked.id, 16))
        one = one.revocation_date(datetime.fromtimestamp(revoked.since, UTC))
        if revoked.reason:
            one = one.add_extension(x509.CRLReason(_FLAGS[revoked.reason]), critical=False)
        made = made.add_revoked_certificate(one.build())
    return authority.sign_list(made).public_bytes(Encoding.DER)


_FLAGS = {
    1: x509.ReasonFlags.key_compromise,
    3: x509.ReasonFlags.affiliation_changed,
    4: x509.ReasonFlags.superseded,
    5: x509.ReasonFlags.cessation_of_operation,
}


def _read_request(text: object) -> x509.CertificateSigningRequest:
    try:
        request = x509.load_der_x509_csr(decode(text))
        if request.is_signature_valid:
            return request
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        pass
    raise Problem("badCSR", "this is not a CSR that its key has signed")


def _names_of(request: x509.CertificateSigningRequest) -> set[Identifier]:
    """All names that a CSR asks for. Raises Problem."""
    try:
        said = list(request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        said = []
    except (ValueError, x509.DuplicateExtension):
        raise Problem("badCSR", "the extensions of the CSR cannot be read") from None
    found = set()
    for name in said:
        if isinstance(name, x509.DNSName):
            found.add(Identifier("dns", name.value.lower()))
        elif isinstance(name, x509.IPAddress):
            found.add(Identifier("ip", str(name.value)))
        else:
            raise Problem("badCSR", "the CSR asks for what is neither a host name nor an address")
    addresses = {one.value for one in found if one.type == "ip"}
    common = {str(one.value).lower() for one in request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)}
    return found | {Identifier("dns", name) for name in common - addresses}


def _check_key(key: object) -> None:
    good = (
        (isinstance(key, rsa.RSAPublicKey) and RSA_BITS[0] <= key.key_size <= RSA_BITS[1])
        or (isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1 | ec.SECP384R1))
        or isinstance(key, ed25519.Ed25519PublicKey)
    )
    if not good:
        raise Problem("badCSR", f"keys are RSA ({RSA_BITS[0]} to {RSA_BITS[1]} bits), EC (P-256, P-384) or Ed25519")


def _der(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _der_of(jwk: Jwk) -> bytes:
    found = JWKRegistry.import_key(jwk).public_key
    assert not isinstance(found, bytes)
    return found.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _may_revoke(call: Call, found: Issued, certificate: x509.Certificate) -> bool:
    if call.account is None:
        return _der_of(call.signed.jwk) == _der(certificate.public_key())
    if found.owner == call.account.id:
        return True
    held = {one.identifier for one in call.tx.owned(Authorization, call.account.id) if one.status == "valid"}
    return held >= set(found.names)
