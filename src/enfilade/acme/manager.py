"""Whoever sees to it that each name has a certificate: one worker of an edge."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf

import msgspec

from enfilade.acme.client import AcmeError, Client, Terms
from enfilade.acme.jose import AccountKey
from enfilade.acme.order import Solver, obtain
from enfilade.acme.schedule import DAY, renewal_time, retry_delay, suggested_time
from enfilade.acme.state import Held, State, encode
from enfilade.acme.storage import Storage, StorageError, locked
from enfilade.acme.view import View
from enfilade.exchange.fetch import Fetch

log = logging.getLogger("enfilade.acme")

LOOK = 60.0
"""Seconds between two looks at all names, at most."""
ELSEWHERE = 5.0
"""Seconds until a name is looked at again that somebody else is seeing to, or whose storage cannot be had."""
AT_ONCE = 4
"""Names that are seen to at once: an order is a dozen requests, and Let's Encrypt takes 20 a second."""
SLOW = 15.0
"""Seconds after which whoever is still seen to no longer counts: those who wait for it are not held up."""


class Authority:
    """One that signs: `url` of its directory, and the account with it."""

    def __init__(self, url: str, terms: Terms, profile: str | None) -> None:
        self.url = url
        self.terms = terms
        self.profile = profile
        self.client: Client | None = None
        self.opening = asyncio.Lock()

    @property
    def account(self) -> str:
        """What its account's key is called in the storage."""
        return self.url.removeprefix("https://").strip("/").replace("/", "_")


@dataclass
class Means:
    """What a manager needs of the world. `clock`: seconds since 1970; `chance`: from 0 to 1, anew at each call; `count` is
    told of each try whether it was good."""

    fetch: Fetch
    sleep: Callable[[float], Awaitable[object]]
    chance: Callable[[], float]
    count: Callable[[bool], None]
    clock: Callable[[], float] = field(default=time.time)


