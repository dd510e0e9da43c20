"""Which peers can be used: every condition x every event, and what holds whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.http.reasons import REASONS, reason
from enfilade.upstream.breaker import Tolerance
from enfilade.upstream.health import ROWS, Condition, Health, Policy
from enfilade.upstream.peer import Peer
from enfilade.upstream.probe import Check
from enfilade.upstream.shared import SharedTimes

NOW = 1000.0
CHECK = Check(rise=2, fall=3)
RESET = reason("upstream_reset")
GONE = reason("client_gone")
UP, STARTING, TRIAL, ELSEWHERE, EJECTED, FAILING = Condition


def policy(ejected: float = 0.5, slow_start: float = 10.0, tolerance: Tolerance | None = None) -> Policy:
    return Policy(tolerance or Tolerance(failures=5, base=30.0, longest=100.0), ejected, slow_start)


class Group:
    """A group of peers that have been used for long, under a clock that is moved by hand."""

    def __init__(self, size: int, rules: Policy | None = None, shared: SharedTimes | None = None) -> None:
        self.health = Health(rules or policy(), CHECK, shared)
        self.now = NOW
        self.peers = [Peer(chr(ord("a") + n)) for n in range(size)]
        for n, peer in enumerate(self.peers):
            self.health.joined(peer, self.now - 3600, ROWS * n)
        self.health.tick(self.now)

    def answer(self, peer: Peer, status: int = 200, times: int = 1) -> None:
        for _ in range(times):
            peer.took()
            peer.let_go()
            self.health.succeeded(peer, status, 0.01, self.now)

    def fail(self, peer: Peer, why: str = "upstream_reset", times: int = 1) -> None:
        for _ in range(times):
            peer.took()
            peer.let_go()
            self.health.failed(peer, reason(why), self.now)

    def check(self, peer: Peer, ok: bool, times: int = 1) -> None:
        for _ in range(times):
            self.health.probed(peer, ok, self.now)

    def pass_time(self, seconds: float) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 1.0, end)
            self.health.tick(self.now)

    def conditions(self) -> list[Condition]:
        return [self.health.condition(peer) for peer in self.peers]

    @property
    def up(self) -> str:
        return "".join(peer.name for peer in self.peers if peer.up)


# -- every condition x every event


def fresh(g: Group, peer: Peer) -> None:
    pass


def starting(g: Group, peer: Peer) -> None:
    g.health.left(peer, g.now)
    g.health.joined(peer, g.now)


def worn(g: Group, peer: Peer) -> None:
    g.fail(peer, times=4)


def ejected(g: Group, peer: Peer) -> None:
    g.fail(peer, times=5)


def on_offer(g: Group, peer: Peer) -> None:
    ejected(g, peer)
    g.pass_time(30)


def trying(g: Group, peer: Peer) -> None:
    on_offer(g, peer)
    peer.took()


def failing(g: Group, peer: Peer) -> None:
    g.check(peer, False, 3)


EVENTS: dict[str, Callable[[Group, Peer], None]] = {
    "200": lambda g, p: g.health.succeeded(p, 200, 0.01, g.now),
    "500": lambda g, p: g.health.succeeded(p, 500, 0.01, g.now),
    "503": lambda g, p: g.health.succeeded(p, 503, 0.01, g.now),
    "reset": lambda g, p: g.health.failed(p, RESET, g.now),
    "client gone": lambda g, p: g.health.failed(p, GONE, g.now),
    "tick": lambda g, p: g.health.tick(g.now),
    "10 s": lambda g, p: g.pass_time(10),
    "30 s": lambda g, p: g.pass_time(30),
    "2 good checks": lambda g, p: g.check(p, True, 2),
    "2 bad checks": lambda g, p: g.check(p, False, 2),
    "3 bad checks": lambda g, p: g.check(p, False, 3),
}

SAME = dict.fromkeys(EVENTS)
# state before -> (condition then, whether it can be used; what differs after which event)
TABLE: dict[Callable[[Group, Peer], None], tuple[Condition, bool, dict[str, tuple[Condition, bool] | None]]] = {
    fresh: (UP, True, SAME | {"3 bad checks": (FAILING, False)}),
    starting: (STARTING, True, SAME | {"10 s": (UP, True), "30 s": (UP, True), "3 bad checks": (FAILING, False)}),
    worn: (
        UP,
        True,
        SAME | {"503": (EJECTED, False), "reset": (EJECTED, False), "3 bad checks": (FAILING, False)},
    ),
    ejected: (EJECTED, False, SAME | {"30 s": (TRIAL, True), "3 bad checks": (FAILING, False)}),
    # Not taken yet: results that come now are of exchanges that began before the ejection.
    on_offer: (TRIAL, True, SAME | {"3 bad checks": (FAILING, False)}),
    trying: (
        TRIAL,
        False,
        SAME
        | {
            "200": (STARTING, True),
            "500": (STARTING, True),
            "503": (EJECTED, False),
            "reset": (EJECTED, False),
            "client gone": (TRIAL, True),
            "3 bad checks": (FAILING, False),
        },
    ),
    failing: (FAILING, False, SAME | {"2 good checks": (STARTING, True)}),
}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("before", TABLE, ids=lambda f: f.__name__)
def test_every_condition_and_every_event(before: Callable[[Group, Peer], None], event: str) -> None:
    g = Group(4)
    peer = g.peers[0]
    before(g, peer)
    condition, up, after = TABLE[before]
    assert (g.health.condition(peer), peer.up) == (condition, up)
    EVENTS[event](g, peer)
    assert (g.health.condition(peer), peer.up) == (after[event] or (condition, up))
    assert [p.up for p in g.peers[1:]] == [True] * 3


# -- what counts


@pytest.mark.parametrize("name", REASONS)
def test_what_peers_do_counts_and_what_others_do_does_not(name: str) -> None:
    g = Group(2)
    g.fail(g.peers[0], name, times=5)
    assert g.peers[0].up is (
        name
        not in {
            "bad_response", "unasked_response", "upstream_gone", "application_gone", "upstream_reset",
            "connect_failed", "upstream_tls", "connect_timeout", "answer_timeout", "silence_timeout", "upload_timeout",
        }
    )  # fmt: skip


@pytest.mark.parametrize("status", [0, 101, 200, 304, 404, 429, 500, 501, 502, 503, 504, 505])
def test_only_the_answers_of_gateways_are_failures(status: int) -> None:
    g = Group(2)
    g.answer(g.peers[0], status, times=5)
    assert g.peers[0].up is (status not in (502, 503, 504))


def test_a_success_between_failures_keeps_a_peer() -> None:
    g = Group(2)
    for _ in range(20):
        g.fail(g.peers[0], times=4)
        g.answer(g.peers[0])
    assert g.up == "ab"


def test_a_low_rate_of_successes_ejects_without_failures_in_a_row() -> None:
    g = Group(2, policy(tolerance=Tolerance(failures=5, failure_rate=0.5, volume=20)))
    for _ in range(5):
        for _ in range(10):
            g.fail(g.peers[0])
            g.answer(g.peers[0])
        g.answer(g.peers[1], times=20)
        g.pass_time(1)
    assert g.up == "b"


def test_what_exchanges_of_peers_that_left_still_say_is_not_heard() -> None:
    g = Group(2)
    a, b = g.peers
    g.health.left(a, g.now)
    g.health.left(a, g.now)
    g.fail(a, times=5)
    g.answer(a)
    g.check(a, False, 3)
    assert (a.up, a.latency, b.up) == (True, 0.0, True)
    with pytest.raises(KeyError):
        g.health.condition(a)


# -- ejection and coming back


def test_each_ejection_lasts_longer_up_to_a_longest() -> None:
    g, lasted = Group(2), []
    peer = g.peers[0]
    g.fail(peer, times=5)
    for _ in range(5):
        since = g.now
        while not peer.up:
            g.pass_time(1)
        lasted.append(g.now - since)
        g.fail(peer)
    assert lasted == [30, 60, 90, 100, 100]


def test_a_peer_that_stays_well_is_ejected_for_as_short_as_at_first() -> None:
    g = Group(2)
    peer = g.peers[0]
    for _ in range(2):
        g.fail(peer, times=5)
        since = g.now
        while not peer.up:
            g.pass_time(1)
        assert g.now - since == 30
        g.answer(peer)
        g.pass_time(60)
    assert g.conditions() == [UP, UP]


def test_a_trial_is_one_exchange_at_a_time_until_one_succeeds() -> None:
    g = Group(2)
    peer = g.peers[0]
    on_offer(g, peer)
    for _ in range(3):  # clients that go away prove nothing
        assert peer.up
        peer.took()
        g.pass_time(5)
        assert not peer.up
        peer.let_go()
        g.health.failed(peer, GONE, g.now)
    peer.took()
    peer.let_go()
    g.health.succeeded(peer, 200, 0.01, g.now)
    assert peer.up
    peer.took()
    assert peer.up, "the trial is over"


def test_a_trial_has_its_full_share_so_that_it_is_taken_soon() -> None:
    g = Group(2)
    peer = g.peers[0]
    starting(g, peer)
    assert peer.share < 1.0
    on_offer(g, peer)
    assert peer.share == 1.0


def test_a_trial_that_ended_without_a_word_is_made_up_for() -> None:
    g = Group(2)
    peer = g.peers[0]
    trying(g, peer)
    peer.let_go()
    g.pass_time(1)
    assert peer.up
    assert g.health.condition(peer) is TRIAL


def test_exchanges_from_before_the_ejection_do_not_decide_a_trial() -> None:
    g = Group(2)
    peer = g.peers[0]
    on_offer(g, peer)
    g.health.failed(peer, RESET, g.now)
    g.health.succeeded(peer, 200, 40.0, g.now)
    assert g.health.condition(peer) is TRIAL
    assert peer.up


def test_a_peer_that_comes_back_gets_its_share_bit_by_bit() -> None:
    g = Group(2)
    peer = g.peers[0]
    on_offer(g, peer)
    g.answer(peer)
    shares = [peer.share]
    for _ in range(11):
        g.pass_time(1)
        shares.append(peer.share)
    assert shares == pytest.approx([0.1, 0.19, 0.28, 0.37, 0.46, 0.55, 0.64, 0.73, 0.82, 0.91, 1.0, 1.0])
    assert g.peers[1].share == 1.0


def test_without_a_slow_start_all_of_its_share_comes_at_once() -> None:
    g = Group(2, policy(slow_start=0.0))
    on_offer(g, g.peers[0])
    g.answer(g.peers[0])
    assert g.peers[0].share == 1.0


def test_peers_that_come_together_share_alike_and_a_later_one_gets_less() -> None:
    health = Health(policy())
    first, second, late = Peer("first"), Peer("second"), Peer("late")
    health.joined(first, NOW)
    health.joined(second, NOW)
    health.tick(NOW + 5)
    health.joined(late, NOW + 5)
    assert first.share == second.share == pytest.approx(0.55)
    assert late.share == pytest.approx(0.1)


# -- checks


def test_checks_take_out_after_fall_and_bring_back_after_rise_in_a_row() -> None:
    g = Group(2)
    peer = g.peers[0]
    seen = []
    for ok in (False, False, True, False, False, False, True, False, True, True):
        g.check(peer, ok)
        seen.append(peer.up)
    assert seen == [True] * 5 + [False] * 4 + [True]
    assert peer.share == pytest.approx(0.1)


def test_checks_may_take_out_every_peer() -> None:
    g = Group(2)
    for peer in g.peers:
        g.check(peer, False, 3)
    assert g.up == ""


def test_a_good_check_does_not_end_an_ejection() -> None:
    g = Group(2)
    ejected(g, g.peers[0])
    g.check(g.peers[0], True, 10)
    assert g.up == "b"


def test_a_trial_waits_for_good_checks() -> None:
    g = Group(2)
    peer = g.peers[0]
    ejected(g, peer)
    g.check(peer, False, 3)
    g.pass_time(60)
    assert not peer.up
    g.check(peer, True, 2)
    g.pass_time(1)
    assert g.health.condition(peer) is TRIAL
    assert peer.up


def test_a_trial_that_bad_checks_broke_off_is_offered_again_after_good_ones() -> None:
    g = Group(2)
    peer = g.peers[0]
    on_offer(g, peer)
    g.check(peer, False, 3)
    assert not peer.up
    g.check(peer, True, 2)
    g.pass_time(1)
    assert peer.up
    assert peer.trial


def test_a_client_that_goes_away_does_not_end_bad_checks() -> None:
    g = Group(2)
    peer = g.peers[0]
    trying(g, peer)
    g.check(peer, False, 3)
    g.health.failed(peer, GONE, g.now)
    assert not peer.up


# -- never all


@pytest.mark.parametrize(
    ("size", "share", "left"),
    [
        (1, 0.5, 1),
        (1, 1.0, 1),
        (2, 0.0, 1),
        (2, 0.5, 1),
        (2, 1.0, 1),
        (3, 0.5, 2),
        (4, 0.5, 2),
        (10, 0.3, 7),
        (10, 1.0, 1),
    ],
)
def test_never_more_than_the_share_is_ejected(size: int, share: float, left: int) -> None:
    g = Group(size, policy(ejected=share))
    for peer in g.peers:
        g.fail(peer, times=20)
    assert len(g.up) == left


def test_a_peer_that_could_not_be_ejected_is_when_there_is_room() -> None:
    g = Group(2)
    a, b = g.peers
    g.fail(a, times=5)
    g.fail(b, times=50)
    assert g.up == "b"
    g.pass_time(30)
    g.answer(a)
    g.fail(b)
    assert g.up == "a"


def test_who_would_come_back_first_does_when_others_leave() -> None:
    g = Group(4)
    a, b, c, d = g.peers
    g.fail(a, times=5)
    g.pass_time(1)
    g.fail(b, times=5)
    g.health.left(c, g.now)
    assert (a.up, b.up, d.up) == (True, False, True)
    g.health.left(d, g.now)
    assert (a.up, b.up) == (True, False)
    g.health.left(a, g.now)
    assert b.up


def test_who_is_ejected_comes_back_when_the_last_other_fails_its_checks() -> None:
    g = Group(2)
    a, b = g.peers
    g.fail(a, times=5)
    g.check(b, False, 3)
    assert g.up == "a"


def test_who_fails_its_checks_stays_ejected() -> None:
    g = Group(3)
    a, b, c = g.peers
    g.fail(a, times=5)
    for peer in (a, b, c):
        g.check(peer, False, 3)
    for peer in (c, b, a):
        g.check(peer, True, 2)
    assert g.conditions() == [EJECTED, STARTING, STARTING]


def test_a_peer_that_fails_its_checks_leaves_less_room_for_ejections() -> None:
    g = Group(4)
    a, b, c, d = g.peers
    g.check(a, False, 3)
    g.check(b, False, 3)
    g.fail(c, times=20)
    g.fail(d, times=20)
    assert g.up == "cd"


ACTIONS = ["answer", "503", "reset", "gone", "take", "let go", "good", "bad", "tick", "wait", "join", "leave"]


@given(
    st.integers(1, 6),
    st.sampled_from([0.0, 0.3, 0.5, 1.0]),
    st.lists(st.tuples(st.sampled_from(ACTIONS), st.integers(0, 7), st.integers(1, 6)), max_size=120),
    st.booleans(),
)
def test_whatever_happens_ejections_leave_enough_peers(
    size: int, share: float, actions: list[tuple[str, int, int]], checked: bool
) -> None:
    g = Group(size, policy(ejected=share, tolerance=Tolerance(failures=3, failure_rate=0.5, base=5.0, longest=12.0)))
    for action, which, times in actions:
        if not g.peers:
            break
        peer = g.peers[which % len(g.peers)]
        act(g, action, peer, times, checked)
        holds(g, share)


def act(g: Group, action: str, peer: Peer, times: int, checked: bool) -> None:
    if action in ("answer", "503"):
        g.answer(peer, 503 if action == "503" else 200, times)
    elif action in ("reset", "gone"):
        g.fail(peer, "upstream_reset" if action == "reset" else "client_gone", times)
    elif action == "take" and peer.up:
        peer.took()
    elif action == "let go" and peer.in_flight:
        peer.let_go()
        g.health.failed(peer, RESET, g.now)
    elif action in ("good", "bad") and checked:
        g.check(peer, action == "good", times)
    elif action == "tick":
        g.health.tick(g.now)
    elif action == "wait":
        g.pass_time(times * 2)
    elif action == "join":
        g.peers.append(Peer("z"))
        g.health.joined(g.peers[-1], g.now)
    elif action == "leave":
        g.peers.remove(peer)
        g.health.left(peer, g.now)


def holds(g: Group, share: float) -> None:
    conditions = g.conditions()
    usable = sum(condition in (UP, STARTING) for condition in conditions)
    by_checks = conditions.count(FAILING)
    out = len(conditions) - usable
    most = min(len(conditions) - 1, max(1, int(share * len(conditions))))
    assert out <= most or out == by_checks, conditions
    assert usable or by_checks == len(conditions)
    for peer, condition in zip(g.peers, conditions, strict=True):
        assert 0.0 < peer.share <= 1.0
        assert peer.trial <= (condition is TRIAL), "only who is on trial is limited to one"
        assert peer.up or condition not in (UP, STARTING)
        assert not peer.up or condition in (UP, STARTING, TRIAL)


# -- latency


def heard(durations: Iterable[tuple[float, float]]) -> float:
    """The latency after answers that took so long, so many seconds after another."""
    g = Group(1)
    for pause, seconds in durations:
        g.now += pause
        g.health.succeeded(g.peers[0], 200, seconds, g.now)
    return g.peers[0].latency


def test_latency_believes_a_peak_at_once_and_forgets_it_slowly() -> None:
    assert heard([(0, 0.01)]) == 0.01
    assert heard([(0, 0.01), (0.001, 1.0)]) == 1.0
    assert heard([(0, 1.0), (0.001, 0.01)]) == pytest.approx(1.0, rel=0.001)
    assert heard([(0, 1.01), (10.0, 0.01)]) == pytest.approx(0.01 + 1 / 2.71828, rel=0.001)
    assert heard([(0, 1.0), (100.0, 0.01)]) == pytest.approx(0.01, rel=0.01)


def test_latency_depends_on_time_and_not_on_the_number_of_answers() -> None:
    assert heard([(0, 1.0)] + [(0.01, 0.01)] * 1000) == pytest.approx(heard([(0, 1.0), (10.0, 0.01)]))


def test_the_quick_errors_of_a_broken_peer_do_not_make_it_look_fast() -> None:
    g = Group(2)
    g.answer(g.peers[0])
    g.health.succeeded(g.peers[0], 502, 0.0001, g.now + 100)
    assert g.peers[0].latency == 0.01


def test_a_slow_peer_that_nobody_asks_any_more_is_forgiven() -> None:
    g = Group(2)
    idle, busy = g.peers
    for peer in g.peers:
        g.health.succeeded(peer, 200, 10.0, g.now)
    busy.took()
    g.pass_time(30)
    assert idle.latency == pytest.approx(10.0 / 2.71828**3, rel=0.01)
    assert busy.latency == 10.0, "what it is busy with may take even longer"


# -- several workers


class Workers:
    """The same peers, seen by several workers over one piece of memory."""

    def __init__(self, number: int, size: int, rules: Policy | None = None) -> None:
        rows = ROWS * size
        self.columns = [memoryview(bytearray(rows * 8)).cast("q") for _ in range(number)]
        self.workers = [
            Group(size, rules, SharedTimes(mine, [c for c in self.columns if c is not mine])) for mine in self.columns
        ]

    def pass_time(self, seconds: int) -> None:
        for _ in range(seconds):
            for worker in self.workers:
                worker.pass_time(1)

    @property
    def up(self) -> list[str]:
        return [worker.up for worker in self.workers]


def test_an_ejection_by_one_worker_is_known_to_all_after_a_tick_of_each() -> None:
    w = Workers(3, 4)
    one = w.workers[0]
    one.fail(one.peers[0], times=5)
    assert w.up == ["bcd", "abcd", "abcd"]
    w.pass_time(1)
    assert w.up == ["bcd", "bcd", "bcd"]
    assert w.workers[1].conditions()[0] is ELSEWHERE


def test_only_the_worker_that_ejected_tries_and_all_take_the_peer_back() -> None:
    w = Workers(2, 4)
    one, two = w.workers
    one.fail(one.peers[0], times=5)
    w.pass_time(30)
    assert w.up == ["abcd", "bcd"]
    one.answer(one.peers[0])
    w.pass_time(1)
    assert w.up == ["abcd", "abcd"]
    assert two.conditions()[0] is STARTING


def test_a_failed_trial_keeps_the_peer_out_for_all() -> None:
    w = Workers(2, 4)
    one = w.workers[0]
    one.fail(one.peers[0], times=5)
    w.pass_time(30)
    one.fail(one.peers[0])
    w.pass_time(55)
    assert w.up == ["bcd", "bcd"]


def test_a_worker_without_requests_to_try_it_with_does_not_keep_a_peer_from_others() -> None:
    w = Workers(2, 4)
    one, two = w.workers
    one.fail(one.peers[0], times=5)
    w.pass_time(36)
    assert two.conditions()[0] is STARTING


def test_two_workers_that_ejected_the_same_peer_do_not_wait_for_each_other() -> None:
    w = Workers(2, 4)
    for worker in w.workers:
        worker.fail(worker.peers[0], times=5)
    w.pass_time(30)
    assert w.up == ["abcd", "abcd"]
    for worker in w.workers:
        worker.answer(worker.peers[0])
    w.pass_time(2)
    assert w.up == ["abcd", "abcd"]
    assert [worker.conditions()[0] for worker in w.workers] == [STARTING, STARTING]


def test_different_ejections_at_the_same_time_do_not_add_up_to_all() -> None:
    w = Workers(2, 4)
    one, two = w.workers
    for n in (0, 1):
        one.fail(one.peers[n], times=5)
        two.fail(two.peers[n + 2], times=5)
    w.pass_time(15)
    assert w.up == ["cd", "ab"]
    assert [worker.peers[n].share for worker, n in ((one, 2), (one, 3), (two, 0), (two, 1))] == [1.0] * 4


def test_who_another_worker_ejected_comes_back_when_others_leave() -> None:
    w = Workers(2, 4)
    one, two = w.workers
    for n in (0, 1):
        one.fail(one.peers[n], times=5)
    w.pass_time(1)
    assert two.up == "cd"
    for peer in two.peers[2:]:
        two.health.left(peer, two.now)
    assert len(two.up.strip("cd")) == 1


def test_who_is_ejected_comes_back_when_another_worker_finds_the_rest_failing() -> None:
    w = Workers(2, 2)
    one, two = w.workers
    two.fail(two.peers[0], times=5)
    one.check(one.peers[1], False, 3)
    w.pass_time(2)
    assert w.up == ["a", "a"]


def test_what_the_checking_worker_finds_holds_for_all_even_for_all_peers() -> None:
    w = Workers(2, 2)
    one, two = w.workers
    for peer in one.peers:
        one.check(peer, False, 3)
    w.pass_time(20)
    assert w.up == ["", ""]
    assert two.conditions() == [FAILING, FAILING]
    one.check(one.peers[0], True, 2)
    w.pass_time(1)
    assert w.up == ["a", "a"]


def test_what_a_worker_said_ends_with_it() -> None:
    w = Workers(2, 4)
    one, two = w.workers
    one.fail(one.peers[0], times=5)
    one.check(one.peers[1], False, 3)
    w.pass_time(1)
    assert two.up == "cd"
    two.pass_time(5)
    assert two.up == "bcd", "checks are told again each second, or are no longer believed"
    w.columns[0][:] = memoryview(bytes(len(w.columns[0]) * 8)).cast("q")  # the board clears its gauges
    two.pass_time(1)
    assert two.up == "abcd"


def test_the_rows_of_a_peer_that_left_are_clean_for_the_next() -> None:
    w = Workers(2, 4)
    one, two = w.workers
    one.fail(one.peers[0], times=5)
    one.check(one.peers[0], False, 3)
    w.pass_time(1)
    for worker in w.workers:
        worker.health.left(worker.peers[0], worker.now)
        worker.peers[0] = Peer("new")
        worker.health.joined(worker.peers[0], worker.now, 0)
    two.pass_time(1)
    assert two.up == "newbcd"
