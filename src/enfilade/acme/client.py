"""The conversation with one authority (RFC 8555), over whatever fetches."""

from __future__ import annotations

import asyncio
import math
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from enfilade.acme.documents import Account, Authorization, Challenge, Directory, Order, RenewalInfo
from enfilade.acme.jose import AccountKey, ExternalAccount
from enfilade.acme.problem import Identifier, Problem, sentence
from enfilade.exchange.fetch import Fetch, Fetched, FetchError
from enfilade.http.dates import parse_date

T = TypeVar("T")

NONCES_KEPT = 10
"""Nonces that are kept for later requests: about as many as are under way at once. They do not stay good for ever."""
NONCES = 20
"""How often a request is signed anew because its nonce was not good (section 6.5)."""
PATIENCE = 300.0
"""Seconds that the authority may take to validate, or to sign."""
FIRST_POLL, LAST_POLL = 1.0, 60.0
"""Seconds between two looks at what it is doing, where it says less or more."""
ASK_SOONEST, ASK_LATEST = 60.0, 86400.0
"""Seconds until the authority is asked again when to renew, whatever it says (RFC 9773 section 4.3)."""
SHORT_LIVED = "shortlived"
"""The profile by which Let's Encrypt signs for addresses, and no other."""
_PENDING = ("pending", "processing")


