"""TLS: versions, suites and the certificate, by the library that this Python has."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from enfilade.doctor.answers import Seen
from enfilade.doctor.probe import Needs, Probe, Usual, Verdict, bad, good, skipped, unclear
from enfilade.doctor.requests import LAST
from enfilade.doctor.target import PORTS, Target

SOON = 14
"""Days before its end at which a certificate should long have been renewed (lifetimes of 90 days are renewed at 30)."""
SHORT_LIFE = 10
"""Days that such a rule does not hold for: certificates of six days."""
EVERYTHING = "ALL:@SECLEVEL=0"


class Shaken(NamedTuple):
    """A handshake: the version and suite that were agreed on, or why there was none; `possible`: whether we could try."""

    version: str | None = None
    suite: str = ""
    refused: str = ""
    possible: bool = True


def shake(target: Target, context: ssl.SSLContext, name: str | None = None) -> Shaken:
    try:
        with target.connect_tcp() as tcp, context.wrap_socket(tcp, server_hostname=name or target.host) as sock:
            cipher = sock.cipher()
            return Shaken(sock.version(), cipher[0] if cipher else "")
    except (ConnectionError, ssl.SSLError, TimeoutError) as error:
        return Shaken(refused=str(getattr(error, "reason", None) or error).lower().replace("_", " "))


def only(version: ssl.TLSVersion, suites: str = EVERYTHING) -> Callable[[Target], Shaken]:
    def look(target: Target) -> Shaken:
        try:
            context = target.old_versions(version, suites)
        except (ssl.SSLError, ValueError):
            return Shaken(possible=False)
        return shake(target, context)

    return look


def must_not(shaken: Shaken, usual: Usual) -> Verdict:
    if not shaken.possible or shaken.refused in ("no ciphers available", "no protocols available"):
        return skipped("this machine's OpenSSL cannot speak it")
    if shaken.version:
        return bad(f"{shaken.version} with {shaken.suite}")
    return good(f"refused: {shaken.refused}")


def rather_not(shaken: Shaken, usual: Usual) -> Verdict:
    """What nobody has broken for good, and nobody needs."""
    return unclear(f"{shaken.version} with {shaken.suite}") if shaken.version else must_not(shaken, usual)


def should(shaken: Shaken, usual: Usual) -> Verdict:
    return good(f"{shaken.version} with {shaken.suite}") if shaken.version else unclear(f"refused: {shaken.refused}")


def unknown_protocol(target: Target) -> Shaken:
    return shake(target, target.trusting(("doctor/1",)))


def refused_protocol(shaken: Shaken, usual: Usual) -> Verdict:
    if shaken.version:
        return unclear(
            "taken: RFC 7301 section 3.2 wants such a handshake to end, so that no other protocol is taken for this one"
        )
    return good(f"refused: {shaken.refused}")


def trust(target: Target) -> tuple[str, bool]:
    """What is wrong with the certificate, as a client sees it; and whether that counts."""
    context = ssl.create_default_context(cafile=target.authority)
    try:
        with target.connect_tcp() as tcp, context.wrap_socket(tcp, server_hostname=target.host):
            return "", True
    except ssl.SSLCertVerificationError as error:
        return error.verify_message, not target.insecure
    except (OSError, ValueError) as error:
        return str(error), True


def trusted(seen: tuple[str, bool], usual: Usual) -> Verdict:
    wrong, counts = seen
    if not wrong:
        return good("trusted, and for this name")
    return bad(wrong) if counts else unclear(f"{wrong} (--insecure)")


def certificate(target: Target) -> bytes:
    with target.connect_tcp() as tcp, target.trusting().wrap_socket(tcp, server_hostname=target.host) as sock:
        return sock.getpeercert(binary_form=True) or b""


def in_time(der: bytes, usual: Usual) -> Verdict:
    return validity(x509.load_der_x509_certificate(der))


def validity(made: x509.Certificate) -> Verdict:
    """Neither over, nor soon so."""
    now = datetime.now(UTC)
    left, life = made.not_valid_after_utc - now, made.not_valid_after_utc - made.not_valid_before_utc
    if left.total_seconds() < 0 or made.not_valid_before_utc > now:
        return bad(f"valid from {made.not_valid_before_utc:%Y-%m-%d} to {made.not_valid_after_utc:%Y-%m-%d}")
    if left.days < SOON and life.days > SHORT_LIFE:
        return unclear(f"{left.days} days left: is it renewed?")
    return good(f"{left.days} days left")


def strong(der: bytes, usual: Usual) -> Verdict:
    made = x509.load_der_x509_certificate(der)
    key, signed = made.public_key(), made.signature_hash_algorithm
    if signed is not None and signed.name in ("md5", "sha1"):
        return bad(f"signed with {signed.name}")
    if isinstance(key, RSAPublicKey):
        return good(f"RSA {key.key_size}") if key.key_size >= 2048 else bad(f"RSA {key.key_size}")
    return good(type(key).__name__.strip("_").removesuffix("PublicKey"))


def redirect(target: Target) -> Seen | None:
    """Plain HTTP, where the other one is at its usual port."""
    if target.port != PORTS["https"]:
        return None
    try:
        return target.plain().ask(LAST)
    except OSError:
        return Seen(ending=Seen().ending.CLOSED)


def to_https(seen: Seen | None, usual: Usual) -> Verdict:
    if seen is None:
        return skipped("the URL has a port of its own")
    if not seen.answers:
        return good("no plain HTTP")
    if 300 <= seen.status < 400 and seen.answers[0].get("location").startswith("https://"):
        return good(f"{seen}: to https")
    return bad(f"{seen}: served without TLS")


OLD = "TLS 1.2 and 1.3 alone."
SUITES = "Suites with forward secrecy and authenticated encryption alone (ECDHE with AES-GCM or ChaCha20)."
RENEW = "Renew it, and let something renew it from now on."
V12 = ssl.TLSVersion.TLSv1_2
PROBES = tuple(
    Probe(name, 36, tries, look, judge, advice, Needs.TLS)
    for name, tries, look, judge, advice in (
        ("tls-1.0", "TLS 1.0", only(ssl.TLSVersion.TLSv1), must_not, OLD),
        ("tls-1.1", "TLS 1.1", only(ssl.TLSVersion.TLSv1_1), must_not, OLD),
        ("tls-1.3", "TLS 1.3", only(ssl.TLSVersion.TLSv1_3), should, "Switch TLS 1.3 on."),
        (
            "suites-none",
            "suites without a certificate or encryption",
            only(V12, "aNULL:eNULL:@SECLEVEL=0"),
            must_not,
            SUITES,
        ),
        (
            "suites-weak",
            "suites with RC4, DES or MD5",
            only(V12, "3DES:DES:RC4:MD5:EXPORT:@SECLEVEL=0"),
            must_not,
            SUITES,
        ),
        ("suites-rsa", "suites without forward secrecy", only(V12, "kRSA:@SECLEVEL=0"), must_not, SUITES),
        (
            "suites-cbc",
            "suites with CBC",
            only(V12, "AES128-SHA:AES256-SHA:ECDHE+AES+SHA1:ECDHE+AES+SHA256:!AESGCM:@SECLEVEL=0"),
            rather_not,
            SUITES,
        ),
        ("alpn", "a protocol that nobody knows, by ALPN", unknown_protocol, refused_protocol, "Update the server."),
        (
            "trusted",
            "the certificate, as clients check it",
            trust,
            trusted,
            "A certificate for this name, with the whole chain.",
        ),
        ("expiry", "until when the certificate is valid", certificate, in_time, RENEW),
        ("key", "the certificate's key and signature", certificate, strong, RENEW),
        ("redirect", "the same without TLS", redirect, to_https, "Redirect to https (308)."),
    )
)
