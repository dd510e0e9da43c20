"""Bans as the configuration has them: memory made before the fork, what bans in a worker, and what is asked about bans."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from contextlib import nullcontext
from functools import partial
from typing import Annotated, NamedTuple

import msgspec

from enfilade.assemble.ban_file import read_bans, write_bans
from enfilade.config.schema import Bans as BansTable
from enfilade.config.schema import Config
from enfilade.http.addresses import Networks
from enfilade.http.reasons import REASONS, Reason
from enfilade.limits.bans import BY_HAND, SIZE, Ban, Bans, Terms, parse_banned
from enfilade.limits.offences import BANNED, Offences
from enfilade.limits.shared_bans import SharedBans
from enfilade.limits.table import Windows, table_size
from enfilade.limits.window import Window
from enfilade.net.context import Tracked
from enfilade.net.http import HttpConnection
from enfilade.net.redis.bans import redis_bans
from enfilade.process.board import Board
from enfilade.process.shared import Shared
from enfilade.stream.relay import Relay
from enfilade.stream.udp import Session

log = logging.getLogger("enfilade.bans")
_NANOSECONDS = 1_000_000_000


class PreparedBans(NamedTuple):
    """What was made before the fork. `row`: of the number of bans that there were."""

    table: BansTable
    memory: Shared
    offences: Shared
    row: int

    @property
    def bans(self) -> Bans:
        table = self.table
        terms = Terms(table.duration, table.grow, table.longest)
        return Bans(self.memory.cells, self.memory.locked, terms)


def prepare_bans(table: BansTable, board: Board, workers: int) -> PreparedBans:
    """Raises OSError, BoardFull, and ValueError where the file of bans cannot be read."""
    # What was only tried out bans nobody, when it is in earnest.
    memory = board.shared("bans in dry run" if table.dry_run else "bans", SIZE)
    offences = board.shared("offences", table_size(workers))
    prepared = PreparedBans(table, memory, offences, board.rows("enfilade_bans_total"))
    bans = prepared.bans
    for ban in [] if table.file is None else read_bans(table.file):
        bans.put(ban)
    return prepared


def weights_of(table: BansTable) -> dict[Reason | int | None, int]:
    """What counts, and for how many offences."""
    return {int(what) if what.isdecimal() else REASONS[what]: weight for what, weight in table.on.items()}


def no_offences() -> Offences:
    """For chains that are compiled to be looked at."""
    bans = Bans(memoryview(bytearray(SIZE)).cast("q"), nullcontext(), Terms(0.0, 1.0, 0.0))
    windows = Windows(memoryview(bytearray(table_size(1, 1))).cast("q"), 1, 0)
    return Offences({}, Window(1, 1), windows, bans, Networks(()), lambda ban: None)


class Banning:
    """The bans of one worker, of which `leads` writes the file and asks the Redis. `connections`: those that are open."""

    def __init__(
        self,
        config: Config,
        prepared: PreparedBans,
        workers: int,
        slot: int,
        cells: memoryview[int],
        connections: Collection[Tracked],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        table, server = prepared.table, config.server
        self.bans = prepared.bans
        self._table = table
        self._prepared = prepared
        self._cells = cells
        self._connections = connections
        self._loop = loop
        self._leads = slot == 0
        self._written = 0
        self._failure = ""
        self._writing: asyncio.Future[None] | None = None
        self._following: asyncio.Task[None] | None = None
        self.offences = Offences(
            weights_of(table),
            Window(table.limit, int(table.window * _NANOSECONDS)),
            Windows(prepared.offences.cells, workers, slot),
            self.bans,
            Networks([*table.never, *server.trusted_proxies, *server.proxy_protocol]),
            self._banned,
            table.dry_run,
        )

    @property
    def enforced(self) -> Bans | None:
        """Who is to be refused."""
        return None if self._table.dry_run else self.bans

    def follow(self) -> None:
        """Share them with other servers, if so configured: once in all workers."""
        if self._leads and self._table.redis is not None:
            following = SharedBans(self.bans).follow(partial(redis_bans, self._table.redis))
            self._following = self._loop.create_task(following)

    def look(self, now: float) -> None:
        """Once a second."""
        if self.bans.version:
            self._cut()
        if self._leads and self._table.file is not None and self._writing is None:
            self._write(self._table.file)

    def close(self) -> None:
        """The worker ends."""
        if self._following is not None:
            self._following.cancel()
        if self._leads and self._table.file is not None and self.bans.version != self._written:
            self._try(partial(write_bans, self._table.file, self.bans.listed()))

    def _banned(self, ban: Ban) -> None:
        self._cells[self._prepared.row] += 1
        self._loop.call_soon(self._cut)  # after the answer that was the last straw

    def _cut(self) -> None:
        """End the connections of those who are banned."""
        if self.enforced is None:
            return
        served = [one for one in self._connections if isinstance(one, HttpConnection | Relay | Session)]
        for connection in served:
            if connection.service.guarded and connection.ends.client_ip in self.bans:
                if isinstance(connection, HttpConnection) and not connection.open:
                    connection.close()  # after the answer that may still be on its way
                else:
                    connection.abort(BANNED)

    def _write(self, file: str) -> None:
        version = self.bans.version
        if version == self._written:
            return
        self._written = version
        bans = self.bans.listed()
        self._writing = self._loop.run_in_executor(None, self._try, partial(write_bans, file, bans))
        self._writing.add_done_callback(self._wrote)

    def _wrote(self, _: object) -> None:
        self._writing = None

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
            self._failure = ""
        except OSError as error:
            if str(error) != self._failure:
                log.error("bans are not written: %s", error)
            self._failure = str(error)

    # -- what the admin listener is asked

    async def listed(self, _: dict[str, str]) -> tuple[int, object]:
        return 200, {"dry_run": self._table.dry_run, "bans": [ban._asdict() for ban in self.bans.listed()]}

    async def add(self, body: bytes) -> tuple[int, object]:
        try:
            wish = msgspec.json.decode(body, type=Wish)
            address = parse_banned(wish.address)
        except ValueError as error:
            return 400, {"why": str(error)}
        ban = self.bans.ban(address, BY_HAND, self._table.duration if wish.seconds is None else wish.seconds)
        assert ban is not None, "it is an address"
        self._banned(ban)
        return 200, ban._asdict()

    async def lift(self, body: bytes) -> tuple[int, object]:
        try:
            address = parse_banned(msgspec.json.decode(body, type=Wish).address)
        except ValueError as error:
            return 400, {"why": str(error)}
        if not self.bans.lift(address):
            return 404, {"why": f"{address} is not banned"}
        return 200, {"lifted": address}


FOREVER = 1e9
"""Seconds that a ban by hand lasts at most: thirty years."""


class Wish(msgspec.Struct, forbid_unknown_fields=True):
    """Whom to ban, for how long (None: as long as a first ban lasts), or whose ban to lift."""

    address: str
    seconds: Annotated[float, msgspec.Meta(gt=0, le=FOREVER)] | None = None
