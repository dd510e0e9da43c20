"""Keys, requests for certificates, and what stands in a certificate."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from ipaddress import ip_address
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")
_VALIDATION = timedelta(days=1)


class Chain(NamedTuple):
    """A certificate with those that lead to its root. `pem`: as TLS sends them; the times in seconds since 1970; `id`: what its
    authority calls it (RFC 9773 section 4.1), "" where it has no name for it."""

    pem: bytes
    names: tuple[str, ...]
    issuer: str
    not_before: float
    not_after: float
    id: str = ""


def new_key() -> bytes:
    """A private key on P-256, as PEM."""
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def signing_request(name: str, key: bytes) -> bytes:
    """A PKCS #10 request for `name`, DER."""
    private = serialization.load_pem_private_key(key, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey), "keys are made by new_key"
    names = x509.SubjectAlternativeName([general_name(name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(names, critical=False)
    return request.sign(private, SHA256()).public_bytes(serialization.Encoding.DER)


def validation_certificate(name: str, authorization: str) -> bytes:
    """What answers a challenge of tls-alpn-01 (RFC 8737 section 3), with its key, PEM."""
    pem = new_key()
    key = serialization.load_pem_private_key(pem, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey), "keys are made by new_key"
    digest = sha256(authorization.encode()).digest()
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(x509.Name([]), x509.Name([]), key.public_key(), x509.random_serial_number())
        .not_valid_before(now - _VALIDATION)
        .not_valid_after(now + _VALIDATION)
        .add_extension(x509.SubjectAlternativeName([general_name(name)]), critical=True)
        .add_extension(x509.UnrecognizedExtension(_ACME_IDENTIFIER, b"\x04\x20" + digest), critical=True)
    )
    return pem + made.sign(key, SHA256()).public_bytes(serialization.Encoding.PEM)


def general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def read_chain(pem: bytes, key: bytes) -> Chain:
    """What stands in the chain `pem`, the certificate for `key`. Raises ValueError."""
    certificates = x509.load_pem_x509_certificates(pem)
    leaf = certificates[0]
    if leaf.public_key() != serialization.load_pem_private_key(key, None).public_key():
        raise ValueError("the certificate is not for this key")
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        raise ValueError("the certificate names nobody") from None
    return Chain(
        b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates),
        tuple(str(name) for kind in (x509.DNSName, x509.IPAddress) for name in names.get_values_for_type(kind)),
        leaf.issuer.rfc4514_string(),
        leaf.not_valid_before_utc.timestamp(),
        leaf.not_valid_after_utc.timestamp(),
        _id(leaf),
    )


def _id(leaf: x509.Certificate) -> str:
    try:
        signer = leaf.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        signer = None
    serial = leaf.serial_number.to_bytes(leaf.serial_number.bit_length() // 8 + 1, "big")  # as DER has it
    return f"{_base64url(signer)}.{_base64url(serial)}" if signer else ""


def _base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()
