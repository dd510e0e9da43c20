"""Keys, and tokens that are signed with them."""

from __future__ import annotations

import base64
import json
from typing import Any

from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from enfilade.identity.token import SigningKey, Terms, read_keys

NOW = 1_000_000.0
RSA = RSAKey.generate_key(2048)
OTHER_RSA = RSAKey.generate_key(2048)
EC = ECKey.generate_key("P-256")
ED = OKPKey.generate_key("Ed25519")
SECRET = b"0123456789abcdef0123456789abcdef"
GOOD: dict[str, Any] = {"iss": "https://id", "aud": "api", "sub": "ada", "exp": NOW + 60}
DEFAULT = frozenset(("RS256", "ES256", "EdDSA", "Ed25519"))


def part(value: object) -> bytes:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def sign(claims: object = GOOD, key: Key = RSA, alg: str = "RS256", **header: object) -> bytes:
    """Whatever stands in the header and in the claims: no library would sign some of it."""
    said = part({"alg": alg, **header}) + b"." + part(claims)
    with_it = JWSRegistry.algorithms["Ed25519" if alg == "EdDSA" else alg]
    return said + b"." + part(with_it.sign(said, key))


def jwk(key: Key, **more: object) -> dict[str, Any]:
    return {**key.as_dict(), **more}


def jwks(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def keys(*listed: dict[str, Any], algorithms: frozenset[str] = DEFAULT) -> tuple[SigningKey, ...]:
    return read_keys(jwks(*listed), algorithms)


def terms(**changed: Any) -> Terms:
    usual: dict[str, Any] = {
        "algorithms": DEFAULT, "issuers": frozenset(["https://id"]), "audiences": frozenset(["api"]), "claims": {}, "leeway": 5.0
    }  # fmt: skip
    return Terms(**(usual | changed))


def secret() -> Key:
    return OctKey.import_key(SECRET)
