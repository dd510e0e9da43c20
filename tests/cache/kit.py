"""A cache in front of an origin that does what a test tells it, with a clock that goes when it is told to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import nullcontext
from typing import Any

from enfilade.cache.claims import SIZE as CLAIMS_SIZE
from enfilade.cache.claims import Claims
from enfilade.cache.decide import Rules
from enfilade.cache.front import Front
from enfilade.cache.keeper import Keeper
from enfilade.cache.key import KeyRules
from enfilade.cache.purges import SIZE, Purges
from enfilade.cache.reasons import Kind
from enfilade.cache.stored import Store, Stored, StreamingStore
from enfilade.cache.tiers import Tiers
from enfilade.exchange.bodies import Stream
from enfilade.exchange.exchange import Exchange
from enfilade.exchange.pending import Pending
from enfilade.exchange.response import Response
from enfilade.http.dates import format_date
from enfilade.http.fields import Fields, Pair
from enfilade.testing.exchange import make_exchange

NOW = 1_800_000_000.0
RULES = Rules()
KEYS = KeyRules()


class DictMemory:
    """The simplest store."""

    def __init__(self, largest: int = 1 << 20) -> None:
        self.largest = largest
        self.answers: dict[bytes, Stored] = {}

    def get(self, key: bytes) -> Stored | None:
        return self.answers.get(key)

    def put(self, answer: Stored) -> None:
        if answer.content.size <= self.largest:
            self.answers[answer.key] = answer

    def remove(self, key: bytes) -> None:
        self.answers.pop(key, None)


class Counts:
    def __init__(self) -> None:
        self.kinds: list[Kind] = []

    def count(self, kind: Kind) -> None:
        self.kinds.append(kind)


class Stand:
    """`answers`: what the origin answers, one after the other, the last one again and again: a Response, a function of the
    exchange, or None: it waits until `reply`. `asked`: the requests that came to it."""

    def __init__(
        self,
        *answers: Response | Callable[[Exchange], Response] | None,
        rules: Rules = RULES,
        keys: KeyRules = KEYS,
        below: Iterable[Store] = (),
        streaming: StreamingStore | None = None,
        largest: int = 1 << 20,
        claims: Claims | None = None,
        memory: DictMemory | None = None,
        **options: Any,
    ) -> None:
        self.now = NOW
        self.answers = list(answers)
        self.asked: list[Exchange] = []
        self.waiting: list[Pending] = []
        self.aborted: list[Exchange] = []
        self.memory = DictMemory(largest) if memory is None else memory
        self.purges = Purges(memoryview(bytearray(SIZE)).cast("q"), nullcontext(), lambda: int(self.now * 1e9))
        self.counts = Counts()
        tiers = Tiers(self.memory, tuple(below), streaming)
        keeper = Keeper(
            tiers, self.purges, rules, clock=lambda: self.now, dice=options.pop("dice", lambda: 1.0), **options
        )
        self.later: list[Callable[[], None]] = []
        if claims is None:
            cells = memoryview(bytearray(CLAIMS_SIZE)).cast("q")
            claims = Claims(cells, nullcontext(), 1, lambda worker: True, lambda: self.now)
        self.front = Front(
            self._origin, keeper, keys, self.counts, claims, lambda seconds, what: self.later.append(what)
        )

    def _origin(self, x: Exchange) -> Response | Pending:
        self.asked.append(x)
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        if answer is None:
            pending = Pending()
            self.waiting.append(pending)
            x.on_abort = lambda why: self.aborted.append(x)
            return pending
        return answer(x) if callable(answer) else answer

    def get(self, target: str = "/", *fields: Pair, method: str = "GET", **options: Any) -> Response:
        """What is answered at once."""
        answer = self.send(target, *fields, method=method, **options)
        assert isinstance(answer, Response), answer
        return answer

    def send(
        self, target: str = "/", *fields: Pair, method: str = "GET", **options: Any
    ) -> Response | Awaitable[Response]:
        return self.front(make_exchange(method, target, fields, **options))

    def reply(self, response: Response, which: int = 0) -> None:
        """The origin answers one of those that wait."""
        self.waiting.pop(which).resolve(response)

    def look_again(self) -> None:
        """Those who wait for another worker look for what it fetched."""
        later, self.later = self.later, []
        for what in later:
            what()

    def pass_by(self, seconds: float) -> None:
        self.now += seconds

    @property
    def date(self) -> Pair:
        return b"date", format_date(self.now)


def answer(*fields: Pair, status: int = 200, body: bytes | Stream = b"body") -> Response:
    """What an origin answers; with `max-age=60` where it says nothing else."""
    names = {name for name, _ in fields}
    said = fields if b"cache-control" in names else (*fields, (b"cache-control", b"max-age=60"))
    return Response(status, Fields(said), body)


def status_of(response: Response) -> bytes:
    """Its Cache-Status."""
    return response.fields.get(b"cache-status") or b""