class Manager:
    """Sees to `names`, with the first of the `authorities` that signs. `view`: of the same storage."""

    def __init__(
        self,
        names: Iterable[str],
        storage: Storage,
        view: View,
        authorities: Sequence[Authority],
        solvers: Sequence[Solver],
        means: Means,
    ) -> None:
        self._names = tuple(names)
        self._storage = storage
        self._view = view
        self._authorities = authorities
        self._solvers = solvers
        self._means = means
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Until it is cancelled. No name waits for another, but for its turn."""
        async with asyncio.TaskGroup() as group:
            for name in self._names:
                group.create_task(self._keep(name))

    async def _keep(self, name: str) -> None:
        while True:
            await self._means.sleep(await self.look_at(name))

    async def look_at(self, name: str) -> float:
        """Renew the certificate of `name` if it is time. Returns in how many seconds it wants to be looked at again."""
        wait = self.next(name) - self._means.clock()
        if wait > 0:
            return min(wait, LOOK)
        try:
            async with self._turn(), locked(self._storage, name) as ours:
                if ours:
                    await self._view.look()  # somebody else may just have done it
                    now = self._means.clock()
                    if self._ask(name) <= now:
                        await self._ask_when(name)
                    if self._due(name) <= now:
                        await self._renew(name)
                    return 0.0
        except StorageError as error:
            log.error("no certificate for %s can be had: %s", name, error)
        return ELSEWHERE

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of AT_ONCE, which the next one has after SLOW seconds."""
        await self._turns.acquire()
        passed = False

        def pass_on() -> None:
            nonlocal passed
            if not passed:
                passed = True
                self._turns.release()

        timer = asyncio.get_running_loop().call_later(SLOW, pass_on)
        try:
            yield
        finally:
            timer.cancel()
            pass_on()

    def next(self, name: str) -> float:
        """When there is something to do."""
        return min(self._due(name), self._ask(name))

    def _due(self, name: str) -> float:
        """When it is ordered."""
        held, state = self._view.certificates.get(name), self._state(name)
        if held is None:
            return state.again
        return max(state.renew or renewal_time(held.chain.not_before, held.chain.not_after), state.again)

    def _ask(self, name: str) -> float:
        """When its authority is asked when that shall be."""
        held, state = self._view.certificates.get(name), self._state(name)
        return inf if held is None or not state.authority else state.ask

    def _state(self, name: str) -> State:
        return self._view.states.get(name, State())

    async def _ask_when(self, name: str) -> None:
        """RFC 9773. Whoever says nothing is asked again; until then it is as it was."""
        state, chain, means = self._state(name), self._view.certificates[name].chain, self._means
        authority = next((one for one in self._authorities if one.url == state.authority), None)
        ask, renew = means.clock() + DAY, state.renew
        if authority is not None:
            try:
                found = await (await self._client(authority)).renewal(chain.id)
            except AcmeError as error:
                log.info("when to renew the certificate for %s is not known: %s", name, error)
            else:
                if found is not None:
                    renew = suggested_time(found.start, found.end, chain.not_before, chain.not_after, means.chance())
                    ask = means.clock() + found.again
        await self._remember(name, msgspec.structs.replace(state, ask=ask, renew=renew))

    async def _renew(self, name: str) -> None:
        """What has failed by one way to answer is tried by the next."""
        errors: list[str] = []
        asked = 0.0
        state, held = self._state(name), self._view.certificates.get(name)
        first = state.failures % len(self._solvers)
        solvers = [*self._solvers[first:], *self._solvers[:first]]
        for authority in self._authorities:
            client = None
            try:
                client = await self._client(authority)
                replaces = held.chain.id if held is not None and state.authority == authority.url else ""
                key, chain = await obtain(client, name, solvers, self._means.sleep, authority.profile, replaces)
            except AcmeError as error:
                if authority.client is client:
                    authority.client = None  # what it said of itself may be why
                errors.append(f"{authority.url}: {error}")
                asked = max(asked, error.retry_after)
            else:
                await self._take(name, Held(key, chain), authority)
                return
        await self._failed(name, "; ".join(errors), asked)

    async def _client(self, authority: Authority) -> Client:
        async with authority.opening:
            if authority.client is None:
                means = self._means
                key = await self._account_key(authority.account)
                authority.client = Client(
                    means.fetch, authority.url, key, authority.terms, clock=means.clock, sleep=means.sleep
                )
            return authority.client

    async def _account_key(self, account: str) -> AccountKey:
        """One for all edges: whoever else makes it just now has it in a moment."""
        while (pem := await self._storage.get("accounts", account)) is None:
            async with locked(self._storage, f"account {account}") as ours:
                if ours and await self._storage.get("accounts", account) is None:
                    await self._storage.put("accounts", account, AccountKey.new().pem)
            if not ours:
                await self._means.sleep(1.0)
        try:
            return AccountKey(pem)
        except ValueError as error:
            raise AcmeError(f"accounts/{account} in the storage cannot be used: {error}") from None

    async def _take(self, name: str, held: Held, authority: Authority) -> None:
        await self._storage.put("certificates", name, encode(held))
        await self._remember(name, State(authority=authority.url))
        self._means.count(True)
        chain = held.chain
        log.info(
            "certificate for %s: from %s, good until %s%s", name, authority.url, _date(chain.not_after), self._missing()
        )

    async def _failed(self, name: str, text: str, asked: float) -> None:
        means = self._means
        failures = self._state(name).failures + 1
        again = means.clock() + retry_delay(failures, asked, means.chance())
        state = msgspec.structs.replace(self._state(name), failures=failures, again=again, error=text)
        await self._remember(name, state)
        means.count(False)
        log.error("no certificate for %s: %s; next try at %s%s", name, text, _date(state.again), self._left(name))

    async def _remember(self, name: str, state: State) -> None:
        await self._storage.put("states", name, msgspec.json.encode(state))
        await self._view.look()

    def _missing(self) -> str:
        """How far it is, where several are ordered."""
        count = sum(name not in self._view.certificates for name in self._names)
        return f"; {count} of {len(self._names)} names have none yet" if count else ""

    def _left(self, name: str) -> str:
        held = self._view.certificates.get(name)
        return "" if held is None else f"; the one in use is good until {_date(held.chain.not_after)}"


def _date(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
