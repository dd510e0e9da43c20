"""Limits over memory of their own, with a clock that stands until it is told otherwise."""

from __future__ import annotations

from typing import Any

from enfilade.assemble.limiting import Said, Tables, make_limits, make_tables, tables_size
from enfilade.config.limit_checks import counts_users
from enfilade.config.schema import RateLimit
from enfilade.exchange.chain import compile_chain
from enfilade.exchange.exchange import Exchange, Filter, Route
from enfilade.exchange.identity import Identity
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.testing.exchange import make_exchange

SECOND = 1_000_000_000


def tables(workers: int, sets: int = 16) -> list[Tables]:
    """Those of each worker, over one memory."""
    cells = memoryview(bytearray(tables_size(workers, sets))).cast("q")
    return [make_tables(cells, workers, me) for me in range(workers)]


class Named(Filter):
    """Believes what the fields X-User and X-Plan say. Who is `nobody` has no name."""

    def on_request(self, x: Exchange) -> None:
        name, plan = [(x.request.fields.get(field) or b"none").decode() for field in (b"x-user", b"x-plan")]
        x.keep(Identity, Identity("" if name == "nobody" else name, {"plan": plan}))


class Limited:
    """A route with limits. `time`: its clock, in seconds. `counted`: what was refused, and what would have been."""

    def __init__(
        self, *limits: RateLimit, table: Tables | None = None, owner: tuple[str, str] = ("e.com", "/*")
    ) -> None:
        self.time = 1000.0
        self.counted = [0, 0]
        said = Said([*limits], own=True)
        filters = make_limits(said, *owner, table or tables(1)[0], self, lambda: int(self.time * SECOND))
        named = [*filters[:-1], Named(), *filters[-1:]] if any(counts_users(limit.by) for limit in limits) else filters
        self.chain = compile_chain(named, lambda x: Response(200, Fields([(b"a", b"b")]), b"x"))

    def count(self, shadow: bool) -> None:
        self.counted[shadow] += 1

    def ask(
        self, method: str = "GET", *, pattern: str = "/*", client: str = "192.0.2.1", target: str = "/x", **options: Any
    ) -> Response:
        route = Route("e.com", pattern, self.chain)
        answer = self.chain(make_exchange(method, target, route=route, client=(client, 1), **options))
        assert isinstance(answer, Response)
        return answer

    def status(self, method: str = "GET", **options: Any) -> int:
        return self.ask(method, **options).status
