"""Orders, authorizations and what is signed (RFC 8555 sections 7.4 and 7.5)."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from tests.pki.acme.client import AUTHORITY, BASE, ROOT, Client, Desk, Said, a_client, csr, rules
from tests.pki.kit import refusal

from enfilade.pki.acme import orders
from enfilade.pki.acme.names import MOST
from enfilade.pki.acme.orders import CHALLENGES, LIFETIME, PATIENCE
from enfilade.pki.acme.problem import Problem
from enfilade.pki.acme.signed import thumbprint
from enfilade.pki.authority import Leaf, key_pem

REFUSED = Problem("unauthorized", "another text", 403)


def ready(client: Client, *names: str) -> Said:
    """An order that can be finalized."""
    order = client.order(*names)
    client.prove(order)
    return client.post(order.fields["location"])


@pytest.mark.parametrize("kind", CHALLENGES)
@pytest.mark.parametrize("names", [["a.internal"], ["10.1.2.3"], ["a.internal", "b.c.internal", "10.1.2.3"]])
def test_who_proves_its_names_gets_a_certificate_that_clients_accept(kind: str, names: list[str]) -> None:
    client = a_client()
    order = client.order(*names)
    assert (order.status, order.json["status"]) == (201, "pending")
    client.prove(order, kind)
    found = client.post(order.fields["location"])
    assert found.json["status"] == "ready"
    key = ec.generate_private_key(ec.SECP256R1())
    done = client.post(found.json["finalize"], {"csr": csr(*names, key=key)})
    assert done.json["status"] == "valid"
    chain = client.post(done.json["certificate"])
    assert chain.fields["content-type"] == "application/pem-certificate-chain"
    for name in names:
        assert refusal(ROOT.certificate, Leaf(chain.body, key_pem(key)), name) == ""
    assert x509.load_pem_x509_certificates(chain.body)[1] == AUTHORITY.certificate


def test_a_task_says_what_is_to_be_found_where() -> None:
    client = a_client()
    order = client.order("a.internal")
    challenges = client.post(order.json["authorizations"][0]).json["challenges"]
    assert [one["type"] for one in challenges] == [*CHALLENGES]
    assert len({one["token"] for one in challenges}) == 2
    client.post(challenges[0]["url"], {})
    (task,) = client.desk.tasks
    assert task.token == challenges[0]["token"] and task.identifier.value == "a.internal"
    assert task.proof == f"{task.token}.{thumbprint(client.key.as_dict(private=False))}"


def test_one_failure_is_the_end_of_its_order_and_says_why() -> None:
    client = a_client()
    order = client.order("a.internal")
    client.prove(order, problem=REFUSED)
    found = client.post(order.fields["location"]).json
    assert (found["status"], found["error"]) == ("invalid", REFUSED.document)
    authorization = client.post(order.json["authorizations"][0]).json
    assert authorization["status"] == "invalid"
    assert authorization["challenges"][0]["error"] == REFUSED.document
    refused = client.post(found["finalize"], {"csr": csr("a.internal")})
    assert refused.problem == (403, "orderNotReady")


def test_a_challenge_is_looked_at_once_and_again_when_nobody_came_back() -> None:
    client = a_client()
    (url,) = client.order("a.internal").json["authorizations"]
    challenge = client.post(url).json["challenges"][0]["url"]
    assert client.post(challenge).json["status"] == "pending" and not client.desk.tasks, "to read is not to be ready"
    answer = client.post(challenge, {})
    assert answer.fields["retry-after"] == "1"
    client.post(challenge, {})
    assert len(client.desk.tasks) == 1
    client.desk.now += PATIENCE
    client.post(challenge, {})
    assert len(client.desk.tasks) == 2
    client.desk.settle()
    client.desk.settle(REFUSED)
    assert client.post(url).json["status"] == "valid", "what was settled stays"
    client.post(challenge, {})
    assert not client.desk.tasks


@pytest.mark.parametrize(
    ("identifiers", "problem"),
    [
        ([{"type": "dns", "value": "a.example"}], (403, "rejectedIdentifier")),
        ([{"type": "dns", "value": "internal"}], (403, "rejectedIdentifier")),
        ([{"type": "dns", "value": "xinternal"}], (403, "rejectedIdentifier")),
        ([{"type": "dns", "value": "a.internal"}, {"type": "dns", "value": "a.example"}], (403, "rejectedIdentifier")),
        ([{"type": "dns", "value": "*.internal"}], (403, "rejectedIdentifier")),
        ([{"type": "ip", "value": "192.0.2.1"}], (403, "rejectedIdentifier")),
        ([{"type": "ip", "value": "::1"}], (403, "rejectedIdentifier")),
        ([{"type": "ip", "value": "a.internal"}], (400, "malformed")),
        ([{"type": "email", "value": "a@internal"}], (400, "unsupportedIdentifier")),
        ([{"type": "dns", "value": "a..internal"}], (400, "malformed")),
        ([{"type": "dns", "value": "a b.internal"}], (400, "malformed")),
        ([{"type": "dns", "value": "ä.internal"}], (400, "malformed")),
        ([{"type": "dns", "value": "a.internal\n"}], (400, "malformed")),
        ([{"type": "dns", "value": "a." * 130 + "internal"}], (400, "malformed")),
        ([{"type": "dns", "value": 7}], (400, "malformed")),
        (["a.internal"], (400, "malformed")),
        ([], (400, "malformed")),
        ("a.internal", (400, "malformed")),
        ([{"type": "dns", "value": f"a{i}.internal"} for i in range(MOST + 1)], (400, "malformed")),
    ],
)
def test_names_that_nobody_gets(identifiers: Any, problem: tuple[int, str]) -> None:
    assert a_client().post("/new-order", {"identifiers": identifiers}).problem == problem


def test_a_name_is_one_however_it_is_written() -> None:
    client = a_client()
    order = client.order("A.Internal", "a.internal")
    assert order.json["identifiers"] == [{"type": "dns", "value": "a.internal"}]
    client.prove(order)
    done = client.post(order.json["finalize"], {"csr": csr("A.INTERNAL", common=["a.internal"])})
    assert done.json["status"] == "valid"


def test_when_a_certificate_begins_is_not_for_clients_to_say() -> None:
    identifiers = [{"type": "dns", "value": "a.internal"}]
    for key in ("notBefore", "notAfter"):
        asked = {"identifiers": identifiers, key: "2030-01-01T00:00:00Z"}
        assert a_client().post("/new-order", asked).problem == (400, "malformed")


def test_what_is_somebody_else_s_is_not_there() -> None:
    desk = Desk()
    client, other = a_client(desk), a_client(desk)
    order = ready(client, "a.internal").json
    certificate = client.post(order["finalize"], {"csr": csr("a.internal")}).json["certificate"]
    (authorization,) = order["authorizations"]
    urls = [
        f"{BASE}/order/x",
        f"{BASE}/order",
        order["finalize"].removesuffix("/finalize"),
        order["finalize"],
        authorization,
    ]
    for url in (*urls, f"{authorization.replace('/authorization/', '/challenge/')}/http-01", certificate):
        assert other.post(url, {}).problem == (404, "malformed"), url
    assert client.post(f"{order['finalize']}/x", {}).problem == (404, "malformed")
    assert client.post(f"{authorization.replace('/authorization/', '/challenge/')}/dns-01", {}).problem == (
        404,
        "malformed",
    )


def test_an_authorization_can_be_given_up() -> None:
    client = a_client()
    order = ready(client, "a.internal").json
    (url,) = order["authorizations"]
    assert client.post(url, {"status": "deactivated"}).json["status"] == "deactivated"
    assert client.post(order["finalize"].removesuffix("/finalize")).json["status"] == "invalid"


RSA = rsa.generate_private_key(65537, 2048)
SMALL = rsa.generate_private_key(65537, 1024)
P521 = ec.generate_private_key(ec.SECP521R1())


@pytest.mark.parametrize(
    "said",
    [
        csr("b.internal"),
        csr("a.internal", "b.internal"),
        csr("a.internal", common=["b.internal"]),
        csr(),
        csr("10.1.2.3"),
        csr("a.internal", others=[x509.RFC822Name("a@internal")]),
        csr("a.internal", key=SMALL),
        csr("a.internal", key=P521),
        csr("a.internal")[:-8] + "AAAAAAAA",
        "AAAA",
    ],
)
def test_a_csr_asks_for_what_was_proved_and_for_a_good_key(said: str) -> None:
    client = a_client()
    order = ready(client, "a.internal").json
    assert client.post(order["finalize"], {"csr": said}).problem == (400, "badCSR")
    assert client.post(order["finalize"], {"csr": "!"}).problem == (400, "malformed")
    assert client.post(order["finalize"]).problem == (400, "malformed")
    good = client.post(order["finalize"], {"csr": csr("a.internal")})
    assert good.json["status"] == "valid", "the order has not suffered"


@pytest.mark.parametrize("key", [RSA, ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()])
def test_other_keys_are_signed_for(key: Any) -> None:
    made = a_client().have("a.internal", key=key)
    assert made.public_key() == key.public_key()


def test_the_key_of_an_account_is_no_site_s() -> None:
    client = a_client()
    order = ready(client, "a.internal").json
    said = {"csr": csr("a.internal", key=client.key.private_key)}
    assert client.post(order["finalize"], said).problem == (400, "badCSR")


def test_names_that_the_configuration_gives_no_more_are_not_signed_for() -> None:
    client = a_client()
    order = ready(client, "a.internal").json
    client.desk.change(rules("b.internal"))
    assert client.post(order["finalize"], {"csr": csr("a.internal")}).problem == (403, "rejectedIdentifier")


def test_orders_are_bounded_and_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(orders, "OF_ONE", 2)
    client = a_client()
    first = client.order("a.internal")
    client.order("b.internal")
    assert client.order("c.internal").problem == (429, "rateLimited")
    assert a_client(client.desk).order("c.internal").status == 201
    monkeypatch.setattr(orders, "MOST", 3)
    assert a_client(client.desk).order("c.internal").problem == (429, "rateLimited")
    client.desk.now += LIFETIME
    assert client.order("c.internal").status == 201
    assert client.post(first.fields["location"]).problem == (404, "malformed")


def test_a_certificate_lasts_as_long_as_it_may_and_longer_than_its_order() -> None:
    client = a_client()
    order = ready(client, "a.internal").json
    url = client.post(order["finalize"], {"csr": csr("a.internal")}).json["certificate"]
    client.desk.now += LIFETIME
    made = x509.load_pem_x509_certificate(client.post(url).body)
    client.desk.now = made.not_valid_after_utc.timestamp()
    assert client.post(url).problem == (404, "malformed")
