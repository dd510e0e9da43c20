"""The signatures of ACME's requests (RFC 8555 section 6.2): flattened JWS, with ES256 and nothing else;
HS256 only to bind an account to one that was made elsewhere."""

from __future__ import annotations

import json

from joserfc import jws
from joserfc.jwk import ECKey, OctKey

ALGORITHM = "ES256"
_REGISTRY = jws.JWSRegistry(algorithms=[ALGORITHM], strict_check_header=False)  # `nonce` and `url` are ACME's own
_BINDING = jws.JWSRegistry(algorithms=["HS256"], strict_check_header=False)


class AccountKey:
    """The key of an account with an authority. `pem`: as it is stored."""

    def __init__(self, pem: bytes) -> None:
        """Raises ValueError where that is no P-256 key."""
        key = ECKey.import_key(pem)
        if key.curve_name != "P-256" or not key.is_private:
            raise ValueError("not a private key on the curve P-256")
        self.pem = pem
        self._key = key

    @classmethod
    def new(cls) -> AccountKey:
        return cls(ECKey.generate_key("P-256").as_pem(private=True))

    def sign(self, url: str, nonce: str, payload: object | None, account: str | None) -> bytes:
        """The body of a request to `url`. `payload`: None for POST-as-GET (section 6.3); `account`: its URL, None where it
        is not known yet."""
        who: dict[str, object] = {"jwk": self.public()} if account is None else {"kid": account}
        header = {"alg": ALGORITHM, "nonce": nonce, "url": url, **who}
        text = b"" if payload is None else json.dumps(payload).encode()
        return json.dumps(jws.serialize_json({"protected": header}, text, self._key, registry=_REGISTRY)).encode()

    def authorization(self, token: str) -> str:
        """What answers a challenge with this `token` (section 8.1)."""
        return f"{token}.{self._key.thumbprint()}"

    def public(self) -> object:
        return self._key.as_dict(private=False)


class ExternalAccount:
    """An account that was made elsewhere (section 7.3.4): its `name` and its `key`."""

    def __init__(self, name: str, key: bytes) -> None:
        self._name = name
        self._key = OctKey.import_key(key)

    def bind(self, key: AccountKey, url: str) -> object:
        """What says that `key` belongs to it, for the request to `url`."""
        header = {"alg": "HS256", "kid": self._name, "url": url}
        return jws.serialize_json({"protected": header}, json.dumps(key.public()), self._key, registry=_BINDING)