class AcmeError(Exception):
    """There is no certificate. The text is for people; `retry_after`: seconds that the authority asks for until the next try."""

    def __init__(self, text: str, retry_after: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after = retry_after


class Refused(AcmeError):
    """The authority says no."""

    def __init__(self, problem: Problem, retry_after: float = 0.0) -> None:
        super().__init__(sentence(problem), retry_after)
        self.problem = problem


class Terms(NamedTuple):
    """What an account is opened with. The authority's terms of service are agreed to: the configuration says so."""

    email: str | None
    external: ExternalAccount | None


class Renewal(NamedTuple):
    """A certificate is to be renewed between `start` and `end`, in seconds since 1970; in `again` seconds it is asked again."""

    start: float
    end: float
    again: float


class Client:
    """Raises AcmeError. `clock`: seconds since 1970."""

    def __init__(
        self,
        fetch: Fetch,
        directory: str,
        key: AccountKey,
        terms: Terms,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self.key = key
        self._fetch = fetch
        self._url = directory
        self._terms = terms
        self._clock = clock
        self._sleep = sleep
        self._directory: Directory | None = None
        self._account: str | None = None
        self._nonces: list[str] = []
        self._opening = asyncio.Lock()

    async def order(self, name: Identifier, profile: str | None, replaces: str = "") -> tuple[str, Order]:
        """A new order (section 7.4) and its URL. `replaces`: the id of the certificate that this one is to follow, if
        it was signed here."""
        async with self._opening:
            directory = await self._open_account()
        wish: dict[str, object] = {"identifiers": [msgspec.structs.asdict(name)]}
        if profile is None and name.type == "ip" and SHORT_LIVED in directory.meta.profiles:
            profile = SHORT_LIVED
        if profile is not None:
            wish["profile"] = profile
        if replaces and directory.renewal_info is not None:
            wish["replaces"] = replaces
        try:
            answer = await self._post(directory.new_order, wish)
        except Refused as refused:
            if refused.problem.kind != "alreadyReplaced":  # RFC 9773 section 5
                raise
            del wish["replaces"]
            answer = await self._post(directory.new_order, wish)
        return _location(answer), _read(answer, Order)

    async def renewal(self, certificate: str) -> Renewal | None:
        """When to renew the one with this id; None: the authority does not say."""
        directory = await self._look_up()
        if directory.renewal_info is None or not certificate:
            return None
        answer = _good(await self._send("GET", f"{directory.renewal_info.rstrip('/')}/{certificate}"), self._clock())
        window = _read(answer, RenewalInfo).suggested_window
        retry = _retry_after(answer, self._clock())
        return Renewal(window.start.timestamp(), window.end.timestamp(), min(max(retry, ASK_SOONEST), ASK_LATEST))

    async def authorization(self, url: str) -> Authorization:
        return _read(await self._post(url), Authorization)

    async def ready(self, challenge: Challenge) -> None:
        """What answers `challenge` can be looked at (section 7.5.1)."""
        await self._post(challenge.url, {})

    async def validated(self, url: str) -> Authorization:
        """The authorization at `url`, once the authority has decided."""
        return await self._until(url, Authorization, lambda found: found.status not in _PENDING)

    async def finalize(self, url: str, order: Order, request: bytes) -> bytes:
        """The chain for the signing request of an order whose authorizations are all valid (section 7.4)."""
        await self._post(order.finalize, {"csr": urlsafe_b64encode(request).rstrip(b"=").decode()})
        order = await self._until(url, Order, lambda found: found.status not in ("ready", *_PENDING))
        if order.status != "valid" or order.certificate is None:
            raise Refused(order.error or Problem(detail=f"the order became {order.status}"))
        return (await self._post(order.certificate)).body

    async def _open_account(self) -> Directory:
        """The account of our key, which is opened where there is none (section 7.3)."""
        directory = await self._look_up()
        if self._account is None:
            email, external = self._terms
            wish: dict[str, object] = {"termsOfServiceAgreed": True}
            if email is not None:
                wish["contact"] = [f"mailto:{email}"]
            if external is not None:
                wish["externalAccountBinding"] = external.bind(self.key, directory.new_account)
            elif directory.meta.external_account_required:
                raise Refused(Problem("externalAccountRequired", f"{self._url} opens no accounts by itself"))
            answer = await self._post(directory.new_account, wish)
            status = _read(answer, Account).status
            if status != "valid":
                raise AcmeError(
                    f"the account with {self._url} is {status}: remove its key from accounts/ in the storage"
                )
            self._account = _location(answer)
        return directory

    async def _look_up(self) -> Directory:
        if self._directory is None:
            answer = await self._send("GET", self._url)
            self._directory = _read(_good(answer, self._clock()), Directory)
        return self._directory

    async def _until(self, url: str, kind: type[T], done: Callable[[T], bool]) -> T:
        deadline = self._clock() + PATIENCE
        while True:
            answer = await self._post(url)
            found = _read(answer, kind)
            if done(found):
                return found
            if self._clock() >= deadline:
                raise AcmeError(f"{self._url} did not decide within {PATIENCE:g} seconds; it is tried again by itself")
            await self._sleep(min(max(_retry_after(answer, self._clock()), FIRST_POLL), LAST_POLL))

    async def _post(self, url: str, payload: object | None = None) -> Fetched:
        """A signed request; without `payload`, one that only reads (section 6.3)."""
        for _ in range(NONCES):
            body = self.key.sign(url, await self._nonce(), payload, self._account)
            answer = await self._send("POST", url, ((b"content-type", b"application/jose+json"),), body)
            try:
                return _good(answer, self._clock())
            except Refused as refused:
                if refused.problem.kind != "badNonce":
                    raise
                last = refused
        raise last

    async def _nonce(self) -> str:
        if not self._nonces:
            assert self._directory is not None, "who posts has a URL from it"
            _good(await self._send("HEAD", self._directory.new_nonce), self._clock())
        if not self._nonces:
            raise AcmeError(f"{self._url} gives no nonces")
        return self._nonces.pop()

    async def _send(
        self, method: str, url: str, fields: Sequence[tuple[bytes, bytes]] = (), body: bytes = b""
    ) -> Fetched:
        if not url.startswith("https://"):  # section 6.1; what the authority says is looked at no less
            raise AcmeError(f"{url!r} is not an https URL")
        try:
            answer = await self._fetch(method, url, fields, body)
        except FetchError as error:
            raise AcmeError(f"the authority cannot be reached: {error}") from None
        nonce = answer.fields.get(b"replay-nonce")
        if nonce:
            self._nonces.append(nonce.decode("latin-1"))  # the newest are used first
            del self._nonces[:-NONCES_KEPT]
        return answer


def _good(answer: Fetched, now: float) -> Fetched:
    if answer.status < 300:
        return answer
    try:
        problem = msgspec.json.decode(answer.body, type=Problem)
    except msgspec.DecodeError:
        problem = Problem(detail=f"the authority answers with status {answer.status}, and no reason")
    raise Refused(problem, _retry_after(answer, now))


def _read(answer: Fetched, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(answer.body, type=kind)
    except msgspec.DecodeError as error:
        raise AcmeError(f"the authority's answer is none of RFC 8555: {error}") from None


def _location(answer: Fetched) -> str:
    found = answer.fields.get(b"location")
    if not found:
        raise AcmeError("the authority's answer is none of RFC 8555: it has no Location")
    return found.decode("latin-1")


def _retry_after(answer: Fetched, now: float) -> float:
    """Seconds, as RFC 9110 section 10.2.3 has them; 0 where nothing is said."""
    value = answer.fields.get(b"retry-after") or b""
    if value.isdigit():
        return min(float(value), 1e9)
    date = parse_date(value)
    return 0.0 if date is None else max(0.0, math.ceil(date - now))
