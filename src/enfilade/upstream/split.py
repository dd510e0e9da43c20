"""Splits: some of the requests take another way, as to a canary or a mirror."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from enfilade.exchange.exchange import Exchange
from enfilade.exchange.key import Key, client_ip
from enfilade.http.memory import remember
from enfilade.upstream.pick import Random
from enfilade.upstream.rendezvous import arrival, spot

MEMORY = 4096
"""For how many clients it is remembered where they belong."""


class Branch(NamedTuple):
    """One way of a split. `weight`: how many of the clients take it, in comparison to the others; 0: none but those who ask.
    `when`: requests of which one of these keys reads as the value beside it take it in any case."""

    weight: float
    when: Sequence[tuple[Key, bytes]] = ()


class Split:
    """Which of several branches a request takes: the first of which a `when` is true, otherwise by weight.

    By weight it is always the same one for the same `key` (for the client's address, where the request has no such key), in
    every worker and after every restart; when weights change, only as many change their branch as must.
    """

    def __init__(self, branches: Sequence[Branch], key: Key = client_ip) -> None:
        """ValueError where there is no weight, or a negative one."""
        if min((branch.weight for branch in branches), default=0) < 0 or not any(branch.weight for branch in branches):
            raise ValueError("the weights of a split are numbers from 0 on, and one of them at least is more")
        self._weights = [(i, b"%d" % i, branch.weight) for i, branch in enumerate(branches)]
        self._when = [(read, value, i) for i, branch in enumerate(branches) for read, value in branch.when]
        self._key = key
        self._memory: dict[int, int] = {}

    def choose(self, x: Exchange) -> int:
        """The index of the branch that `x` takes."""
        for read, value, branch in self._when:
            if read(x) == value:
                return branch
        at = spot(self._key(x) or client_ip(x))
        known = self._memory.get(at)
        return self._deal(at) if known is None else known

    def _deal(self, at: int) -> int:
        branch = min([(arrival(at, name, weight), i) for i, name, weight in self._weights])[1]
        remember(self._memory, at, branch, MEMORY)
        return branch


def sample(fraction: float, random: Random) -> Callable[[], bool]:
    """What says yes so often: 0 to 1 (ValueError for others)."""
    if not 0 <= fraction <= 1:
        raise ValueError(f"{fraction} is not a part of all requests: write a number from 0 to 1")
    return lambda: random() < fraction
