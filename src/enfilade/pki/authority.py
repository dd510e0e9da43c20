"""An authority of our own: a root, an intermediate that signs in its place, and the certificates that it signs. Times come from
who asks."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

ROOT_LIFETIME = timedelta(days=3653)
INTERMEDIATE_LIFETIME = timedelta(days=1826)
BACKDATED = timedelta(hours=1)
"""By how much certificates begin in the past: other machines' clocks are not ours."""
LOCAL_NAMES = ("localhost", "127.0.0.1", "::1")
CURVE = ec.SECP256R1()
_HASH = hashes.SHA256()
_CA_USES = ("key_cert_sign", "crl_sign")


class Leaf(NamedTuple):
    """A server's certificate. `chain`: PEM, itself and the intermediate; `key`: PEM."""

    chain: bytes
    key: bytes


class Authority(NamedTuple):
    """Who signs: a certificate and its key, and the certificate of who signed that."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    issuer: x509.Certificate

    def sign(
        self,
        key: CertificatePublicKeyTypes,
        names: Sequence[str],
        now: datetime,
        lifetime: timedelta,
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> x509.Certificate:
        """A certificate of a server for `names` (host names, wildcards, addresses), none of which is valid for longer than we
        are. It is no client's: a name on the network says nothing about who asks."""
        uses = ["digital_signature"]
        if isinstance(key, rsa.RSAPublicKey):  # for TLS 1.2 without (EC)DHE, which others may speak
            uses.append("key_encipherment")
        until = min(now + lifetime, self.certificate.not_valid_after_utc)
        made = _server(key, names, now, until).add_extension(_usage(*uses), critical=True)
        for extension in extensions:
            made = made.add_extension(extension, critical=False)
        return self._signed(made)

    def leaf(self, names: Sequence[str], now: datetime, lifetime: timedelta) -> Leaf:
        """A certificate as `sign` makes it, with a new key."""
        key = ec.generate_private_key(CURVE)
        return Leaf(pem(self.sign(key.public_key(), names, now, lifetime), self.certificate), key_pem(key))

    def intermediate(
        self, names: Sequence[str], now: datetime, key: ec.EllipticCurvePrivateKey | None = None
    ) -> Authority:
        """Who may sign in our place what `constraints_of(names)` says. `key`: the one that it has already."""
        key = key or ec.generate_private_key(CURVE)
        until = min(now + INTERMEDIATE_LIFETIME, self.certificate.not_valid_after_utc)
        made = _builder(_name(self.certificate).replace(" root", " intermediate"), key.public_key(), now, until)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        made = made.add_extension(_usage(*_CA_USES), critical=True)
        made = made.add_extension(constraints_of(names), critical=True)
        return Authority(self._signed(made), key, self.certificate)

    def sign_list(self, made: x509.CertificateRevocationListBuilder) -> x509.CertificateRevocationList:
        """A list of what was revoked."""
        made = made.issuer_name(self.certificate.subject).add_extension(self._identifier, critical=False)
        return made.sign(self.key, _HASH)

    def _signed(self, made: x509.CertificateBuilder) -> x509.Certificate:
        made = made.issuer_name(self.certificate.subject).add_extension(self._identifier, critical=False)
        return made.sign(self.key, _HASH)

    @property
    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        ours = self.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(ours)


def new_root(owner: str, now: datetime) -> Authority:
    """A root, called after its `owner`."""
    key = ec.generate_private_key(CURVE)
    name = f"Enfilade root, {owner}, {now:%Y-%m-%d}"
    made = _builder(name, key.public_key(), now, now + ROOT_LIFETIME)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
    made = made.add_extension(_usage(*_CA_USES), critical=True)
    signed = made.issuer_name(_subject(name)).sign(key, _HASH)
    return Authority(signed, key, signed)


def self_signed(names: Sequence[str], now: datetime, lifetime: timedelta) -> Leaf:
    """A server's certificate that nobody vouches for. What its key may do is not said: it may sign this, too."""
    key = ec.generate_private_key(CURVE)
    made = _server(key.public_key(), names, now, now + lifetime).issuer_name(_subject(_called(names)))
    return Leaf(pem(made.sign(key, _HASH)), key_pem(key))


def constraints_of(names: Sequence[str]) -> x509.NameConstraints:
    """What an authority for `names` may sign (RFC 5280 section 4.2.1.10): these, what is beneath them, and what this machine
    calls itself. There are a name and an address in it always: what has none of one kind limits none."""
    texts = sorted({*(name.removeprefix("*.") for name in names), *LOCAL_NAMES})
    return x509.NameConstraints([_subtree(text) for text in texts], None)


def pem(*certificates: x509.Certificate) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _builder(name: str, key: CertificatePublicKeyTypes, now: datetime, until: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_subject(name))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _server(
    key: CertificatePublicKeyTypes, names: Sequence[str], now: datetime, until: datetime
) -> x509.CertificateBuilder:
    made = _builder(_called(names), key, now, until)
    made = made.add_extension(x509.SubjectAlternativeName([_general_name(n) for n in names]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    return made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)


def _called(names: Sequence[str]) -> str:
    """The common name: an address would be one that constraints on host names forbid, to OpenSSL."""
    return next((name for name in names if not is_ip(name)), "an address")


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])  # no longer: RFC 5280 appendix A


def _name(certificate: x509.Certificate) -> str:
    (found,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found.value)


def _general_name(name: str) -> x509.GeneralName:
    return x509.IPAddress(ip_address(name)) if is_ip(name) else x509.DNSName(name)


def _subtree(text: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_network(text))
    except ValueError:
        return x509.DNSName(text)


def _usage(*uses: str) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: name in uses for name in names})
