"""Workers do not ask the origin for the same at once."""

from __future__ import annotations

from contextlib import nullcontext

from tests.cache.kit import DictMemory, Stand, answer, status_of
from tests.cache.test_flight import Crowd, bodies, crowd

from enfilade.cache.claims import FLOWING, PATIENCE, SIZE, Claims
from enfilade.exchange.bodies import Stream
from enfilade.http.reasons import reason


class Workers:
    """Claims of workers over one memory. `time`: their clock."""

    def __init__(self, count: int) -> None:
        self.time = 1000.0
        cells = memoryview(bytearray(SIZE)).cast("q")
        self.claims = [Claims(cells, nullcontext(), i + 1, lambda: self.time) for i in range(count)]


def test_one_claims_and_the_others_know() -> None:
    workers = Workers(3)
    one, two, three = workers.claims
    assert one.take(b"a") and not two.take(b"a") and not three.take(b"a")
    assert one.take(b"a"), "it may again"
    assert two.take(b"b")
    two.release(b"a")
    assert not three.take(b"a"), "nobody releases for another"
    one.release(b"a")
    assert three.take(b"a") and not one.take(b"a")


def test_who_dies_or_takes_too_long_is_not_waited_for() -> None:
    workers = Workers(2)
    one, two = workers.claims
    one.take(b"a")
    workers.time += PATIENCE - 0.001
    assert not two.take(b"a")
    workers.time += 0.002
    assert two.take(b"a") and not one.take(b"a")
    one.release(b"a")
    assert not one.take(b"a")


def two_workers() -> tuple[Stand, Stand]:
    """Two caches over the same memory, and one origin each to see who asks."""
    memory = DictMemory()
    workers = Workers(2)
    one, two = (Stand(None, memory=memory, claims=claims) for claims in workers.claims)
    two.clock = workers
    return one, two


def test_another_workers_fetch_is_waited_for() -> None:
    one, two = two_workers()
    crowd(2, one)
    people = crowd(3, two)
    assert len(one.asked) == 1 and not two.asked
    two.look_again()
    assert people.responses == [None] * 3
    one.reply(answer())
    two.look_again()
    assert bodies(people) == [b"body"] * 3 and not two.asked
    assert all(r is not None and b"hit" in status_of(r) for r in people.responses)


def test_an_answer_that_the_other_could_not_store_is_asked_for() -> None:
    one, two = two_workers()
    crowd(1, one)
    people = crowd(2, two)
    one.reply(answer((b"cache-control", b"no-store")))
    two.look_again()
    assert len(two.asked) == 1
    two.reply(answer())
    assert bodies(people) == [b"body"] * 2


def test_a_body_that_flows_elsewhere_is_not_waited_for_for_long() -> None:
    one, two = two_workers()
    crowd(1, one)
    crowd(1, two)
    one.reply(answer(body=Stream()))
    two.look_again()
    assert not two.asked
    two.clock.time += FLOWING
    two.look_again()
    assert len(two.asked) == 1


def test_a_body_that_flows_for_a_moment_only_is_waited_for() -> None:
    one, two = two_workers()
    crowd(1, one)
    people = crowd(1, two)
    body = Stream()
    one.reply(answer(body=body))
    body.write(b"all")
    body.end()
    two.look_again()
    assert bodies(people) == [b"all"] and not two.asked


def test_nobody_waits_for_clients_that_are_gone() -> None:
    one, two = two_workers()
    crowd(1, one)
    people = Crowd(two)
    people.ask()
    people.exchanges[0].on_abort(reason("client_gone"))
    two.look_again()
    assert not two.later and not two.front._flights


def test_one_worker_refreshes() -> None:
    one, two = two_workers()
    one.answers = [answer((b"cache-control", b"max-age=1, stale-while-revalidate=60")), None]
    one.get()
    for stand in (one, two):
        stand.pass_by(10)
        assert b"stale" in status_of(stand.get())
    assert len(one.waiting) == 1 and not two.asked
