"""The store in memory, in one process: what was put is found, in its budget, and the right answers stay."""

from __future__ import annotations

import itertools
import random
from collections import OrderedDict
from contextlib import nullcontext

import pytest

from enfilade.cache.stored import Stored, Terms, Whole
from enfilade.cache.stores import memory as memory_module
from enfilade.cache.stores.arena import UNIT
from enfilade.cache.stores.memory import Memory
from enfilade.http.fields import Fields

TERMS = Terms(1000.0, 1060.0, 1060.0, 1060.0)
FIELDS = Fields([(b"content-type", b"text/html")])


def cells(size: int) -> memoryview[int]:
    return memoryview(bytearray(size)).cast("q")


def store(size: int = 1 << 20) -> Memory:
    return Memory(cells(size), nullcontext())


def another(memory: Memory) -> Memory:
    """What another worker has."""
    return Memory(memory.arena.cells, nullcontext())


def answer(key: bytes, body: bytes = b"hello", status: int = 200) -> Stored:
    return Stored(key, status, FIELDS, TERMS, (1, 2), 7, Whole(body))


def body_of(memory: Memory, key: bytes) -> bytes | None:
    stored = memory.get(key)
    if stored is None:
        return None
    body = stored.content.read(0, stored.content.size)
    assert isinstance(body, bytes)
    return body


def keys(memory: Memory) -> set[bytes]:
    return {stored.key for stored in memory.entries()}


def test_what_was_put_is_found_as_it_was() -> None:
    memory = store()
    assert memory.get(b"a") is None
    memory.put(answer(b"a", b"0123456789", 203))
    found = memory.get(b"a")
    assert found is not None
    assert (found.key, found.status, found.fields, found.terms, found.names, found.generation) == (
        b"a", 203, FIELDS, TERMS, (1, 2), 7,
    )  # fmt: skip
    assert found.content.size == 10
    assert found.content.read(0, 10) == b"0123456789"
    assert found.content.read(3, 5) == b"34"
    assert memory.get(b"a") is found, "the same object each time"


def test_never_a_byte_beyond_the_body() -> None:
    memory = store()
    memory.put(answer(b"a", b"mine"))
    memory.put(answer(b"b", b"not mine"))
    found = memory.get(b"a")
    assert found is not None and found.content.read(0, 10_000) == b"mine"


def test_other_workers_find_it_and_see_what_changed() -> None:
    memory = store()
    other = another(memory)
    memory.put(answer(b"a", b"one"))
    assert body_of(other, b"a") == b"one"
    other.put(answer(b"a", b"two"))
    assert body_of(memory, b"a") == body_of(other, b"a") == b"two"
    memory.remove(b"a")
    assert memory.get(b"a") is other.get(b"a") is None
    other.put(answer(b"a", b"three"))
    assert body_of(memory, b"a") == b"three"
    assert keys(memory) == keys(other) == keys(another(memory)) == {b"a"}


