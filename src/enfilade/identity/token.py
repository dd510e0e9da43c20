"""Tokens (JWT, RFC 7519) and the keys that they are signed with (JWK, RFC 7517), judged as RFC 8725 says: what may sign is known
before a token is read, and nothing that it says itself leads to a key. The cryptography is joserfc's."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from math import isfinite
from typing import Any, NamedTuple

from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key, OctKey
from joserfc.jws import CompactSignature, JWSRegistry, extract_compact, validate_compact

from enfilade.exchange.identity import Identity
from enfilade.identity.algorithms import ALGORITHMS, SECRET

KEYS = 64
"""Of one set, that are looked at."""
_TYPES = (None, "jwt", "at+jwt")
"""What a token may say that it is (RFC 8725 section 3.11, RFC 9068): not one that somebody signed for another purpose."""
# In base64url. RSA keys have 2,048 to 8,192 bits: less is broken, more takes long.
_RSA_MODULUS = range(342, 1367)
_RSA_EXPONENT = range(1, 9)


class SigningKey(NamedTuple):
    """`algorithms`: those that it is used with."""

    id: str | None
    algorithms: frozenset[str]
    key: Key


class Terms(NamedTuple):
    """What a token must hold. `issuers`, `audiences`: one of them; without any, whatever it says. `claims`: by name, one of these
    values. `leeway`: seconds that clocks may differ."""

    algorithms: frozenset[str]
    issuers: frozenset[str]
    audiences: frozenset[str]
    claims: Mapping[str, frozenset[str]]
    leeway: float


class Verified(NamedTuple):
    """`until`: the time when it is none any more."""

    identity: Identity
    until: float


class Refused(Exception):
    """The token is not accepted; the text, for whoever sent it, says why. `insufficient`: it is a good one, for something
    else."""

    def __init__(self, text: str, *, insufficient: bool = False) -> None:
        super().__init__(text)
        self.insufficient = insufficient


class UnknownKey(Refused):
    """None of the keys is the one that it names."""


def verify(token: bytes, keys: Sequence[SigningKey], terms: Terms, now: float) -> Verified:
    """Who sent `token` (a JWS in compact form); `now`: Unix time. Raises Refused."""
    signed = _parse(token)
    algorithm, key_id = _algorithm_and_key(signed.protected, terms.algorithms)
    usable = [
        one.key
        for one in keys
        if algorithm in one.algorithms and (key_id is None or one.id is None or one.id == key_id)
    ]
    if not usable:
        raise UnknownKey("The key is not known.")
    registry = _Registry(algorithms=[algorithm], strict_check_header=False)
    if not any(_signed_with(signed, key, registry) for key in usable):
        raise Refused("The signature is wrong.")
    try:
        claims = json.loads(signed.payload)
    except (ValueError, RecursionError):
        raise Refused("The token is malformed.") from None
    if not isinstance(claims, dict):
        raise Refused("The token is malformed.")
    until = _check_time(claims, terms.leeway, now)
    _check_parties(claims, terms)
    for name, wanted in terms.claims.items():
        if wanted.isdisjoint(_values(claims, name)):
            raise Refused("The token does not allow this.", insufficient=True)
    subject = claims.get("sub")
    return Verified(Identity(subject if isinstance(subject, str) else "", claims), until)


class _Registry(JWSRegistry):
    max_header_length = 4096

    def get_alg(self, name: str) -> Any:
        # The name that RFC 9864 gives to EdDSA with the one curve that is taken here.
        return super().get_alg(name) if name != "EdDSA" else self.algorithms["Ed25519"]


_ANY = _Registry()


def _parse(token: bytes) -> CompactSignature:
    try:
        signed = extract_compact(token, registry=_ANY)
    except (JoseError, ValueError, TypeError, AttributeError, RecursionError):
        raise Refused("The token is malformed.") from None
    if not isinstance(signed.protected, dict):
        raise Refused("The token is malformed.")
    return signed


def _algorithm_and_key(header: Mapping[str, object], pinned: Collection[str]) -> tuple[str, str | None]:
    algorithm, key_id, kind = header.get("alg"), header.get("kid"), header.get("typ")
    if not isinstance(algorithm, str) or algorithm not in pinned:
        raise Refused("The algorithm is not accepted.")
    if "crit" in header or "b64" in header:  # RFC 7515 section 4.1.11: we know none of them
        raise Refused("The token has an extension that is not known.")
    if isinstance(kind, str):
        kind = kind.lower().removeprefix("application/")
    if kind not in _TYPES:
        raise Refused("The token is for another purpose.")
    if not isinstance(key_id, str | None):
        raise Refused("The token is malformed.")
    return algorithm, key_id


def _signed_with(signed: CompactSignature, key: Key, registry: JWSRegistry) -> bool:
    try:
        return validate_compact(signed, key, registry=registry)
    except (JoseError, ValueError, TypeError):
        return False


def _check_time(claims: Mapping[str, object], leeway: float, now: float) -> float:
    """Until when it holds (RFC 7519 sections 4.1.4 and 4.1.5). One that holds for ever cannot be taken back."""
    until, since = _seconds(claims, "exp"), _seconds(claims, "nbf")
    if until is None:
        raise Refused("The token has no end.")
    if now >= until + leeway:
        raise Refused("The token has expired.")
    if since is not None and now < since - leeway:
        raise Refused("The token does not hold yet.")
    return until + leeway


def _seconds(claims: Mapping[str, object], name: str) -> float | None:
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not (abs(value) < 1 << 53 and isfinite(value)):
        raise Refused("The token is malformed.")
    return value


def _check_parties(claims: Mapping[str, object], terms: Terms) -> None:
    issuer, audience = claims.get("iss"), claims.get("aud")
    if terms.issuers and not (isinstance(issuer, str) and issuer in terms.issuers):
        raise Refused("The issuer is not accepted.")
    if terms.audiences and terms.audiences.isdisjoint(_texts(audience)):
        raise Refused("The token is for somebody else.")


def _values(claims: Mapping[str, object], name: str) -> Iterator[str]:
    """What the claim `name` says; with dots, a claim within another one, where none is called so. Scopes stand in one text (RFC
    8693 section 4.2)."""
    value: object = claims.get(name)
    if value is None:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    if name == "scope" and isinstance(value, str):
        value = value.split(" ")
    return _texts(value)


def _texts(value: object) -> Iterator[str]:
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, bool):
            yield "true" if one else "false"
        elif isinstance(one, str | int):
            yield str(one)


# -- keys


def read_keys(data: bytes, algorithms: Collection[str]) -> tuple[SigningKey, ...]:
    """The public keys of the JWK Set `data` that can sign by one of `algorithms`; others, of kinds that are not known here, for
    encryption, too weak, or secret, are passed over (RFC 7517 section 5). Raises ValueError; none is an error, too."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError('it is not a JWK Set: it has no list "keys"')
    keys = [key for jwk in listed[:KEYS] if isinstance(jwk, dict) and (key := _key(jwk, algorithms)) is not None]
    if not keys:
        raise ValueError(f"it has no key for {', '.join(sorted(algorithms))}")
    return tuple(keys)


