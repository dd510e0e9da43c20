"""Active checks, made: each peer is asked as `Check` says, over its own connections, and `Health` hears how it went."""

from __future__ import annotations

from collections.abc import Callable

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


class Prober:
    """Checks the peers of `upstream`; `tick` is called about once a second."""

    def __init__(self, upstream: Upstream, check: Check, random: Callable[[], float]) -> None:
        self._upstream = upstream
        self._check = check
        self._random = random
        self._due: dict[Peer, float] = {}
        self._under_way: dict[Peer, _Probe] = {}

    def tick(self, now: float) -> None:
        peers = self._upstream.peers
        for probe in [p for p in self._under_way.values() if now - p.began >= self._check.timeout]:
            probe.cancel()
        self._due = {peer: self._due.get(peer, now) for peer in peers}
        for peer, due in self._due.items():
            if due <= now and peer not in self._under_way:
                self._due[peer] = self._check.next_due(now, self._random())
                probe = self._under_way[peer] = _Probe(peer, self._check, now, self._done)
                probe.begin()

    def _done(self, peer: Peer, ok: bool | None) -> None:
        self._under_way.pop(peer, None)
        if ok is not None:
            self._upstream.health.probed(peer, ok, self._upstream.clock())


class _Probe:
    """One check of one peer: the caller of its call. It is `done` with True, False, or None: it could not be made."""

    def __init__(self, peer: Peer, check: Check, now: float, done: Callable[[Peer, bool | None], None]) -> None:
        self.began = now
        self._peer = peer
        self._check = check
        self._done: Callable[[Peer, bool | None], None] | None = done
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
