"""Keeping the peers of an upstream fresh: those that the configuration lists, those of other sources, and who names stand for."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from itertools import chain
from typing import Protocol

from enfilade.net.resolver import ResolveError, Resolver
from enfilade.upstream.addresses import Wanted
from enfilade.upstream.names import Question, Record, Waits, expand

log = logging.getLogger("enfilade.upstream")

OnChange = Callable[[Sequence[Wanted]], None]
Sleep = Callable[[float], Awaitable[object]]


class Source(Protocol):
    """Where peers come from."""

    async def watch(self, on_change: OnChange) -> None:
        """Tell who the peers are: soon for the first time (nobody, if that cannot be known yet), and again whenever that may
        have changed. Runs until it is cancelled, and fails at nothing that happens outside of this process."""


class Discovery:
    """The Source of the upstream called `name`: its `fixed` peers and those of `sources`, with names replaced by what `resolver`
    finds for them. What cannot be looked up or read leaves everybody where they are.

    `settled` is set as soon as each source and each name was tried once: until then, there may be more peers than are known.
    """

    def __init__(
        self,
        name: str,
        fixed: Sequence[Wanted],
        sources: Sequence[Source],
        resolver: Resolver,
        *,
        sleep: Sleep = asyncio.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.settled = asyncio.Event()
        self._name = name
        self._sources = sources
        self._resolver = resolver
        self._sleep = sleep
        self._chance = chance
        self._lists: list[Sequence[Wanted] | None] = [fixed, *[None for _ in sources]]
        self._known: dict[Question, tuple[Record, ...]] = {}
        self._lookups: dict[Question, asyncio.Task[None]] = {}
        self._peers: list[Wanted] | None = None

    async def watch(self, on_change: OnChange) -> None:
        """See `Source`. Ends at once where nothing can change."""
        async with asyncio.TaskGroup() as group:
            renew = partial(self._renew, group, on_change)
            for place, source in enumerate(self._sources, 1):
                group.create_task(source.watch(partial(self._listed, renew, place)))
            renew()

    def _listed(self, renew: Callable[[], None], place: int, peers: Sequence[Wanted]) -> None:
        self._lists[place] = peers
        renew()

    def _renew(self, group: asyncio.TaskGroup, on_change: OnChange) -> None:
        """Look up what has to be, no longer what need not, and tell who the peers are if that has changed."""
        peers, questions = expand(chain.from_iterable(filter(None, self._lists)), self._known)
        for question in self._lookups.keys() - questions:
            self._lookups.pop(question).cancel()
            self._known.pop(question, None)
        for question in sorted(questions - self._lookups.keys()):
            learn = partial(self._learn, partial(self._renew, group, on_change), question)
            self._lookups[question] = group.create_task(self._look_up(question, learn))
        if None not in self._lists and questions <= self._known.keys():
            self.settled.set()
        if peers != self._peers:
            self._peers = peers
            on_change(peers)

    def _learn(self, renew: Callable[[], None], question: Question, records: tuple[Record, ...]) -> None:
        self._known[question] = records
        renew()

    async def _look_up(self, question: Question, learn: Callable[[tuple[Record, ...]], None]) -> None:
        """Ask again and again, as often as the answers' time to live says."""
        waits = Waits(self._chance)
        while True:
            try:
                records, ttl = await self._resolver.find(question)
            except ResolveError as error:
                records = self._known.get(question, ())
                level = logging.DEBUG if waits.failures else logging.WARNING
                wait = waits.after_failure()
                log.log(
                    level, "upstream %s: cannot resolve %s: %s; it keeps %d %s and is asked again",
                    self._name, question.name, error, len(records), "services" if question.srv else "addresses",
                )  # fmt: skip
            else:
                if waits.failures:
                    log.info("upstream %s: %s is resolved again", self._name, question.name)
                wait = waits.after_answer(ttl)
            learn(records)
            await self._sleep(wait)
