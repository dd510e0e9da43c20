"""Accounts (RFC 8555 section 7.3)."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from joserfc.jwk import ECKey
from tests.pki.acme.client import BASE, Client, Desk, a_client, binding, public, rules, sign

from enfilade.pki.acme import accounts
from enfilade.pki.acme.accounts import CONTACTS, LIFETIME
from enfilade.pki.acme.signed import encode

SECRET = b"0123456789abcdef"


def test_a_key_has_one_account() -> None:
    client = Client(Desk())
    made = client.register(contact=["mailto:ada@example.com"])
    assert (made.status, made.json["contact"]) == (201, ["mailto:ada@example.com"])
    again = Client(client.desk, client.key).register()
    assert (again.status, again.fields["location"]) == (200, client.kid)
    asked = Client(client.desk, client.key).register(onlyReturnExisting=True)
    assert asked.fields["location"] == client.kid
    assert Client(client.desk).register(onlyReturnExisting=True).problem == (400, "accountDoesNotExist")


@pytest.mark.parametrize(
    ("contact", "kind"),
    [
        ("mailto:a@b.example", "invalidContact"),
        ([f"mailto:{i}@b.example" for i in range(CONTACTS + 1)], "invalidContact"),
        (["tel:+1"], "unsupportedContact"),
        ([7], "unsupportedContact"),
        (["mailto:a@b.example?subject=x"], "invalidContact"),
        (["mailto:a@b.example,c@d.example"], "invalidContact"),
        (["mailto:nobody"], "invalidContact"),
        (["mailto:a@" + "b" * 300], "invalidContact"),
        (["mailto:a@b\r\nx"], "invalidContact"),
    ],
)
def test_contacts(contact: Any, kind: str) -> None:
    assert Client(Desk()).register(contact=contact).problem == (400, kind)
    assert a_client().post("/account/x", {}).problem == (403, "unauthorized")


def test_an_account_is_changed_and_given_up_by_itself_alone() -> None:
    desk = Desk()
    client, other = a_client(desk), a_client(desk)
    assert client.post(client.kid, {"contact": ["mailto:b@b.example"]}).json["contact"] == ["mailto:b@b.example"]
    assert client.post(client.kid).json["contact"] == ["mailto:b@b.example"]
    assert other.post(client.kid, {"status": "deactivated"}).problem == (403, "unauthorized")
    assert client.post(client.kid, {"status": "revoked"}).json["status"] == "valid"
    assert client.post(client.kid, {"status": "deactivated"}).json["status"] == "deactivated"
    assert client.post(client.kid).problem == (401, "unauthorized")
    assert client.order("a.internal").problem == (401, "unauthorized")
    assert Client(desk, client.key).register().problem == (401, "unauthorized")


def test_it_lists_its_orders() -> None:
    client = a_client()
    url = client.order("a.internal").fields["location"]
    assert client.post(f"{client.kid}/orders").json == {"orders": [url]}


def test_who_has_no_account_is_told_so() -> None:
    client = Client(Desk())
    client.kid = f"{BASE}/account/nobody"
    assert client.post(client.kid).problem == (400, "accountDoesNotExist")
    client.kid = ""
    assert client.order("a.internal").problem == (400, "malformed"), "a key alone orders nothing"


def test_accounts_are_bounded_and_forgotten_when_nobody_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "MOST", 2)
    desk = Desk()
    used = a_client(desk)
    a_client(desk)
    assert Client(desk).register().problem == (429, "rateLimited")
    desk.now += LIFETIME - 1
    used.order("a.internal")
    desk.now += 2
    a_client(desk)
    assert used.post(used.kid).status == 200


# -- bound to external accounts


def test_an_account_must_be_bound_where_the_configuration_says_so() -> None:
    client = Client(Desk(rules(bound={"team": SECRET})))
    assert client.register().problem == (403, "externalAccountRequired")
    assert client.register(externalAccountBinding=binding(client.key, SECRET)).status == 201
    assert Client(client.desk, client.key).register().status == 200, "once it is"


OTHER = ECKey.generate_key("P-256")


@pytest.mark.parametrize(
    ("make", "problem"),
    [
        (lambda key: binding(key, b"another secret of ours"), (403, "unauthorized")),
        (lambda key: binding(key, SECRET, "nobody"), (403, "unauthorized")),
        (lambda key: binding(OTHER, SECRET), (403, "unauthorized")),
        (lambda key: binding(key, SECRET, url=f"{BASE}/new-order"), (400, "malformed")),
        (lambda key: binding(key, SECRET, nonce="x"), (400, "malformed")),
        (lambda key: binding(key, SECRET, alg="HS512"), (400, "malformed")),
        (lambda key: {**binding(key, SECRET), "header": {}}, (400, "malformed")),
        (lambda key: {**binding(key, SECRET), "protected": encode(b"1")}, (400, "malformed")),
        (lambda key: "team", (400, "malformed")),
    ],
)
def test_bindings_that_bind_nothing(make: Any, problem: tuple[int, str]) -> None:
    client = Client(Desk(rules(bound={"team": SECRET})))
    assert client.register(externalAccountBinding=make(client.key)).problem == problem


# -- another key


def change(client: Client, new: Any, **changed: Any) -> dict[str, str]:
    """What the new key signs."""
    url = f"{BASE}/key-change"
    said = {"account": client.kid, "oldKey": public(client.key), **changed.pop("said", {})}
    return sign({"alg": "ES256", "jwk": public(new), "url": url, **changed}, msgspec.json.encode(said), new)


def test_an_account_changes_its_key() -> None:
    client = a_client()
    new = ECKey.generate_key("P-256")
    assert client.post("/key-change", change(client, new)).status == 200
    assert client.post(client.kid).problem == (400, "malformed"), "the old one signs nothing any more"
    client.key = new
    assert client.post(client.kid).status == 200
    assert Client(client.desk, new).register().fields["location"] == client.kid


def test_but_only_to_one_that_has_signed_and_is_nobody_s() -> None:
    desk = Desk()
    client, other = a_client(desk), a_client(desk)
    new = ECKey.generate_key("P-256")
    for inner in (
        change(client, new, said={"account": other.kid}),
        change(client, new, said={"oldKey": public(other.key)}),
        change(client, new, nonce="x"),
        change(client, new, jwk=public(other.key)),
        {**change(client, new), "signature": encode(bytes(64))},
        change(client, new, kid=client.kid),
        {"a": 1},
    ):
        assert client.post("/key-change", inner).problem == (400, "malformed")
    assert client.post("/key-change", change(client, other.key)).problem == (409, "malformed")
    assert client.post("/key-change", change(client, new, url=BASE)).problem == (403, "unauthorized")
    assert client.post(client.kid).status == 200
