"""The signatures that a token may have (RFC 7518 section 3, RFC 8037, RFC 9864), and which keys can make them."""

from __future__ import annotations

from typing import NamedTuple


class Algorithm(NamedTuple):
    """`kind` and `curve` of its keys, as JWKs name them; a secret has at least so many bytes as `size` (RFC 7518 section 3.2)."""

    kind: str
    curve: str = ""
    size: int = 0


SECRET = "oct"
"""The kind of a key that whoever verifies with it can sign with, too."""

ALGORITHMS = {
    "RS256": Algorithm("RSA"),
    "RS384": Algorithm("RSA"),
    "RS512": Algorithm("RSA"),
    "PS256": Algorithm("RSA"),
    "PS384": Algorithm("RSA"),
    "PS512": Algorithm("RSA"),
    "ES256": Algorithm("EC", "P-256"),
    "ES384": Algorithm("EC", "P-384"),
    "ES512": Algorithm("EC", "P-521"),
    "EdDSA": Algorithm("OKP", "Ed25519"),
    "Ed25519": Algorithm("OKP", "Ed25519"),
    "HS256": Algorithm(SECRET, size=32),
    "HS384": Algorithm(SECRET, size=48),
    "HS512": Algorithm(SECRET, size=64),
}
PUBLIC = ("RS256", "ES256", "EdDSA", "Ed25519")
SHARED = ("HS256",)
"""What is taken where nobody says which: with public keys, and with a secret."""
