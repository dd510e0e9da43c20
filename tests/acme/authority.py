"""An authority for tests that is a `Fetch`: it checks signatures and nonces as RFC 8555 says, and issues what it validated."""

from __future__ import annotations

import datetime
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from joserfc import jws
from joserfc.jwk import ECKey, OctKey

from enfilade.exchange.fetch import Fetched, FetchError
from enfilade.http.fields import Fields

HOST = "https://ca.test"
_REGISTRY = jws.JWSRegistry(algorithms=["ES256", "HS256"], strict_check_header=False)
Pair = tuple[bytes, bytes]


def b64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Clock:
    """Stands still, but for who sleeps. `slept`: what each of them asked for."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


class FakeAuthority:
    """`validate(name, token)`: what it is answered, None for nothing. `problems`: what it says next, instead of an answer, by the
    last part of the path; `asked`: the paths of all requests; `polls`: how often an order is still `processing`."""

    def __init__(
        self, clock: Clock, validate: Callable[[str, str], str | None] = lambda name, token: None, host: str = HOST
    ) -> None:
        self.clock = clock
        self.host = host
        self.validate = validate
        self.lifetime = 90 * 86400.0
        self.away = False
        self.nonces_refused = 0
        self.problems: dict[str, list[tuple[int, dict[str, Any], str]]] = {}
        self.asked: list[str] = []
        self.polls = 0
        self.offers = ["http-01", "dns-01"]
        self.external: dict[str, bytes] = {}
        self.meta: dict[str, Any] = {}
        self.window: tuple[float, float] | None = None
        self.window_again = "21600"
        self.replaced: set[str] = set()
        self.accounts: dict[str, dict[str, Any]] = {}
        self.orders: list[dict[str, Any]] = []
        self.wishes: list[dict[str, Any]] = []
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._nonces: set[str] = set()
        self._count = 0

    async def __call__(self, method: str, url: str, fields: Sequence[Pair] = (), body: bytes = b"") -> Fetched:
        assert url.startswith(self.host), url
        path = url.removeprefix(self.host)
        self.asked.append(path)
        if self.away:
            raise FetchError(f"{url}: it is away")
        if method == "POST":
            assert dict(fields)[b"content-type"] == b"application/jose+json"
            return self._posted(url, path, body)
        if path == "/dir":
            names = {"newNonce": "nonce", "newAccount": "account", "newOrder": "order"}
            if self.window is not None:
                names["renewalInfo"] = "renewal"
            return self._answer(200, {**{key: f"{self.host}/{name}" for key, name in names.items()}, "meta": self.meta})
        if path.startswith("/renewal/"):
            assert self.window is not None and path.removeprefix("/renewal/") in self._ids()
            start, end = (datetime.datetime.fromtimestamp(at, datetime.UTC).isoformat() for at in self.window)
            window = {"suggestedWindow": {"start": start, "end": end}}
            return self._answer(200, window, (b"retry-after", self.window_again.encode()))
        assert (method, path) == ("HEAD", "/nonce")
        return self._answer(200, None)

    def _answer(self, status: int, document: Any, *fields: Pair, body: bytes = b"") -> Fetched:
        self._count += 1
        nonce = f"nonce{self._count}"
        self._nonces.add(nonce)
        text = body or (b"" if document is None else json.dumps(document).encode())
        return Fetched(status, Fields([(b"replay-nonce", nonce.encode()), *fields]), text)

    def problem(self, kind: str, detail: str = "no", status: int = 403, *fields: Pair, **more: Any) -> Fetched:
        return self._answer(status, {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, **more}, *fields)

    def _posted(self, url: str, path: str, body: bytes) -> Fetched:
        document = json.loads(body)
        header = json.loads(b64(document["protected"]))
        assert header["url"] == url and header["alg"] == "ES256"
        account = header.get("kid")
        known = self.accounts[account]["jwk"] if account else header["jwk"]
        jws.deserialize_json(document, ECKey.import_key(known), registry=_REGISTRY)
        if self.nonces_refused or header["nonce"] not in self._nonces:
            self.nonces_refused -= 1
            return self.problem("badNonce", status=400)
        self._nonces.remove(header["nonce"])
        kind = path.strip("/").partition("/")[0]
        if waiting := self.problems.get(kind):
            status, more, retry = waiting.pop(0)
            fields = [(b"retry-after", retry.encode())] if retry else []
            return self._answer(status, more, *fields)
        payload = json.loads(b64(document["payload"]) or b"null")
        answer: Fetched = getattr(self, f"_{kind}")(path, payload, known)
        return answer

    def _account(self, path: str, payload: Any, jwk: dict[str, Any]) -> Fetched:
        thumbprint = ECKey.import_key(jwk).thumbprint()
        url = f"{self.host}/accounts/{thumbprint}"
        if url not in self.accounts:
            if self.external:
                bound = payload.get("externalAccountBinding")
                if bound is None:
                    return self.problem("externalAccountRequired")
                header = json.loads(b64(bound["protected"]))
                assert header["url"] == f"{self.host}/account" and json.loads(b64(bound["payload"])) == jwk
                try:
                    key = OctKey.import_key(self.external[header["kid"]])
                    jws.deserialize_json(bound, key, registry=_REGISTRY)
                except Exception:
                    return self.problem("unauthorized", "the binding is not good")
            self.accounts[url] = {"jwk": jwk, "thumbprint": thumbprint, **payload}
        return self._answer(201, {"status": "valid"}, (b"location", url.encode()))

    def _order(self, path: str, payload: Any, jwk: dict[str, Any]) -> Fetched:
        self.wishes.append(payload)
        if "replaces" in payload:
            assert payload["replaces"] in self._ids()
            if payload["replaces"] in self.replaced:
                return self.problem("alreadyReplaced", status=409)
            self.replaced.add(payload["replaces"])
        number = len(self.orders)
        (identifier,) = payload["identifiers"]
        order = {"status": "pending", "identifier": identifier, "authorizations": [f"{self.host}/authorization/{number}"],
                 "finalize": f"{self.host}/finalize/{number}", "authorized": "pending", "polls": self.polls}  # fmt: skip
        self.orders.append(order)
        return self._answer(201, order, (b"location", f"{self.host}/orders/{number}".encode()))

    def _orders(self, path: str, payload: Any, jwk: dict[str, Any]) -> Fetched:
        order = self.orders[int(path.rpartition("/")[2])]
        order["polls"] -= 1
        status = "processing" if order["polls"] >= 0 else order["status"]
        return self._answer(200, {**order, "status": status}, (b"retry-after", b"7"))

    def _authorization(self, path: str, payload: Any, jwk: dict[str, Any]) -> Fetched:
        number = int(path.rpartition("/")[2])
        order = self.orders[number]
        challenges = [{"type": kind, "url": f"{self.host}/challenge/{number}", "token": f"token{number}",
                       "error": order.get("why")} for kind in self.offers]  # fmt: skip
        found = {"status": order["authorized"], "identifier": order["identifier"], "challenges": challenges}
        return self._answer(200, found)

    def _challenge(self, path: str, payload: Any, jwk: dict[str, Any]) -> Fetched:
        number = int(path.rpartition("/")[2])
        order = self.orders[number]
        assert payload == {}
        name, token = order["identifier"]["value"], f"token{number}"
        said = self.validate(name, token)
        good = said == f"{token}.{ECKey.import_key(jwk).thumbprint()}"
        order["authorized"] = "valid" if good else "invalid"
        if not good:
            order["why"] = {"type": "urn:ietf:params:acme:error:incorrectResponse", "detail": f"found {said!r}"}
        return self._answer(200, {})

    def _finalize(self, path: str, payload: Any, jwk: dict[str, Any]) -> Fetched:
        number = int(path.rpartition("/")[2])
        order = self.orders[number]
        assert order["authorized"] == "valid", "it was not validated"
        request = x509.load_der_x509_csr(b64(payload["csr"]))
        assert request.is_signature_valid
        order["pem"] = self.sign(request)
        order |= {"status": "valid", "certificate": f"{self.host}/certificate/{number}"}
        return self._answer(200, {**order, "status": "processing"})

    def _ids(self) -> list[str]:
        """What the certificates are called by, as RFC 9773 section 4.1 says, in the order of their orders."""
        found = []
        for order in self.orders:
            if "pem" in order:
                leaf = x509.load_pem_x509_certificate(order["pem"].encode())
                signer = x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()).digest
                serial = leaf.serial_number.to_bytes(21, "big").lstrip(b"\0")
                parts = (signer, b"\0" + serial if serial[0] >= 128 else serial)
                found.append(".".join(urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts))
        return found

    def _certificate(self, path: str, payload: Any, jwk: dict[str, Any]) -> Fetched:
        return self._answer(200, None, body=self.orders[int(path.rpartition("/")[2])]["pem"].encode())

    def sign(self, request: x509.CertificateSigningRequest) -> str:
        now = datetime.datetime.fromtimestamp(self.clock.now, datetime.UTC)
        issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test's authority")])
        made = x509.CertificateBuilder(issuer, x509.Name([]), request.public_key(), x509.random_serial_number(), now,
                                       now + datetime.timedelta(seconds=self.lifetime))  # fmt: skip
        for extension in request.extensions:
            made = made.add_extension(extension.value, extension.critical)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False)
        signed = made.sign(self.key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM).decode()
