"""What the admin listener shows and does."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from enfilade.assemble.figures import all_metrics, full_status
from enfilade.assemble.upstreams import Upstreams
from enfilade.cache.purge_request import purge_as_asked
from enfilade.cache.purges import Purges
from enfilade.handlers.admin import Action, Admin, Question
from enfilade.observe.metrics import CONTENT_TYPE
from enfilade.process.board import Board
from enfilade.process.control import Control, Wish
from enfilade.process.status import read_status, reload_outcome

if TYPE_CHECKING:
    from enfilade.assemble.acme import AcmeWorker
    from enfilade.assemble.banning import Banning
    from enfilade.assemble.stores import Stores

BOARD_LOOK = 0.05
"""Seconds between two looks at the board for the outcome of a reload."""


@dataclass
class Administration:
    """Of one worker, over all of them. None: the configuration has no such thing."""

    board: Board
    control: Control
    apps: Collection[str]
    upstreams: Upstreams
    stores: Stores | None
    purges: Purges | None
    acme: AcmeWorker | None
    banning: Banning | None

    def handler(self, token: str | None) -> Admin:
        """`token`: what clients must have."""
        questions: dict[str, Question] = {"/cache": self._view_cache}
        actions: dict[str, Action] = {"/reload": self._reload, "/stop": self._stop, "/purge": self._purge}
        if self.banning is not None:
            questions["/bans"] = self.banning.listed
            actions |= {"/bans/add": self.banning.add, "/bans/lift": self.banning.lift}
        return Admin({"/metrics": self._metrics, "/status": self._status}, questions, actions, token)

    def _metrics(self) -> tuple[bytes, bytes]:
        upstreams = self.upstreams.status(self.board)
        bans = None if self.banning is None else self.banning.bans
        return CONTENT_TYPE.encode(), all_metrics(self.board, self.apps, upstreams, self.stores, self.acme, bans)

    def _status(self) -> tuple[bytes, bytes]:
        facts = full_status(self.board, self.apps, self.upstreams.status(self.board), self.acme)
        return b"application/json", msgspec.json.encode(facts)

    async def _reload(self, _: bytes) -> tuple[int, object]:
        """Ask for it, and wait how it went."""
        before = read_status(self.board)
        self.control.ask(Wish.RELOAD)
        while True:
            now = read_status(self.board)
            match reload_outcome(before["reload"], now["reload"]):
                case True:
                    return 200, {"reloaded": True, "generation": now["generation"]}
                case False:
                    return 409, {"reloaded": False, "generation": now["generation"], "why": "the log says why"}
            await asyncio.sleep(BOARD_LOOK)

    async def _stop(self, _: bytes) -> tuple[int, object]:
        self.control.ask(Wish.STOP)
        return 202, {"stopping": True}

    async def _view_cache(self, query: dict[str, str]) -> tuple[int, object]:
        from enfilade.assemble.cache_view import view_cache  # noqa: PLC0415

        try:
            return 200, await view_cache(self.stores, self.board, query)
        except ValueError as error:
            return 400, {"why": str(error)}

    async def _purge(self, body: bytes) -> tuple[int, object]:
        if self.purges is None:
            return 409, {"purged": [], "why": "nothing is cached"}
        return purge_as_asked(self.purges, body)
