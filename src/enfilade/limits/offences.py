"""What clients do that they should not is counted, and whoever does too much of it is banned."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping

from enfilade.exchange.exchange import Exchange, Filter, Outcome
from enfilade.http.addresses import Networks, subscriber
from enfilade.http.dates import local_time
from enfilade.http.reasons import Reason, reason
from enfilade.limits.bans import Ban, Bans
from enfilade.limits.table import Windows
from enfilade.limits.window import Window

BANNED = reason("banned")
log = logging.getLogger("enfilade.bans")


class Offences(Filter):
    """Looks how exchanges end. `weights`: for how many offences one counts that ended for a reason, or with a status; the reason
    goes first. Who has more of them than the `window` holds, in `table`, is banned, unless they are in `never`. `on_ban` is told.
    `dry_run`: `bans` are those that there would be. `clock`: monotonic, in nanoseconds, the same for all workers."""

    def __init__(
        self,
        weights: Mapping[Reason | int | None, int],
        window: Window,
        table: Windows,
        bans: Bans,
        never: Networks,
        on_ban: Callable[[Ban], None],
        dry_run: bool = False,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._weights = weights
        self._window = window
        self._table = table
        self._bans = bans
        self._never = never
        self._on_ban = on_ban
        self._dry_run = dry_run
        self._clock = clock

    def on_done(self, x: Exchange, outcome: Outcome) -> None:
        weights, why = self._weights, outcome.reason
        weight = weights.get(why) or weights.get(outcome.status)
        if weight and why is not BANNED:
            cause = why.name if why is not None and why in weights else str(outcome.status)
            self._count(x.ends.client_ip, weight, cause)

    def _count(self, client: str, weight: int, cause: str) -> None:
        if not client or client in self._never or client in self._bans:
            return
        table = self._table
        spot = table.spot(hash(("offences", subscriber(client))))
        place, free, _ = table.look(self._window, spot, self._clock())
        if weight <= free:
            for _ in range(weight):
                table.count(place)
            return
        ban = self._bans.ban(client, cause)
        if ban is not None:
            would, until = "would be" if self._dry_run else "is", local_time(ban.until)
            log.warning("%s %s banned until %s: %s, ban %d", ban.address, would, until, cause, ban.strikes)
            self._on_ban(ban)