def test_a_worker_that_starts_late_finds_everything() -> None:
    memory = store()
    for i in range(300):
        memory.put(answer(b"%d" % i, b"%d" % i * 900))
        memory.get(b"%d" % (i // 2))
    late = another(memory)
    assert keys(late) == keys(memory)
    assert len(keys(late)) == memory.figures().answers == late.figures().answers > 100
    assert all(body_of(late, key) == key * 900 for key in keys(memory))


def test_the_budget_is_the_memory_and_what_is_too_large_is_not_kept() -> None:
    memory = store()
    memory.put(answer(b"a", b"old"))
    memory.put(answer(b"a", bytes(memory.largest + 1)))
    assert memory.get(b"a") is None, "nor is what it replaces"
    memory.put(answer(b"a", bytes(memory.largest)))
    assert body_of(memory, b"a") == bytes(memory.largest)
    assert 100_000 < memory.largest < 1 << 17
    assert memory.figures().budget == 1 << 20
    with pytest.raises(ValueError, match="too few"):
        store(4096)


def test_a_removed_one_does_not_come_back_when_the_rings_go_round() -> None:
    memory = store()
    other = another(memory)
    memory.put(answer(b"a"))
    memory.remove(b"a")
    for i in range(3000):
        memory.put(answer(b"%d" % i, bytes(1000)))
        assert memory.get(b"a") is None
    assert other.get(b"a") is None
    assert another(memory).get(b"a") is None


def test_a_body_that_was_written_over_is_gone_not_wrong() -> None:
    memory = store()
    other = another(memory)
    for i in range(2000):
        memory.put(answer(b"%d" % i, bytes(1000)))
    memory.put(answer(b"a", b"a" * 1000))
    found = other.get(b"a")
    assert found is not None and found.content.read(0, 1000) == b"a" * 1000
    for i in range(2000, 3000):
        memory.put(answer(b"%d" % i, bytes(1000)))
    assert found.content.read(0, 1000) is None
    assert other.get(b"a") is None


def test_what_is_hit_is_moved_and_its_body_is_read_from_where_it_is_now() -> None:
    memory = store()
    other = another(memory)
    memory.put(answer(b"hot", b"h" * 5000))
    found = other.get(b"hot")
    assert found is not None
    for i in range(3000):
        memory.put(answer(b"%d" % i, bytes(1000)))
        if i % 10 == 0:
            assert other.get(b"hot") is found
        assert found.content.read(0, 5000) == b"h" * 5000
    assert body_of(memory, b"hot") == b"h" * 5000


def test_a_torn_record_is_a_miss_and_is_not_met_again() -> None:
    memory = store()
    memory.put(answer(b"a", b"some body"))
    where = bytes(memory.arena.bytes).index(b"some body")
    memory.arena.bytes[where] ^= 1
    assert memory.get(b"a") is None
    memory.arena.bytes[where] ^= 1
    assert memory.get(b"a") is None, "it was removed"
    memory.put(answer(b"a", b"some body"))
    assert body_of(memory, b"a") == b"some body"


def test_only_so_many_are_kept_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory_module, "DECODED", 2)
    memory = store()
    for key in (b"a", b"b", b"c"):
        memory.put(answer(key))
    a = memory.get(b"a")
    memory.get(b"b")
    assert memory.get(b"a") is a
    memory.get(b"c")
    assert memory.get(b"a") is not a
    assert body_of(memory, b"a") == b"hello"


@pytest.mark.parametrize("seed", range(5))
def test_it_is_a_dict_that_forgets(seed: int) -> None:
    """Three workers, in any order, answers of all sizes: what is found is what was put last."""
    rng = random.Random(seed)
    first = store(1 << 18)
    workers = [first, another(first), another(first)]
    put: dict[bytes, bytes] = {}
    for turn in range(3000):
        key = b"%d" % rng.randrange(60)
        match rng.randrange(10):
            case 0 | 1 | 2:
                put[key] = b"%d " % turn * rng.choice((0, 1, 20, 300, 3000, 5000))
                rng.choice(workers).put(answer(key, put[key]))
            case 3:
                put.pop(key, None)
                rng.choice(workers).remove(key)
            case _:
                assert body_of(rng.choice(workers), key) in (None, put.get(key))
        if turn % 500 == 0:
            workers[rng.randrange(1, 3)] = another(first)
    assert keys(workers[0]) == keys(workers[1]) == keys(workers[2])
    assert first.figures().answers == len(keys(first)) > 10


class Lru:
    def __init__(self, size: int) -> None:
        self._size = size
        self._keys: OrderedDict[int, None] = OrderedDict()

    def hit(self, key: int) -> bool:
        if key in self._keys:
            self._keys.move_to_end(key)
            return True
        self._keys[key] = None
        if len(self._keys) > self._size:
            self._keys.popitem(last=False)
        return False


def test_more_is_hit_than_with_lru() -> None:
    """10,000 objects of 10 KB, asked for by Zipf's law, memory for a tenth."""
    weights = list(itertools.accumulate(1 / (i + 1) for i in range(10_000)))
    asked = random.Random(1).choices(range(10_000), cum_weights=weights, k=60_000)
    memory, lru, body = store(1000 * 10_240), Lru(1000), bytes(10_240)
    hits = 0
    for i in asked:
        key = b"http://shop.example.com/%d" % i
        if memory.get(key) is not None:
            hits += 1
        else:
            memory.put(answer(key, body))
    assert hits >= sum(map(lru.hit, asked))


def test_nothing_leaves_while_there_is_room() -> None:
    memory = store()
    for i in range(700):
        memory.put(answer(b"%d" % i, bytes(1000)))
    assert memory.figures().answers == 700
    assert memory.figures().evicted == 0


def test_a_scan_does_not_push_out_what_is_hit() -> None:
    memory = store()
    hot = [b"hot %d" % i for i in range(100)]
    for key in hot:
        memory.put(answer(key, bytes(2000)))
    for _ in range(3):
        for key in hot:
            memory.get(key)
    for i in range(2000):
        memory.put(answer(b"scan %d" % i, bytes(2000)))
    assert sum(memory.get(key) is not None for key in hot) > 90


def test_what_is_refreshed_over_and_over_takes_its_room_in_the_main_ring() -> None:
    """And not from what is new."""
    memory = store()
    memory.put(answer(b"hot", bytes(2000)))
    memory.get(b"hot"), memory.get(b"hot")
    for i in range(1000):
        memory.put(answer(b"%d" % i, bytes(1000)))
    new = b"999"
    for i in range(1000):
        memory.put(answer(b"hot", b"%d" % i * 500))
        assert body_of(memory, b"hot") == b"%d" % i * 500
    assert memory.get(new) is not None


def renewed(memory: Memory, key: bytes, number: int, size: int = 1000) -> Stored:
    """Put with the body that it has, and another head."""
    terms = Terms(1000.0 + number, 1060.0, 1060.0, 1060.0)
    memory.put(Stored(key, 200, Fields([(b"date", b"%08d" % number)]), terms, (), 0, Whole(bytes(size))))
    found = memory.get(key)
    assert found is not None and found.terms == terms and found.content.read(0, size) == bytes(size)
    return found


def test_who_is_renewed_takes_no_more_room() -> None:
    memory = store()
    renewed(memory, b"k", 0)
    used = memory.figures().used
    for i in range(1, 300):  # more often than the count of it goes
        renewed(memory, b"k", i)
    assert memory.figures() == (1, used, 1 << 20, 0)


def test_all_workers_see_what_is_renewed_wherever_it_goes() -> None:
    cells = memoryview(bytearray(1 << 20)).cast("q")
    one, two = Memory(cells, nullcontext()), Memory(cells, nullcontext())
    renewed(one, b"k", 0)
    for i in range(1, 40):
        found = two.get(b"k")
        assert found is not None and found.terms.born == 1000.0 + i - 1
        renewed(one, b"k", i)
        for j in range(30):  # so that it goes on to the main ring, and round in it
            one.put(answer(b"%d %d" % (i, j), bytes(2000)))
            one.get(b"k")
    assert one.figures().evicted > 100


def test_another_body_or_a_head_that_has_grown_is_put_anew() -> None:
    memory = store()
    for i, size in enumerate((1000, 1001, 1000)):
        renewed(memory, b"k", i, size)
    used = memory.figures().used
    long = Stored(b"k", 200, Fields([(b"x", b"y" * 500)]), TERMS, (), 0, Whole(bytes(1000)))
    memory.put(long)
    found = memory.get(b"k")
    assert found is not None and found.fields == long.fields
    assert memory.figures().used > used


def test_signposts_are_not_counted() -> None:
    memory = store()
    for i in range(2000):  # so that most go on to the main ring, and many leave
        memory.put(answer(b"%d" % i, bytes(1000)))
        memory.put(Stored(b"sign %d" % i, 0, Fields([(b"vary", b"accept")]), TERMS, (), 0, Whole(b"")))
        assert memory.figures().answers + memory.figures().evicted == i + 1
    assert memory.figures().answers == sum(stored.status != 0 for stored in memory.entries()) > 100


def test_figures_say_what_there_is() -> None:
    memory = store()
    assert memory.figures() == (0, 0, 1 << 20, 0)
    memory.put(answer(b"a", bytes(1000)))
    memory.put(answer(b"b", bytes(1000)))
    memory.remove(b"a")
    answers, used, _, evicted = memory.figures()
    assert (answers, evicted) == (1, 0)
    assert 2000 < used < 2000 + 2 * 2 * UNIT + 2 * 100
    for i in range(3000):
        memory.put(answer(b"%d" % i, bytes(1000)))
        assert memory.figures().used <= 1 << 20
    assert memory.figures().evicted > 2000
