"""Requests are JSON that somebody signed (RFC 8555 section 6.2): who that was, and what for."""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from secrets import token_bytes
from typing import Any, NamedTuple

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, OctKey
from joserfc.jws import JWSRegistry

from enfilade.pki.acme.problem import Problem, malformed

KEY_TYPES = {"ES256": ("EC", "P-256"), "ES384": ("EC", "P-384"), "RS256": ("RSA", None), "EdDSA": ("OKP", "Ed25519")}
"""The algorithms that are taken, and the keys that go with them."""
_PUBLIC = {"EC": ("kty", "crv", "x", "y"), "RSA": ("kty", "n", "e"), "OKP": ("kty", "crv", "x")}
RSA_BITS = (2048, 8192)
RSA_EXPONENT = 1 << 32
"""The cost of a signature grows with both: a stranger chooses them."""
NONCE_LIFETIME = 600
"""Seconds."""
_TIME, _RANDOM, _MAC = 5, 12, 16
Json = dict[str, Any]
Jwk = dict[str, Any]


class Signed(NamedTuple):
    """What a request says. `payload`: None for POST-as-GET. `jwk`: the key that it was signed with, `by_key`: which it brought
    itself."""

    protected: Json
    payload: Json | None
    jwk: Jwk
    by_key: bool

    @property
    def account(self) -> str:
        """The URL of the account that signed it; "" where it brought its key."""
        return "" if self.by_key else str(self.protected["kid"])


def read_signed(body: bytes, url: str, jwk_of: Callable[[str], Jwk]) -> Signed:
    """The request `body` to `url`; `jwk_of`: the key of the account with this URL, or a Problem. Raises Problem."""
    document = _json(body)
    if set(document) != {"protected", "payload", "signature"} or not all(isinstance(v, str) for v in document.values()):
        raise malformed("a request is a flattened JWS: protected, payload, signature")
    protected = _json(decode(document["protected"]))
    algorithm = protected.get("alg")
    if algorithm not in KEY_TYPES:
        raise Problem("badSignatureAlgorithm", "this signature algorithm is not taken", algorithms=[*KEY_TYPES])
    if "crit" in protected or "b64" in protected:
        raise malformed("critical header parameters are not known here")
    if protected.get("url") != url:
        raise Problem("unauthorized", f"this was signed for another URL than {url}", 403)
    by_key = "jwk" in protected
    if by_key is ("kid" in protected):
        raise malformed("a request has either jwk or kid")
    jwk = check_key(protected["jwk"]) if by_key else jwk_of(str(protected["kid"]))
    kind, curve = KEY_TYPES[algorithm]
    if jwk["kty"] != kind or jwk.get("crv") != curve:
        raise malformed(f"{algorithm} does not go with such a key")
    verify(document, JWKRegistry.import_key(jwk), algorithm)
    payload = decode(document["payload"])
    return Signed(protected, _json(payload) if payload else None, jwk, by_key)


def check_key(jwk: object) -> Jwk:
    """`jwk`, a public key that is good enough, without what does not belong to it. Raises Problem."""
    if not isinstance(jwk, dict):
        raise malformed("jwk is not a key")
    if "d" in jwk or "k" in jwk:
        raise Problem("badPublicKey", "this key is no secret any more; make another one")
    names = _PUBLIC.get(str(jwk.get("kty")))
    if names is None or (jwk["kty"], jwk.get("crv")) not in KEY_TYPES.values():
        raise Problem("badPublicKey", "keys are RSA, EC (P-256, P-384) or OKP (Ed25519)")
    if not all(isinstance(jwk.get(name), str) for name in names):
        raise malformed(f"a key of type {jwk['kty']} has {', '.join(names)}")
    if jwk["kty"] == "RSA":
        _check_rsa(jwk)
    public = {name: jwk[name] for name in names}
    try:
        JWKRegistry.import_key(public).public_key  # noqa: B018  # which is where a point off its curve is found
    except (JoseError, ValueError, TypeError):
        raise Problem("badPublicKey", "this is no key") from None
    return public


def _check_rsa(jwk: Jwk) -> None:
    bits = int.from_bytes(decode(jwk["n"])).bit_length()
    exponent = int.from_bytes(decode(jwk["e"]))
    if not (RSA_BITS[0] <= bits <= RSA_BITS[1] and 2 < exponent < RSA_EXPONENT):
        raise Problem("badPublicKey", f"an RSA key has from {RSA_BITS[0]} to {RSA_BITS[1]} bits, and a usual exponent")


def thumbprint(jwk: Jwk) -> str:
    """RFC 7638."""
    return JWKRegistry.import_key(jwk).thumbprint()


def verify(document: Json, key: Any, algorithm: str) -> None:
    """Raises Problem where `key` did not sign `document`."""
    text = f"{document['protected']}.{document['payload']}".encode()
    try:
        # The algorithm was chosen here: nothing of the library's that reads headers is needed.
        fits = JWSRegistry.algorithms[algorithm].verify(text, decode(document["signature"]), key)
    except (JoseError, ValueError, TypeError):
        fits = False
    if not fits:
        raise malformed("the signature does not fit the request")


def verify_binding(binding: object, jwk: Jwk, url: str, keys: Mapping[str, bytes]) -> str:
    """Who of `keys` vouches for the account with `jwk` (RFC 8555 section 7.3.4). Raises Problem."""
    if not isinstance(binding, dict) or set(binding) != {"protected", "payload", "signature"}:
        raise malformed("externalAccountBinding is a flattened JWS")
    protected = _json(decode(binding["protected"]))
    if protected.get("alg") != "HS256" or "nonce" in protected or protected.get("url") != url:
        raise malformed("an external account is bound with HS256, for this URL and without a nonce")
    name = str(protected.get("kid"))
    if name not in keys or check_key(_json(decode(binding["payload"]))) != jwk:
        raise Problem("unauthorized", "this external account is not known, or bound to another key", 403)
    try:
        verify(binding, OctKey.import_key(keys[name]), "HS256")
    except Problem:
        raise Problem("unauthorized", "this external account is not known, or bound to another key", 403) from None
    return name


# -- nonces: whoever has the secret knows that one is ours, and when it was given out; that it is used once is for the records


def new_nonce(secret: bytes, now: float) -> str:
    start = int(now).to_bytes(_TIME) + token_bytes(_RANDOM)
    return encode(start + _mac(secret, start))


def nonce_is_ours(nonce: object, secret: bytes, now: float) -> bool:
    """Whether it was given out with `secret`, not too long ago."""
    try:
        raw = decode(str(nonce))
    except Problem:
        return False
    start = raw[: _TIME + _RANDOM]
    fits = hmac.compare_digest(raw[_TIME + _RANDOM :], _mac(secret, start))
    return fits and -60 < now - int.from_bytes(raw[:_TIME]) < NONCE_LIFETIME


def _mac(secret: bytes, text: bytes) -> bytes:
    return hmac.digest(secret, text, sha256)[:_MAC]


# -- encodings


def encode(raw: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return urlsafe_b64encode(raw).decode().rstrip("=")


def decode(text: object) -> bytes:
    """What `encode` made. Raises Problem."""
    try:
        raw = urlsafe_b64decode(str(text) + "=" * (-len(str(text)) % 4))
    except ValueError:
        raw = b""
    if encode(raw) != text:
        raise malformed("this is not base64url without padding")
    return raw


def _json(text: bytes) -> Json:
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise malformed("this is not a JSON object")
    return found
