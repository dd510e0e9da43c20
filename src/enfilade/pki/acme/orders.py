"""Orders and authorizations (RFC 8555 sections 7.4 and 7.5)."""

from __future__ import annotations

import logging
from typing import Any

from enfilade.pki.acme.accounts import LIFETIME as ACCOUNT_LIFETIME
from enfilade.pki.acme.certificates import issue
from enfilade.pki.acme.problem import Problem, malformed
from enfilade.pki.acme.records import Transaction
from enfilade.pki.acme.signed import thumbprint
from enfilade.pki.acme.words import (
    DAY,
    Answer,
    Authorization,
    Call,
    Challenge,
    Order,
    Task,
    json_answer,
    location,
    moment,
    new_id,
    one_of_ours,
)

log = logging.getLogger("enfilade.pki")

CHALLENGES = ("http-01", "tls-alpn-01")
LIFETIME = 7 * DAY
"""Seconds that an order is remembered, and that may pass until it is finalized."""
PATIENCE = 120.0
"""Seconds after which a challenge that is being looked at is looked at again: whoever did may be no more."""
MOST, OF_ONE = 50_000, 500
"""Orders of all accounts, and of one."""


def new_order(call: Call) -> Answer:
    """Section 7.4."""
    account, said = call.owner, call.payload
    if "notBefore" in said or "notAfter" in said:
        raise malformed("when certificates begin and end is not for clients to say here")
    identifiers = call.rules.names.check(said.get("identifiers"))
    if call.tx.count(Order, account.id) >= OF_ONE or call.tx.count(Order) >= MOST:
        raise Problem("rateLimited", "there are too many orders; they are forgotten after a week", 429)
    account.expires = call.now + ACCOUNT_LIFETIME
    call.tx.put(account)
    common: dict[str, Any] = {"owner": account.id, "expires": call.now + LIFETIME}
    asked = [
        Authorization(
            id=new_id(),
            identifier=one,
            challenges=[Challenge(kind, new_id() + new_id()) for kind in CHALLENGES],
            **common,
        )
        for one in identifiers
    ]
    order = Order(id=new_id(), identifiers=identifiers, authorizations=[one.id for one in asked], **common)
    for made in (*asked, order):
        call.tx.put(made)
    return _shown(call, order, 201)


def order(call: Call) -> Answer:
    """One, to be read; and to be finalized, with a CSR."""
    account = call.owner
    found = call.tx.get(Order, call.rest[0] if call.rest else "")
    one_of_ours(found, account)
    assert found is not None, "it is one of ours"
    if call.rest[1:] == ("finalize",):
        state = state_of(call.tx, found)
        if state != "ready":
            raise Problem("orderNotReady", f"this order is {state}", 403)
        made = issue(call, found.identifiers)
        found.certificate = made.id
        call.tx.put(found)
    elif call.rest[1:]:
        raise Problem("malformed", "there is nothing here", 404)
    return _shown(call, found, 200)


def authorization(call: Call) -> Answer:
    """One, to be read and given up (section 7.5.2)."""
    found = _authorization(call)
    if (call.signed.payload or {}).get("status") == "deactivated" and found.status in ("pending", "valid"):
        found.status = "deactivated"
        call.tx.put(found)
    return json_answer(200, _document(call, found), *_RETRY[found.status == "pending"])


def challenge(call: Call) -> Answer:
    """One, to be read; and with a payload, to be looked at (section 7.5.1)."""
    found = _authorization(call)
    one = next((c for c in found.challenges if (c.type,) == call.rest[1:]), None)
    if one is None:
        raise Problem("malformed", "there is nothing here", 404)
    task = None
    waits = one.status == "pending" or (one.status == "processing" and call.now - one.since >= PATIENCE)
    if call.signed.payload is not None and found.status == "pending" and waits:
        one.status, one.since = "processing", call.now
        call.tx.put(found)
        proof = f"{one.token}.{thumbprint(call.owner.jwk)}"
        task = Task(found.id, one.type, found.identifier, one.token, proof)
    up = (b"link", f'<{call.url("authorization", found.id)}>;rel="up"'.encode())
    return json_answer(200, _challenge(call, found, one), up, *_RETRY[one.status == "processing"], task=task)


def settle(tx: Transaction, task: Task, error: Problem | None, now: float) -> None:
    """What came of looking at a challenge."""
    found = tx.get(Authorization, task.authorization)
    if found is None or found.status != "pending":
        return
    one = next(c for c in found.challenges if c.type == task.kind)
    if error is None:
        one.status, one.validated, found.status = "valid", moment(now), "valid"
    else:
        one.status, one.error, found.status = "invalid", error.document, "invalid"
        log.info("account %s has not proved %s: %s", found.owner, found.identifier.value, error.detail)
    tx.put(found)


def state_of(tx: Transaction, order: Order) -> str:
    """Section 7.1.6."""
    if order.certificate:
        return "valid"
    states = {one.status if one is not None else "expired" for one in _of_order(tx, order)}
    if states <= {"pending", "valid"}:
        return "pending" if "pending" in states else "ready"
    return "invalid"


_RETRY = {False: (), True: ((b"retry-after", b"1"),)}


def _of_order(tx: Transaction, order: Order) -> list[Authorization | None]:
    return [tx.get(Authorization, id) for id in order.authorizations]


def _authorization(call: Call) -> Authorization:
    found = call.tx.get(Authorization, call.rest[0] if call.rest else "")
    one_of_ours(found, call.owner)
    assert found is not None, "it is one of ours"
    return found


def _shown(call: Call, found: Order, status: int) -> Answer:
    state = state_of(call.tx, found)
    url = call.url("order", found.id)
    document: dict[str, Any] = {
        "status": state,
        "expires": moment(found.expires),
        "identifiers": found.identifiers,
        "authorizations": [call.url("authorization", id) for id in found.authorizations],
        "finalize": f"{url}/finalize",
    }
    if found.certificate:
        document["certificate"] = call.url("certificate", found.certificate)
    if state == "invalid":
        failed = [c.error for a in _of_order(call.tx, found) if a is not None for c in a.challenges if c.error]
        document["error"] = failed[0] if failed else malformed("an authorization was given up").document
    return json_answer(status, document, location(url))


def _document(call: Call, found: Authorization) -> dict[str, Any]:
    return {
        "identifier": found.identifier,
        "status": found.status,
        "expires": moment(found.expires),
        "challenges": [_challenge(call, found, one) for one in found.challenges],
    }


def _challenge(call: Call, found: Authorization, one: Challenge) -> dict[str, Any]:
    document: dict[str, Any] = {
        "type": one.type,
        "url": call.url("challenge", found.id, one.type),
        "status": one.status,
        "token": one.token,
    }
    if one.validated:
        document["validated"] = one.validated
    if one.error is not None:
        document["error"] = one.error
    return document
