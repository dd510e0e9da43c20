"""Active checks, made: each peer is asked as `Check` says, and `Health` hears how it went."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from enfilade.exchange.bodies import BodyAborted, Stream, empty_body
from enfilade.exchange.call import Call
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import Reason, Source, reason
from enfilade.upstream.peer import Peer
from enfilade.upstream.probe import READ_AT_MOST, Check
from enfilade.upstream.upstream import Upstream

_TIMEOUT = reason("answer_timeout")
_ENOUGH = reason("client_gone")


class Probe(Protocol):
    """One check of one peer, since `began`."""

    began: float

    def begin(self) -> None: ...
    def cancel(self) -> None: ...


Done = Callable[[Peer, "bool | None"], None]
MakeProbe = Callable[[Peer, Check, float, Done], Probe]
"""`make(peer, check, now, done)`: `done(peer, ok)` is called once, by the time that it is cancelled at the latest. `ok` None: the
check could not be made."""


class Prober:
    """Checks the peers of `upstream` by what `make` makes; `tick` is called about once a second."""

    def __init__(self, upstream: Upstream, check: Check, random: Callable[[], float], make: MakeProbe) -> None:
        self._upstream = upstream
        self._check = check
        self._random = random
        self._make = make
        self._due: dict[Peer, float] = {}
        self._under_way: dict[Peer, Probe] = {}

    def tick(self, now: float) -> None:
        peers = self._upstream.peers
        for probe in [p for p in self._under_way.values() if now - p.began >= self._check.timeout]:
            probe.cancel()
        self._due = {peer: self._due.get(peer, now) for peer in peers}
        for peer, due in self._due.items():
            if due <= now and peer not in self._under_way:
                self._due[peer] = self._check.next_due(now, self._random())
                probe = self._under_way[peer] = self._make(peer, self._check, now, self._done)
                probe.begin()

    def _done(self, peer: Peer, ok: bool | None) -> None:
        self._under_way.pop(peer, None)
        if ok is not None:
            self._upstream.health.probed(peer, ok, self._upstream.clock())


class HttpProbe:
    """Asks over the peer's own connections: the caller of its call."""

    def __init__(self, peer: Peer, check: Check, now: float, done: Done) -> None:
        self.began = now
        self._peer = peer
        self._check = check
        self._done: Done | None = done
        self._status = 0
        self._pieces: list[bytes] = []
        self._call = Call(check.request_for(peer.authority, "https" if peer.tls else "http"), empty_body(), self)

    def begin(self) -> None:
        self._peer.pool.carry(self._call)

    def cancel(self) -> None:
        self._finish(False)
        self._peer.pool.cancel(self._call, _TIMEOUT)

    # -- Caller

    def informed(self, call: Call, status: int, fields: Fields) -> None: ...

    def answered(self, call: Call, response: Response) -> None:
        self._status = response.status
        body = response.body
        if isinstance(body, Stream):
            body.on_data = lambda: self._read(body)
            self._read(body)
        elif isinstance(body, bytes):
            self._pieces.append(body)
            self._judge()

    def over(self, call: Call, why: Reason | None) -> None:
        if why is not None:
            self._finish(None if why.source is Source.SERVER else False)

    # -- the answer

    def _read(self, body: Stream) -> None:
        try:
            while (piece := body.take()) is not None:
                self._pieces.append(piece)
                if not piece or sum(map(len, self._pieces)) >= READ_AT_MOST:
                    body.on_data = None
                    body.cancel(_ENOUGH)
                    self._judge()
                    return
        except BodyAborted:
            self._finish(False)

    def _judge(self) -> None:
        self._finish(self._check.judge(self._status, b"".join(self._pieces)))

    def _finish(self, ok: bool | None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done(self._peer, ok)
