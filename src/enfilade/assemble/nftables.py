"""Bans on their way to nftables: what the supervisor has nft told of the book of bans that the workers write."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence

from enfilade.assemble.find_nft import find_nft, try_nft
from enfilade.config.schema import Config
from enfilade.http.addresses import Network, network
from enfilade.limits.bans import Bans, Key, banned_name
from enfilade.limits.nftables import BanTable, Door
from enfilade.process.board import Board
from enfilade.process.sockets import Bound

log = logging.getLogger("enfilade.bans")

STILL_THERE = 60.0
"""Seconds after which the kernel is asked whether the table is still there: who loads rules of their own may flush all others."""
_NOWHERE: Door = ("tcp", "127.0.0.1", 1)


class NftBans:
    """See `process.nft.Handover`. `clock`: seconds since 1970."""

    def __init__(
        self,
        bans: Bans,
        never: Sequence[Network],
        board: Board,
        program: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.program = program
        self._bans = bans
        self._never = never
        self._clock = clock
        self._cells = board.supervisor.cells
        self._number = board.rows("enfilade_bans_in_nftables", gauge=True)
        self._failures = board.rows("enfilade_nftables_failures_total")
        self._table: BanTable | None = None
        self._version = 0
        self._known: dict[Key, int] | None = None
        self._telling: dict[Key, int] = {}
        self._told = 0.0
        self._first_end = 0.0

    def begin(self, bound: Bound) -> None:
        """At the admin listener nobody is refused."""
        doors = [door for spec, those in bound.items() if spec.name != "admin" for door in those]
        self._table = BanTable(doors, self._never) if doors else None

    def script(self) -> str:
        if self._table is None:
            return ""
        now, known = self._clock(), self._known
        version, before = self._bans.version, self._version
        self._version = version
        if known is None:
            bans = self._telling = self._bans.ends()
            return self._table.whole(_named(bans.items()), now)
        if version == before and now < self._first_end:
            bans, text = known, ""
        else:
            bans = self._bans.ends()
            old, new = known.items() - bans.items(), bans.items() - known.items()
            text = self._table.change(_named(old), _named(new), now)
        if not text and now >= self._told + STILL_THERE:
            text = self._table.look
        self._telling = bans
        if not text and bans is not known:
            self._know(bans)
        return text

    def told(self, worked: bool) -> None:
        """Whatever went wrong, the next text is the whole table."""
        began = self._known is None
        self._told = self._clock()
        if not worked:
            self._known = None
            self._cells[self._failures] += 1
            return
        self._know(self._telling)
        if began:
            assert self._table is not None, "there was a text"
            log.info("bans are handed to nftables, table inet %s", self._table.name)

    def end(self) -> str:
        self._cells[self._number] = 0
        return "" if self._table is None else self._table.removal

    def _know(self, bans: dict[Key, int]) -> None:
        self._known = bans
        self._first_end = min(bans.values(), default=math.inf)
        self._cells[self._number] = len(bans)


def _named(bans: Iterable[tuple[Key, int]]) -> dict[str, int]:
    return {banned_name(key): until for key, until in bans}


def prepare_nftables(config: Config, bans: Bans, board: Board) -> NftBans | None:
    """None: it is not asked for. Raises ValueError where this process cannot change the kernel's rules, and BoardFull."""
    if config.bans is None or not config.bans.nftables:
        return None
    program = find_nft()
    return None if config.bans.dry_run else NftBans(bans, list(_never(config)), board, program)


def try_nftables(config: Config) -> None:
    """Raises ValueError where bans cannot be handed over, and OSError."""
    try_nft(BanTable([_NOWHERE], list(_never(config))).whole({}, 0.0))


def _never(config: Config) -> Iterator[Network]:
    """Who is banned by hand all the same is refused by the workers."""
    assert config.bans is not None, "they are asked for"
    server = config.server
    for text in (*config.bans.never, *server.trusted_proxies, *server.proxy_protocol):
        yield network(text)
