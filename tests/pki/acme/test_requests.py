"""Who has signed a request, and for what (RFC 8555 section 6)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from joserfc.jwk import ECKey
from tests.pki.acme.client import BASE, KEYS, Client, Desk, Said, a_client, public, sign

from enfilade.pki.acme import server
from enfilade.pki.acme.server import DIRECTORY
from enfilade.pki.acme.signed import NONCE_LIFETIME, decode, encode
from enfilade.pki.acme.words import Asked

NEW = f"{BASE}/new-account"


@pytest.mark.parametrize("algorithm", KEYS)
def test_these_algorithms_are_taken(algorithm: str) -> None:
    client = Client(Desk(), KEYS[algorithm], algorithm)
    assert client.register().status == 201
    assert client.post(client.kid).json["status"] == "valid"


@pytest.mark.parametrize("algorithm", ["none", "HS256", "RS1", "ES512", "PS256", None, 3])
def test_no_others(algorithm: Any) -> None:
    refused = Client(Desk()).post("/new-account", {}, alg=algorithm)
    assert refused.problem == (400, "badSignatureAlgorithm")
    assert refused.json["algorithms"] == [*KEYS]


@pytest.mark.parametrize(
    ("algorithm", "kind"), [("ES384", "ES256"), ("RS256", "ES256"), ("ES256", "RS256"), ("EdDSA", "ES384")]
)
def test_a_key_goes_with_its_algorithm(algorithm: str, kind: str) -> None:
    client = Client(Desk(), KEYS[kind], kind)
    body = sign(client.protected(NEW), b"{}", client.key)
    protected = encode(msgspec.json.encode(client.protected(NEW, alg=algorithm)))
    assert client.send(NEW, msgspec.json.encode({**body, "protected": protected})).problem == (400, "malformed")


def bits(size: int) -> dict[str, Any]:
    return {"kty": "RSA", "n": encode(b"\xff" * (size // 8)), "e": "AQAB"}


GOOD = public(KEYS["ES256"])
RSA = public(KEYS["RS256"])


@pytest.mark.parametrize(
    ("jwk", "kind"),
    [
        (KEYS["ES256"].as_dict(private=True), "badPublicKey"),
        ({"kty": "oct", "k": "AAAA"}, "badPublicKey"),
        (public(ECKey.generate_key("P-521")), "badPublicKey"),
        ({**GOOD, "crv": "P-999"}, "badPublicKey"),
        ({**GOOD, "x": GOOD["y"]}, "badPublicKey"),  # no point of the curve
        ({**GOOD, "x": 3}, "malformed"),
        ({**GOOD, "x": "=="}, "badPublicKey"),
        ({"kty": "EC", "crv": "P-256"}, "malformed"),
        ({}, "badPublicKey"),
        ("jwk", "malformed"),
        (bits(1024), "badPublicKey"),
        (bits(8200), "badPublicKey"),
        ({**RSA, "e": "AQ"}, "badPublicKey"),
        ({**RSA, "e": encode(b"\x01" + bytes(4))}, "badPublicKey"),
    ],
)
def test_keys_that_are_none(jwk: Any, kind: str) -> None:
    algorithm = "RS256" if isinstance(jwk, dict) and jwk.get("kty") == "RSA" else "ES256"
    client = Client(Desk(), KEYS[algorithm], algorithm)
    assert client.post("/new-account", {}, jwk=jwk).problem == (400, kind)


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"\xff", b'"x"', b"{}", b"[" * 60000, b'{"protected":1,"payload":"","signature":""}']
)
def test_bodies_that_are_no_requests(body: bytes) -> None:
    assert Client(Desk()).send(NEW, body).problem == (400, "malformed")


def with_(part: str, value: object) -> Any:
    return lambda body: {**body, part: value}


@pytest.mark.parametrize(
    "change",
    [
        with_("header", {"alg": "none"}),
        with_("signatures", []),
        with_("signature", encode(bytes(64))),
        with_("signature", ""),
        with_("signature", "!"),
        with_("payload", encode(b'{"contact":[]}')),
        with_("protected", encode(b"[]")),
        with_("protected", "ey"),
    ],
)
def test_what_was_changed_underway_is_refused(change: Any) -> None:
    client = Client(Desk())
    body = sign(client.protected(NEW), b"{}", client.key)
    assert client.send(NEW, msgspec.json.encode(change(body))).problem == (400, "malformed")


@pytest.mark.parametrize("changed", [{"crit": ["exp"]}, {"b64": False}, {"kid": "x"}, {"jwk": None}])
def test_headers_that_are_refused(changed: dict[str, Any]) -> None:
    assert Client(Desk()).post("/new-account", {}, **changed).problem == (400, "malformed")


def test_what_was_signed_for_another_url_is_refused() -> None:
    assert Client(Desk()).post("/new-account", {}, url=f"{BASE}/new-order").problem == (403, "unauthorized")


def test_a_payload_is_an_object() -> None:
    assert Client(Desk()).post("/new-account", []).problem == (400, "malformed")
    assert Client(Desk()).post("/new-account").problem == (400, "malformed")


def test_media_methods_schemes_and_paths() -> None:
    desk = Desk()
    client = Client(desk)
    assert client.send(NEW, b"{}", "application/json").problem == (415, "malformed")
    assert client.post("/nothing", {}).problem == (404, "malformed")
    plain = Asked("POST", "http://ca.internal/acme", "/new-account", "application/jose+json", b"{}")
    assert Said(desk.ask(plain)).problem == (403, "malformed")
    assert Said(desk.ask(Asked("PUT", BASE, "/directory"))).problem == (405, "malformed")
    for path in ("/new-account", "/order/x"):
        assert Said(desk.ask(Asked("GET", BASE, path))).problem == (405, "malformed")
    assert Said(desk.ask(Asked("GET", BASE, "/"))).problem == (404, "malformed")


def test_an_account_is_named_by_its_whole_url() -> None:
    client = a_client()
    url = client.kid
    for kid in (
        url.rpartition("/")[2],
        url.replace("ca.internal", "other.internal"),
        f"{url}/orders",
        f"{BASE}/account/",
    ):
        client.kid = kid
        assert client.post(url).problem == (400, "accountDoesNotExist")


# -- nonces


def test_a_nonce_is_used_once_even_where_the_request_is_refused() -> None:
    client = a_client()
    nonce = client.nonce()
    assert client.post("/new-order", {}, nonce=nonce).problem == (400, "malformed")
    refused = client.post("/new-order", {}, nonce=nonce)
    assert refused.problem == (400, "badNonce")
    assert client.post(client.kid, nonce=refused.fields["replay-nonce"]).status == 200, "with the next one it goes on"


def test_only_fresh_nonces_of_ours_are_taken() -> None:
    client = a_client()
    old, theirs = client.nonce(), Client(Desk()).nonce()
    raw = decode(old)
    later = encode(bytes(5) + raw[5:])
    for nonce in (theirs, later, encode(raw[:-1]), "", "!", None, 7):
        assert client.post(client.kid, nonce=nonce).problem == (400, "badNonce")
    client.desk.now += NONCE_LIFETIME
    assert client.post(client.kid, nonce=old).problem == (400, "badNonce")


def test_a_stranger_cannot_use_up_a_nonce() -> None:
    client = a_client()
    protected = client.protected(client.kid)
    forged = sign(protected, b"", ECKey.generate_key("P-256"))
    assert client.send(client.kid, msgspec.json.encode(forged)).problem == (400, "malformed")
    assert client.send(client.kid, msgspec.json.encode(sign(protected, b"", client.key))).status == 200


def test_used_nonces_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_NONCES", 2)
    client = a_client()
    assert client.post(client.kid).status == 200
    assert client.post(client.kid).problem == (503, "rateLimited")
    client.desk.now += NONCE_LIFETIME
    assert client.post(client.kid).status == 200


def test_every_answer_to_a_post_has_a_nonce_and_leads_to_the_directory() -> None:
    client = Client(Desk())
    for answer in (client.register(), client.post("/nothing", {}), client.send(NEW, b"")):
        assert answer.fields["replay-nonce"] and answer.fields["cache-control"] == "no-store"
        assert answer.fields["link"] == f'<{BASE}/directory>;rel="index"'


def test_the_directory_names_what_there_is() -> None:
    desk = Desk()
    found = Said(desk.ask(Asked("GET", BASE, "/directory"))).json
    assert found.pop("meta") == {"externalAccountRequired": False}
    assert found == {name: f"{BASE}/{path}" for name, path in DIRECTORY.items()}
    assert Said(desk.ask(Asked("GET", BASE, "/new-nonce"))).status == 204
    assert b"BEGIN CERTIFICATE" in desk.ask(Asked("GET", BASE, "/root.pem")).body
