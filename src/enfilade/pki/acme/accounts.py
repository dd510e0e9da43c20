"""Accounts (RFC 8555 section 7.3)."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from enfilade.pki.acme.problem import Problem, malformed
from enfilade.pki.acme.signed import Jwk, check_key, read_signed, thumbprint, verify_binding
from enfilade.pki.acme.words import DAY, Account, Answer, Call, Order, json_answer, location, new_id

MOST = 10_000
"""Accounts."""
LIFETIME = 400 * DAY
"""Seconds since an account last ordered something."""
CONTACTS = 10
_MAIL = re.compile(r"mailto:[\x21-\x7e]{3,250}")


def new_account(call: Call) -> Answer:
    """Section 7.3; with `onlyReturnExisting` section 7.3.1."""
    if not call.signed.by_key:
        raise malformed("a new account brings its key (jwk)")
    jwk, said = call.signed.jwk, call.payload
    for known in call.tx.owned(Account, thumbprint(jwk)):
        if known.status != "valid":
            raise Problem("unauthorized", "this account was deactivated", 401)
        return _shown(call, known, 200)
    if said.get("onlyReturnExisting"):
        raise Problem("accountDoesNotExist", "there is no account with this key")
    contact, bound = _contact(said), ""
    if call.rules.bound:
        if "externalAccountBinding" not in said:
            raise Problem("externalAccountRequired", "accounts must be bound to an external one here", 403)
        bound = verify_binding(said["externalAccountBinding"], jwk, call.url("new-account"), call.rules.bound)
    if call.tx.count(Account) >= MOST:
        raise Problem("rateLimited", "there are too many accounts", 429)
    made = Account(
        id=new_id(), owner=thumbprint(jwk), expires=call.now + LIFETIME, jwk=jwk, contact=contact, bound=bound
    )
    call.tx.put(made)
    return _shown(call, made, 201)


def account(call: Call) -> Answer:
    """Itself, to be read, changed (section 7.3.2) and given up (7.3.6); and its orders (7.1.2.1)."""
    found = call.owner
    if call.rest == (found.id, "orders"):
        urls = [call.url("order", order.id) for order in call.tx.owned(Order, found.id)]
        return json_answer(200, {"orders": urls})
    if call.rest != (found.id,):
        raise Problem("unauthorized", "this is another account", 403)
    said = call.signed.payload or {}
    if "contact" in said:
        found.contact = _contact(said)
    if said.get("status") == "deactivated":
        found.status = "deactivated"
    call.tx.put(found)
    return _shown(call, found, 200)


def key_change(call: Call) -> Answer:
    """Section 7.3.5: the new key signs for which account, and which key was the old one."""
    found = call.owner
    inner = read_signed(msgspec.json.encode(call.payload), call.url("key-change"), _no_account)
    said = inner.payload or {}
    if said.get("account") != call.url("account", found.id) or check_key(said.get("oldKey")) != found.jwk:
        raise malformed("the inner request names this account and its key of now")
    if "nonce" in inner.protected:
        raise malformed("the inner request has no nonce")
    mark = thumbprint(inner.jwk)
    for other in call.tx.owned(Account, mark):
        raise Problem("malformed", f"this is the key of {call.url('account', other.id)}", 409)
    found.jwk, found.owner = inner.jwk, mark
    call.tx.put(found)
    return _shown(call, found, 200)


def _no_account(url: str) -> Jwk:
    raise malformed("the inner request brings the new key (jwk)")


def _shown(call: Call, found: Account, status: int) -> Answer:
    url = call.url("account", found.id)
    document: dict[str, Any] = {"status": found.status, "contact": found.contact, "orders": f"{url}/orders"}
    return json_answer(status, document, location(url))


def _contact(said: dict[str, Any]) -> list[str]:
    contact = said.get("contact", [])
    if not isinstance(contact, list) or len(contact) > CONTACTS:
        raise Problem("invalidContact", f"contact is a list of {CONTACTS} at most")
    for one in contact:
        if not isinstance(one, str) or not one.startswith("mailto:"):
            raise Problem("unsupportedContact", "contacts are mailto: URLs")
        if not _MAIL.fullmatch(one) or "?" in one or "," in one or "@" not in one:
            raise Problem("invalidContact", "this is not the URL of one mail address")
    return contact
