"""Workers do not ask the origin for the same at once, and wait for nothing in vain."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
from tests.cache.kit import DictMemory, Stand, answer, status_of
from tests.cache.test_flight import Crowd, bodies, crowd

from enfilade.cache.claims import FLOWING, PATIENCE, PLACES, REMEMBERED, SIZE, Claim, Claims
from enfilade.exchange.bodies import Stream
from enfilade.exchange.response import Response
from enfilade.http.reasons import reason

FREE, TAKEN, ALONE, PASS = Claim


class Workers:
    """Claims of workers over one memory. `time`: their clock. `dead`: the numbers of those who died."""

    def __init__(self, count: int) -> None:
        self.time = 1000.0
        self.dead: set[int] = set()
        cells = memoryview(bytearray(SIZE)).cast("q")
        self.claims = [
            Claims(cells, nullcontext(), i + 1, lambda worker: worker not in self.dead, lambda: self.time)
            for i in range(count)
        ]


def test_one_claims_and_the_others_know() -> None:
    workers = Workers(3)
    one, two, three = workers.claims
    assert (one.take(b"a"), two.take(b"a"), three.look(b"a")) == (FREE, TAKEN, TAKEN)
    assert one.take(b"a") is FREE, "it may again"
    assert two.take(b"b") is FREE
    two.release(b"a")
    assert three.take(b"a") is TAKEN, "nobody releases for another"
    one.release(b"a")
    assert (three.take(b"a"), one.take(b"a")) == (FREE, TAKEN)


def test_to_look_takes_nothing() -> None:
    one, two = Workers(2).claims
    assert one.look(b"a") is FREE
    assert two.take(b"a") is FREE


def test_who_takes_too_long_is_not_waited_for() -> None:
    workers = Workers(2)
    one, two = workers.claims
    one.take(b"a")
    workers.time += PATIENCE - 0.001
    assert two.take(b"a") is TAKEN
    workers.time += 0.002
    assert (two.take(b"a"), one.take(b"a")) == (FREE, TAKEN)
    one.release(b"a")
    assert one.take(b"a") is TAKEN


def test_who_dies_is_not_waited_for() -> None:
    workers = Workers(2)
    one, two = workers.claims
    one.take(b"a")
    workers.dead.add(1)
    assert two.look(b"a") is FREE
    assert two.take(b"a") is FREE


@pytest.mark.parametrize("claim", [ALONE, PASS])
def test_what_was_for_nobody_else_is_remembered_by_all_for_a_while(claim: Claim) -> None:
    workers = Workers(3)
    one, two, three = workers.claims
    one.take(b"a")
    one.mark(b"a", claim, REMEMBERED)
    workers.dead.add(1)
    assert two.look(b"a") is two.take(b"a") is claim
    two.release(b"a")
    workers.time += REMEMBERED - 0.001
    assert three.look(b"a") is claim
    workers.time += 0.002
    assert (three.take(b"a"), one.take(b"a")) == (FREE, TAKEN)


def test_of_two_that_share_a_place_the_last_one_is_known() -> None:
    one, two = Workers(2).claims
    places: dict[int, bytes] = {}
    i = 0
    while (other := places.setdefault(hash(key := b"%d" % i) % PLACES, key)) is key:
        i += 1
    one.take(other)
    one.take(key)
    one.mark(other, PASS, REMEMBERED)
    assert (two.look(other), two.look(key)) == (PASS, FREE), "never one for the other"


def two_workers() -> tuple[Stand, Stand, Workers]:
    """Two caches over the same memory, and one origin each to see who asks."""
    memory = DictMemory()
    workers = Workers(2)
    one, two = (Stand(None, memory=memory, claims=claims) for claims in workers.claims)
    return one, two, workers


def test_another_workers_fetch_is_waited_for() -> None:
    one, two, _ = two_workers()
    crowd(2, one)
    people = crowd(3, two)
    assert len(one.asked) == 1 and not two.asked
    two.look_again()
    assert people.responses == [None] * 3
    one.reply(answer())
    two.look_again()
    assert bodies(people) == [b"body"] * 3 and not two.asked
    assert all(r is not None and b"hit" in status_of(r) for r in people.responses)


def test_if_the_other_worker_dies_one_fetches_for_all() -> None:
    one, two, workers = two_workers()
    crowd(1, one)
    people = crowd(3, two)
    workers.dead.add(1)
    two.look_again()
    assert len(two.asked) == 1
    two.reply(answer())
    assert bodies(people) == [b"body"] * 3


def test_an_answer_that_the_other_worker_could_not_store_releases_all_at_once() -> None:
    one, two, _ = two_workers()
    crowd(1, one)
    people = crowd(3, two)
    one.reply(answer((b"cache-control", b"no-store")))
    two.look_again()
    assert len(two.asked) == 3
    for i in range(3):
        two.reply(Response(200, body=b"%d" % i))
    assert bodies(people) == [b"0", b"1", b"2"]
    assert all(r is not None and status_of(r) == b"enfilade; fwd=bypass; detail=hit_for_miss" for r in people.responses)


def test_what_is_to_be_validated_each_time_is_stored_by_all_and_waited_for_by_nobody() -> None:
    one, two, _ = two_workers()
    crowd(1, one)
    people = crowd(2, two)
    one.reply(answer((b"cache-control", b"no-cache"), (b"etag", b'"a"')))
    two.look_again()
    assert len(two.asked) == 2
    two.reply(Response(304))
    assert bodies(people) == [b"body", None]


def test_an_answer_that_came_meanwhile_is_used() -> None:
    """Between the look at what is stored and the claim."""
    one, two, workers = two_workers()
    one.answers = [answer()]
    take = workers.claims[1].take
    workers.claims[1].take = lambda key: [one.get(), take(key)][1]  # type: ignore[assignment, method-assign, return-value]
    assert b"hit" in status_of(two.get()) and not two.asked


def test_what_is_only_below_memory_is_validated_all_the_same() -> None:
    """Memory has nothing newer because it has nothing of it at all."""
    below = DictMemory()
    stand = Stand(answer((b"etag", b'"a"')), below=[below], largest=1)
    stand.get()
    stand.pass_by(100)
    stand.answers = [Response(304)]
    assert stand.get().body == b"body" and len(stand.asked) == 2


def test_a_body_that_flows_elsewhere_is_not_waited_for_for_long() -> None:
    one, two, workers = two_workers()
    crowd(1, one)
    crowd(1, two)
    one.reply(answer(body=Stream()))
    two.look_again()
    assert not two.asked
    workers.time += FLOWING
    two.look_again()
    assert len(two.asked) == 1


def test_a_body_that_flows_for_a_moment_only_is_waited_for() -> None:
    one, two, _ = two_workers()
    crowd(1, one)
    people = crowd(1, two)
    body = Stream()
    one.reply(answer(body=body))
    body.write(b"all")
    body.end()
    two.look_again()
    assert bodies(people) == [b"all"] and not two.asked


def test_nobody_waits_for_clients_that_are_gone() -> None:
    one, two, _ = two_workers()
    crowd(1, one)
    people = Crowd(two)
    people.ask()
    people.exchanges[0].on_abort(reason("client_gone"))
    two.look_again()
    assert not two.later and not two.front._flights


def test_one_worker_refreshes() -> None:
    one, two, _ = two_workers()
    one.answers = [answer((b"cache-control", b"max-age=1, stale-while-revalidate=60")), None]
    one.get()
    for stand in (one, two):
        stand.pass_by(10)
        assert b"stale" in status_of(stand.get())
    assert len(one.waiting) == 1 and not two.asked
