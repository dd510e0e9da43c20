"""Certificates for names that nobody has written down: had when a client first asks for one of them, within bounds."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress

import msgspec

from enfilade.acme.manager import Manager, Means
from enfilade.acme.schedule import DAY
from enfilade.acme.state import Held, State, Wanted
from enfilade.acme.storage import Kind, Storage, StorageError
from enfilade.acme.view import LOOK, View

log = logging.getLogger("enfilade.acme")

PENDING = 5
"""Names that are asked about, or waited for, at once, by each worker."""
NEW_A_MINUTE = 10
"""Names that are ordered anew, by all workers and servers with one storage: an authority signs, and fails, only so many."""
NAMES = 10_000
"""Names that have a certificate, or will."""
REFUSED = 10_000
"""Names that are remembered as refused, by each worker."""
MINUTE = 60.0
"""Seconds that a no holds, and that a handshake may wait for a certificate."""
_HOST = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+(?![0-9]+$)[a-z0-9-]{1,62}[a-z0-9]")


def is_host_name(name: str) -> bool:
    """Whether `name` can stand in a certificate: two labels at least, in lower case (RFC 1123 section 2.1); no address."""
    return _HOST.fullmatch(name) is not None


class Demand:
    """Of one worker. `possible`: what can be said of a name at once; `permit` takes its time, and is asked about those that are
    possible."""

    def __init__(
        self,
        storage: Storage,
        view: View,
        possible: Callable[[str], bool],
        permit: Callable[[str], Awaitable[bool]],
        clock: Callable[[], float],
    ) -> None:
        self._storage = storage
        self._view = view
        self._possible = possible
        self._permit = permit
        self._clock = clock
        self._pending: dict[str, tuple[asyncio.Future[None], float]] = {}
        self._refused: dict[str, float] = {}
        self._used: set[str] = set()
        self._recent = 0
        self._said = 0.0
        self._tasks: set[asyncio.Task[object]] = set()
        self._orders: dict[str, asyncio.Task[object]] = {}

    def held(self, name: str) -> Held | None:
        """The certificate of `name`, if it may have one."""
        found = self._view.certificates.get(name)
        return found if found is not None and self._possible(name) else None

    def use(self, name: str) -> None:
        """Somebody asked for `name`, which has a certificate: it will be renewed."""
        self._used.add(name)

    def want(self, name: str) -> asyncio.Future[None] | None:
        """`name` has no certificate: when to look again, None if it will have none."""
        if name in self._pending:
            return self._pending[name][0]
        now = self._clock()
        if self._refused.get(name, 0.0) > now or self._view.states.get(name, State()).again > now:
            return None
        if not (is_host_name(name) and self._possible(name)):
            self._refuse(name, "it is none of those that may have one")
            return None
        if len(self._pending) >= PENDING:
            self._say(name, "too many are waited for")
            return None
        wanted = name in self._view.wanted
        if not wanted:
            if self._recent >= NEW_A_MINUTE or len(self._view.wanted) >= NAMES:
                self._say(name, "there are too many new ones, or too many in all")
                return None
            self._recent += 1
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pending[name] = ready, now + MINUTE
        if not wanted:
            self._begin(self._ask_for(name))
        return ready

    def end(self, name: str) -> None:
        """Nobody waits for `name` any more: it has a certificate, or will have none."""
        found = self._pending.pop(name, None)
        if found is not None:
            found[0].set_result(None)

    def tick(self) -> None:
        """About once a second."""
        now, view = self._clock(), self._view
        for name, (_, until) in list(self._pending.items()):
            if until <= now or view.states.get(name, State()).again > now:
                self.end(name)
        self._recent = sum(one.since > now - MINUTE for one in view.wanted.values())
        self._recent += len(self._pending.keys() - view.wanted.keys())
        for name in self._used:
            known = view.wanted.get(name, Wanted(now, 0.0))
            if known.asked + DAY < now:
                self._begin(self._put(name, Wanted(known.since, now)))
        self._used.clear()

    async def keep(self, manager: Manager, means: Means) -> None:
        """Order what is wanted, renew what is used, and let go of the rest, until it is cancelled: for one of the workers."""
        next_look = 0.0
        try:
            while True:
                for name in self._view.wanted.keys() - self._view.certificates.keys():
                    if self._possible(name):
                        self._order(name, manager)
                if self._clock() >= next_look:
                    next_look = self._clock() + MINUTE
                    for name in list(self._view.wanted):
                        await self._look_after(name, manager)
                    await self._forget_failures()
                if self._orders:
                    await asyncio.wait(self._orders.values(), timeout=LOOK, return_when=asyncio.FIRST_COMPLETED)
                await means.sleep(LOOK)
        finally:
            for task in self._orders.values():
                task.cancel()
            if self._orders:
                await asyncio.wait(self._orders.values())

    async def close(self) -> None:
        for name in list(self._pending):
            self.end(name)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _ask_for(self, name: str) -> None:
        if not await self._permit(name):
            self._refuse(name, "whoever is asked says no")
            self.end(name)
            return
        now = self._clock()
        if not await self._put(name, Wanted(now, now)):
            self.end(name)

    async def _put(self, name: str, wanted: Wanted) -> bool:
        try:
            await self._storage.put("wanted", name, msgspec.json.encode(wanted))
        except StorageError as error:
            self._say(name, str(error))
            return False
        return True

    def _begin(self, work: Coroutine[object, object, object]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _look_after(self, name: str, manager: Manager) -> None:
        view, now = self._view, self._clock()
        wanted, held = view.wanted.get(name), view.certificates.get(name)
        if wanted is None:
            return
        if held is None:  # who has failed is asked about anew, by whoever asks for it when it may be tried again
            if view.states.get(name, State()).again > now and wanted.since + MINUTE < now:
                await self._forget(name, "wanted")
            return
        used = wanted.asked > now - (held.chain.not_after - held.chain.not_before)
        if not used and held.chain.not_after <= now:
            log.info("the certificate for %s has ended: nobody has asked for it for so long", name)
            await self._forget(name, "wanted", "certificates", "states")
        elif used and manager.next(name) <= now and self._possible(name) and await self._permit(name):
            self._order(name, manager)

    def _order(self, name: str, manager: Manager) -> None:
        """Unless that is under way: one that takes long holds up no other."""
        if name not in self._orders:
            task = self._orders[name] = asyncio.get_running_loop().create_task(manager.look_at(name))
            task.add_done_callback(lambda _: self._orders.pop(name))

    async def _forget_failures(self) -> None:
        view = self._view
        for name in view.states.keys() - view.wanted.keys() - view.certificates.keys():
            if view.states[name].again + DAY < self._clock():
                await self._forget(name, "states")

    async def _forget(self, name: str, *kinds: Kind) -> None:
        with suppress(StorageError):  # it is tried again
            for kind in kinds:
                await self._storage.delete(kind, name)

    def _refuse(self, name: str, why: str) -> None:
        if len(self._refused) >= REFUSED:
            del self._refused[next(iter(self._refused))]
        self._refused.pop(name, None)
        self._refused[name] = self._clock() + MINUTE
        self._say(name, why)

    def _say(self, name: str, why: str) -> None:
        """One line a second at most: names come from strangers."""
        now = self._clock()
        if now >= self._said + 1.0:
            self._said = now
            log.info("no certificate for %s, which somebody asks for: %s", ascii(name), why)
