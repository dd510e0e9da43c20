"""An ACME client that says what it is told to, and a server that remembers in memory and by a clock that stands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from ipaddress import ip_address
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from tests.pki.kit import NOW

from enfilade.pki.acme.names import Names
from enfilade.pki.acme.problem import Problem
from enfilade.pki.acme.records import MEMORY, Records
from enfilade.pki.acme.server import MEDIA, AcmeServer, new_secret
from enfilade.pki.acme.signed import encode
from enfilade.pki.acme.words import Answer, Asked, Rules, Task
from enfilade.pki.authority import Authority, new_root

BASE = "https://ca.internal/acme"
ROOT = new_root("here", NOW)
AUTHORITY = ROOT.intermediate(["*.internal", "10.0.0.0/8"], NOW)
NAMES = ("*.internal", "10.0.0.0/8")
Key = Any
SIGNS = {
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("RSA", None): "RS256",
    ("OKP", "Ed25519"): "EdDSA",
    ("oct", None): "HS256",
}


def rules(*names: str, bound: dict[str, bytes] | None = None) -> Rules:
    return Rules(Names(names or NAMES), timedelta(days=30), bound or {})


class Desk:
    """A server, and the tasks that it gave out."""

    def __init__(self, the_rules: Rules | None = None, authority: Authority = AUTHORITY) -> None:
        self.now = NOW.timestamp()
        self.records = Records(MEMORY)
        self.secret = new_secret()
        self.server = AcmeServer(authority, self.records, the_rules or rules(), self.secret)
        self.tasks: list[Task] = []

    def change(self, the_rules: Rules) -> None:
        """A reload with other rules, and with what is remembered."""
        self.server = AcmeServer(AUTHORITY, self.records, the_rules, self.secret)

    def ask(self, asked: Asked) -> Answer:
        answer = self.server.answer(asked, self.now)
        if answer.task is not None:
            self.tasks.append(answer.task)
        return answer

    def settle(self, problem: Problem | None = None) -> None:
        self.server.settle(self.tasks.pop(), problem, self.now)


class Said:
    """An answer."""

    def __init__(self, answer: Answer) -> None:
        self.status = answer.status
        self.fields = {name.decode(): value.decode() for name, value in answer.fields}
        self.body = answer.body
        self.json: dict[str, Any] = (
            msgspec.json.decode(answer.body) if "json" in self.fields.get("content-type", "") else {}
        )

    @property
    def problem(self) -> tuple[int, str]:
        assert self.fields["content-type"] == "application/problem+json", self.body
        assert self.json["status"] == self.status
        return self.status, self.json["type"].rpartition(":")[2]


def public(key: Key) -> dict[str, Any]:
    return {
        name: value for name, value in key.as_dict(private=False).items() if name in ("kty", "crv", "x", "y", "n", "e")
    }


def sign(protected: dict[str, Any], payload: bytes, key: Key) -> dict[str, str]:
    parts = [encode(msgspec.json.encode(protected)), encode(payload)]
    name = SIGNS[key.key_type, key.as_dict().get("crv")]  # whatever the header says
    signature = encode(JWSRegistry.algorithms[name].sign(".".join(parts).encode(), key))
    return {"protected": parts[0], "payload": parts[1], "signature": signature}


class Client:
    """Signs with `key`; as `kid` once it has an account."""

    def __init__(self, desk: Desk, key: Key = None, algorithm: str = "ES256") -> None:
        self.desk = desk
        self.key = key or ECKey.generate_key("P-256")
        self.algorithm = algorithm
        self.kid = ""

    def nonce(self) -> str:
        return Said(self.desk.ask(Asked("HEAD", BASE, "/new-nonce"))).fields["replay-nonce"]

    def protected(self, to: str, **changed: Any) -> dict[str, Any]:
        who = {"kid": self.kid} if self.kid else {"jwk": public(self.key)}
        return {"alg": self.algorithm, "nonce": self.nonce(), "url": to, **who, **changed}

    def post(self, to: str, payload: object = None, **changed: Any) -> Said:
        """None: POST-as-GET. `changed`: of the protected header."""
        url = to if to.startswith("https:") else BASE + to
        return self.send(url, self.signed(url, payload, **changed))

    def signed(self, to: str, payload: object = None, **changed: Any) -> bytes:
        """The body of such a request."""
        body = b"" if payload is None else msgspec.json.encode(payload)
        protected = {name: value for name, value in self.protected(to, **changed).items() if value is not None}
        return msgspec.json.encode(sign(protected, body, self.key))

    def send(self, url: str, body: bytes, media: str = MEDIA) -> Said:
        return Said(self.desk.ask(Asked("POST", BASE, url.removeprefix(BASE), media, body)))

    def register(self, **said: Any) -> Said:
        answer = self.post("/new-account", said)
        if answer.status in (200, 201):
            self.kid = answer.fields["location"]
        return answer

    def order(self, *names: str) -> Said:
        return self.post("/new-order", {"identifiers": [identifier(name) for name in names]})

    def prove(self, order: Said, kind: str = "http-01", problem: Problem | None = None) -> None:
        """Have all authorizations of an order looked at."""
        for url in order.json["authorizations"]:
            challenges = self.post(url).json["challenges"]
            (mine,) = [one["url"] for one in challenges if one["type"] == kind]
            assert self.post(mine, {}).json["status"] == "processing"
            self.desk.settle(problem)

    def have(self, *names: str, key: Any = None) -> x509.Certificate:
        """A certificate."""
        order = self.order(*names)
        self.prove(order)
        done = self.post(order.json["finalize"], {"csr": csr(*names, key=key)})
        assert done.json["status"] == "valid", done.body
        return x509.load_pem_x509_certificate(self.post(done.json["certificate"]).body)


def a_client(desk: Desk | None = None, **said: Any) -> Client:
    """With an account."""
    client = Client(desk or Desk())
    assert client.register(**said).status == 201
    return client


def identifier(name: str) -> dict[str, str]:
    return {"type": "ip" if name.replace(".", "").isdigit() else "dns", "value": name}


def csr(*names: str, key: Any = None, common: Sequence[str] = (), others: Sequence[x509.GeneralName] = ()) -> str:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name) for name in common])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject)
    said = [x509.IPAddress(ip_address(n)) if identifier(n)["type"] == "ip" else x509.DNSName(n) for n in names] + list(
        others
    )
    if said:
        made = made.add_extension(x509.SubjectAlternativeName(said), critical=False)
    digest = SHA256() if hasattr(key, "curve") or hasattr(key, "key_size") else None
    return encode(made.sign(key, digest).public_bytes(Encoding.DER))


KEYS = {
    "ES256": ECKey.generate_key("P-256"),
    "ES384": ECKey.generate_key("P-384"),
    "RS256": RSAKey.generate_key(2048),
    "EdDSA": OKPKey.generate_key("Ed25519"),
}


def binding(key: Key, secret: bytes, kid: str = "team", **changed: Any) -> dict[str, str]:
    """That an external account vouches for `key`."""
    protected = {"alg": "HS256", "kid": kid, "url": f"{BASE}/new-account", **changed}
    return sign(protected, msgspec.json.encode(public(key)), OctKey.import_key(secret))
