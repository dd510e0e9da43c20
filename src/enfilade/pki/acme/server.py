"""An ACME server without its sockets: requests go in, answers come out. One call is one transaction of its records."""

from __future__ import annotations

from secrets import token_bytes

from enfilade.pki.acme import accounts, certificates, orders
from enfilade.pki.acme.problem import Problem
from enfilade.pki.acme.records import Records, Transaction
from enfilade.pki.acme.signed import NONCE_LIFETIME, Jwk, Signed, new_nonce, nonce_is_ours, read_signed
from enfilade.pki.acme.words import Account, Answer, Asked, Call, Resource, Rules, Task, UsedNonce, json_answer
from enfilade.pki.authority import Authority, pem

RESOURCES: dict[str, Resource] = {
    "new-account": accounts.new_account,
    "account": accounts.account,
    "key-change": accounts.key_change,
    "new-order": orders.new_order,
    "order": orders.order,
    "authorization": orders.authorization,
    "challenge": orders.challenge,
    "certificate": certificates.certificate,
    "revoke-certificate": certificates.revoke,
}
"""What is asked by POST, by the first component of its path."""
DIRECTORY = {
    "newNonce": "new-nonce",
    "newAccount": "new-account",
    "newOrder": "new-order",
    "revokeCert": "revoke-certificate",
    "keyChange": "key-change",
}
"""Section 7.1.1."""
MOST_NONCES = 100_000
"""Used ones that are remembered."""
MEDIA = "application/jose+json"
_NO_STORE = (b"cache-control", b"no-store")


def new_secret() -> bytes:
    """What all workers must share: by it they know each other's nonces."""
    return token_bytes(32)


class AcmeServer:
    """`authority`: who signs; who has signed for it is handed out, to be trusted. `secret`: see `new_secret`."""

    def __init__(self, authority: Authority, records: Records, rules: Rules, secret: bytes) -> None:
        self._authority = authority
        self._records = records
        self._rules = rules
        self._secret = secret

    def answer(self, asked: Asked, now: float) -> Answer:
        """Raises sqlite3.Error where the records cannot be had."""
        try:
            if asked.method == "POST":
                return self._with_nonce(asked, self._post(asked, now), now)
            return self._get(asked, now)
        except Problem as problem:
            refusal = Answer(problem.status, problem.encoded(), ((b"content-type", b"application/problem+json"),))
            return self._with_nonce(asked, refusal, now)

    def settle(self, task: Task, error: Problem | None, now: float) -> None:
        """What came of a task."""
        with self._records.transaction(now) as tx:
            orders.settle(tx, task, error, now)

    def _get(self, asked: Asked, now: float) -> Answer:
        if asked.method not in ("GET", "HEAD") or asked.path[1:].partition("/")[0] in RESOURCES:
            raise Problem("malformed", "this is asked by POST (section 6.3)", 405)
        if asked.path == "/root.pem":
            return Answer(200, pem(self._authority.issuer), ((b"content-type", b"application/x-pem-file"),))
        if asked.path == "/revoked.crl":
            with self._records.transaction(now) as tx:
                listed = certificates.revocation_list(tx, self._authority, now)
            return Answer(200, listed, ((b"content-type", b"application/pkix-crl"),))
        if asked.path == "/directory":
            urls: dict[str, object] = {name: f"{asked.base}/{path}" for name, path in DIRECTORY.items()}
            return json_answer(200, urls | {"meta": {"externalAccountRequired": bool(self._rules.bound)}})
        if asked.path == "/new-nonce":
            return self._with_nonce(asked, Answer(200 if asked.method == "HEAD" else 204), now)
        raise Problem("malformed", "there is nothing here", 404)

    def _post(self, asked: Asked, now: float) -> Answer:
        name, *rest = asked.path[1:].split("/")
        resource = RESOURCES.get(name)
        if resource is None:
            raise Problem("malformed", "there is nothing here", 404)
        if not asked.base.startswith("https://"):
            raise Problem("malformed", "this is asked over https (section 6.1)", 403)
        if asked.media != MEDIA:
            raise Problem("malformed", f"a request is {MEDIA}", 415)
        with self._records.transaction(now) as tx:
            who: list[Account] = []
            signed = read_signed(asked.body, asked.base + asked.path, lambda url: self._jwk_of(tx, asked, url, who))
            self._use_nonce(tx, signed, now)
            try:
                call = Call(
                    tx, now, asked.base, tuple(rest), signed, next(iter(who), None), self._rules, self._authority
                )
                return resource(call)
            except Problem as problem:
                # It has changed nothing: resources write when nothing can be refused any more. The nonce is used.
                refused = problem
        raise refused

    def _jwk_of(self, tx: Transaction, asked: Asked, url: str, who: list[Account]) -> Jwk:
        prefix = f"{asked.base}/account/"
        found = tx.get(Account, url.removeprefix(prefix)) if url.startswith(prefix) else None
        if found is None:
            raise Problem("accountDoesNotExist", "there is no such account here")
        if found.status != "valid":
            raise Problem("unauthorized", "this account was deactivated", 401)
        who.append(found)
        return found.jwk

    def _use_nonce(self, tx: Transaction, signed: Signed, now: float) -> None:
        nonce = signed.protected.get("nonce")
        if not nonce_is_ours(nonce, self._secret, now) or tx.get(UsedNonce, str(nonce)) is not None:
            raise Problem("badNonce", "this nonce is too old, was used before, or is not from here")
        if tx.count(UsedNonce) >= MOST_NONCES:
            raise Problem("rateLimited", "there are too many requests", 503)
        tx.put(UsedNonce(id=str(nonce), owner="", expires=now + NONCE_LIFETIME))

    def _with_nonce(self, asked: Asked, answer: Answer, now: float) -> Answer:
        """Sections 6.5 and 7.1."""
        index = f'<{asked.base}/directory>;rel="index"'.encode()
        more = ((b"replay-nonce", new_nonce(self._secret, now).encode()), (b"link", index), _NO_STORE)
        return answer._replace(fields=(*answer.fields, *more))