def secret_key(secret: bytes, algorithms: Collection[str]) -> SigningKey:
    """ValueError where it is too short for one of them."""
    most = max(ALGORITHMS[name].size for name in algorithms)
    if len(secret) < most:
        raise ValueError(
            f"a secret for {', '.join(sorted(algorithms))} has at least {most} bytes, and this one {len(secret)}"
        )
    return SigningKey(None, frozenset(algorithms), OctKey.import_key(secret))


def _key(jwk: dict[str, Any], pinned: Collection[str]) -> SigningKey | None:
    if jwk.get("use", "sig") != "sig" or jwk.get("kty") == SECRET or not _is_strong(jwk):
        return None
    kind = jwk.get("kty"), jwk.get("crv", "")
    algorithms = frozenset(name for name in pinned if ALGORITHMS[name][:2] == kind and jwk.get("alg") in (None, name))
    key_id = jwk.get("kid")
    if not algorithms or not isinstance(key_id, str | None):
        return None
    try:
        return SigningKey(key_id, algorithms, JWKRegistry.import_key(jwk))
    except (JoseError, ValueError, TypeError):
        return None


def _is_strong(jwk: dict[str, Any]) -> bool:
    if jwk.get("kty") != "RSA":
        return True
    return len(str(jwk.get("n"))) in _RSA_MODULUS and len(str(jwk.get("e"))) in _RSA_EXPONENT
