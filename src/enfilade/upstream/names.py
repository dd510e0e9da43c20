"""Peers that are written as names: who they are as far as DNS has said, and when it is to be asked again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from enfilade.upstream.addresses import Address, Wanted

MIN_TTL = 1.0
MAX_TTL = 300.0
"""Seconds: what a record's own time to live is held between."""
FIRST_RETRY = 1.0
MAX_RETRY = 30.0
JITTER = 0.1
"""The part of each wait that chance may add to it, so that workers do not ask all at once."""


class Question(NamedTuple):
    """What DNS is asked: the addresses of `name` (A, AAAA), or its services (SRV)."""

    name: str
    srv: bool = False


class Record(NamedTuple):
    """One answer: an IP address in `host`; or a service (RFC 2782), `host` being a name or an address."""

    host: str
    port: int = 0
    priority: int = 0
    weight: int = 0


Known = Mapping[Question, tuple[Record, ...]]


class Expansion(NamedTuple):
    """`peers`: those that can be connected to. `questions`: all whose answers they depend on, known or not."""

    peers: list[Wanted]
    questions: set[Question]


def expand(wanted: Iterable[Wanted], known: Known) -> Expansion:
    """Each of `wanted` that is a name becomes the peers that the name has. All addresses of a name are peers, sorted. Services:
    each priority is a tier of its own, and weights multiply."""
    found = Expansion([], set())
    for one in wanted:
        _expand(one, known, found)
    return found


def _expand(one: Wanted, known: Known, found: Expansion) -> None:
    address = one.address
    if address.is_literal:
        found.peers.append(one)
        return
    question = Question(address.host, address.srv)
    found.questions.add(question)
    records = sorted(known.get(question, ()))
    if not address.srv:
        found.peers.extend([one._replace(address=address._replace(at=record.host)) for record in records])
        return
    tiers = {priority: tier for tier, priority in enumerate(sorted({record.priority for record in records}))}
    for record in records:
        _expand(_service(one, record, tiers[record.priority]), known, found)


def _service(one: Wanted, record: Record, tier: int) -> Wanted:
    address: Address = one.address._replace(srv=False, host=record.host, port=record.port)
    # A weight of 0 asks for very little (RFC 2782): nobody can get less than 1.
    return one._replace(address=address, tier=one.tier + tier, weight=one.weight * max(record.weight, 1))


class Waits:
    """How long to wait before a source is asked again. `chance`: a number from 0 to 1, anew at each call."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self.failures = 0

    def after_answer(self, ttl: float) -> float:
        """Seconds, of an answer that is good for `ttl` seconds."""
        self.failures = 0
        return self._spread(min(max(ttl, MIN_TTL), MAX_TTL))

    def after_failure(self) -> float:
        """Seconds, twice as many with each failure in a row."""
        delay = min(FIRST_RETRY * 2.0**self.failures, MAX_RETRY)
        self.failures = min(self.failures + 1, 32)  # beyond, nothing changes
        return self._spread(delay)

    def _spread(self, delay: float) -> float:
        return delay * (1 + JITTER * self._chance())
