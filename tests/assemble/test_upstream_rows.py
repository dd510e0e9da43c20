"""What the board says of an upstream: the counts of all workers together, and never those of another peer."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.wire.outgoing import outgoing

from enfilade.assemble.balance import make_upstream
from enfilade.assemble.trial import NoTimer
from enfilade.assemble.upstream_rows import SLOTS, PeerStatus, UpstreamCells, register_upstream
from enfilade.config.schema import Breaker, Ejection
from enfilade.config.schema import Upstream as UpstreamTable
from enfilade.exchange.bodies import empty_body
from enfilade.exchange.call import Call
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import Reason, reason
from enfilade.process.board import Board, Column
from enfilade.upstream.health import ROWS as HEALTH_ROWS
from enfilade.upstream.peer import Peer
from enfilade.upstream.pool import Pool

RESET = reason("upstream_reset")
TABLE = UpstreamTable(eject=Ejection(failures=2, time=5.0), breaker=Breaker(failures=4, time=5.0), slow_start=0.0)


class Nobody:
    def informed(self, call: Call, status: int, fields: Fields) -> None: ...
    def answered(self, call: Call, response: Response) -> None: ...
    def over(self, call: Call, why: Reason | None) -> None: ...


def no_timer(seconds: float, what: Callable[[], None]) -> NoTimer:
    return NoTimer()


class Edge:
    """One worker with the upstream "api", whose time stands until `tick`."""

    def __init__(self, board: Board, *names: str, column: Column | None = None) -> None:
        self.board = board
        self.column = column or board.claim()
        self.cells = UpstreamCells(register_upstream(board, "api"), self.column.cells, [])
        self.upstream = make_upstream("api", TABLE, no_timer, lambda: 0.0)
        self.peers: dict[str, Peer] = {}
        for name in names:
            self.join(name)

    def join(self, name: str, limit: int = 0) -> Peer:
        peer = self.peers[name] = Peer(name, limit=limit)
        peer.pool = peer.upgrades = Pool(lambda home: None, no_timer)
        self.upstream.join(peer, self.cells.join(peer))
        return peer

    def leave(self, name: str) -> Peer:
        peer = self.peers.pop(name)
        self.upstream.leave(peer)
        self.cells.leave(peer)
        return peer

    def fail(self, name: str) -> None:
        peer = self.peers[name]
        peer.took()
        call = Call(outgoing("GET", "http", "a", b"/"), empty_body(), Nobody())
        call.sent = True
        self.upstream.finished(peer, call, RESET)

    def tick(self, now: float = 0.0) -> None:
        self.upstream.health.tick(now)
        self.cells.note(self.upstream, now)

    def peer(self, name: str) -> PeerStatus:
        (found,) = (peer for peer in self.cells.status(self.board, "api")["peers"] if peer["peer"] == name)
        return found

    def counts(self, name: str) -> tuple[int, int, int]:
        peer = self.peer(name)
        return peer["in_flight"], peer["requests"], peer["failures"]


@pytest.fixture
def board() -> Board:
    return Board(rows=2048, columns=6)


def colliding(name: str) -> str:
    """Another name that wants the same slot."""
    rows = register_upstream(Board(rows=2048), "api")

    def slot(name: str) -> int | None:
        return UpstreamCells(rows, memoryview(bytearray(8 * 2048)).cast("q"), []).join(Peer(name))

    return next(other for other in map(str, range(10_000)) if slot(other) == slot(name))


def test_all_workers_are_added_up_whoever_is_asked(board: Board) -> None:
    edges = [Edge(board, "a", "b"), Edge(board, "b", "a")]
    for edge in edges:
        edge.peers["a"].took()
        edge.fail("b")
        edge.tick()
    for edge in edges:
        assert (edge.counts("a"), edge.counts("b")) == ((2, 2, 0), (0, 2, 2))


def test_peers_are_found_in_whichever_slots_workers_have_them(board: Board) -> None:
    """They know of others, so a slot that is free in one worker is taken in another."""
    other = colliding("a")
    edges = [Edge(board, "a", other), Edge(board, other, "a"), Edge(board, "a")]
    for edge in edges:
        edge.peers["a"].took()
    assert [edge.counts("a")[1] for edge in edges] == [3, 3, 3]
    assert edges[0].counts(other) == (0, 0, 0)


def test_a_slot_begins_anew_with_another_peer(board: Board) -> None:
    edge, other = Edge(board, "a"), colliding("a")
    edge.fail("a")
    edge.peers["a"].took()
    edge.tick()
    gone = edge.leave("a")
    edge.join(other)
    assert edge.counts(other) == (0, 0, 0)
    edge.peers[other].took()
    gone.let_go()  # what it still had
    assert edge.counts(other) == (1, 1, 0)


def test_who_comes_back_goes_on_counting(board: Board) -> None:
    edge = Edge(board, "a")
    edge.fail("a")
    edge.leave("a")
    assert edge.cells.status(board, "api")["peers"] == []
    edge.join("a")
    edge.fail("a")
    edge.tick()
    assert edge.counts("a") == (0, 2, 2)


def test_counters_outlive_their_process_and_what_is_in_flight_does_not(board: Board) -> None:
    edge, dying = Edge(board, "a"), Edge(board, "a")
    dying.fail("a")
    dying.fail("a")
    dying.peers["a"].took()
    dying.tick()
    assert edge.counts("a") == (1, 3, 2) and edge.peer("a")["state"] == "up", "never more than one of one is ejected"
    board.release(dying.column)
    assert edge.counts("a") == (0, 3, 2)
    successor = Edge(board, "a", column=board.claim())
    assert successor.column is dying.column
    successor.peers["a"].took()
    assert edge.counts("a") == (1, 4, 2)


def test_the_state_is_the_worst_that_a_worker_says(board: Board) -> None:
    edges = [Edge(board, "a", "b"), Edge(board, "a", "b")]
    edges[1].fail("a")
    edges[1].fail("a")
    for edge in edges:
        edge.tick()
    assert [edge.peer("a")["state"] for edge in edges] == ["ejected", "ejected"]
    edges[1].leave("a")
    assert edges[0].peer("a")["state"] == "up"


def test_queue_retries_and_breakers_of_all_workers(board: Board) -> None:
    edges = [Edge(board, "a", "b"), Edge(board, "a", "b")]
    for edge in edges:
        edge.upstream.retries += 3
        edge.tick()
        edge.upstream.retries += 1
        edge.tick()
    for name in "abab":
        edges[0].fail(name)
    for edge in edges:
        edge.tick()
    status = edges[1].cells.status(board, "api")
    assert (status["upstream"], status["queue"], status["retries"], status["breaker_open"]) == ("api", 0, 8, 1)
    edges[0].tick(5.0)
    assert edges[1].cells.status(board, "api")["breaker_open"] == 0, "the next request is let through"


def test_the_queue_is_counted(board: Board) -> None:
    class Waits:
        key, wanted = b"", None

        def go(self, peer: Peer) -> None: ...
        def give_up(self, why: object) -> None: ...

    edge = Edge(board)
    edge.join("a", limit=1)
    edge.peers["a"].took()
    edge.upstream.send(Waits())
    edge.tick()
    assert edge.cells.status(board, "api")["queue"] == 1


def test_no_slot_is_shared(board: Board) -> None:
    """What one worker says of a peer must not be taken for news of another."""
    cells = UpstreamCells(register_upstream(board, "api"), board.claim().cells, [])
    rows = [cells.join(Peer(str(number))) for number in range(SLOTS + 2)]
    first = register_upstream(board, "api").health
    assert {row for row in rows if row is not None} == {first + slot * HEALTH_ROWS for slot in range(SLOTS)}
    assert rows[SLOTS:] == [None, None]
    assert len(cells.status(board, "api")["peers"]) == SLOTS


def test_upstreams_have_rows_of_their_own_and_the_same_again_after_a_reload(board: Board) -> None:
    one, other = register_upstream(board, "one"), register_upstream(board, "other")
    assert not set(one) & set(other)
    assert register_upstream(board, "one") == one
