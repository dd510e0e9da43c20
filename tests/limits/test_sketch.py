"""How many there are of each, in memory of a fixed size."""

from __future__ import annotations

from enfilade.limits.sketch import SIZE, Sketch


class Processes:
    """Each with its own cells."""

    def __init__(self, number: int) -> None:
        self.cells = [memoryview(bytearray(SIZE * 8)).cast("q") for _ in range(number)]
        self.sketches = [Sketch(cells, lambda: self.cells) for cells in self.cells]


def test_what_each_process_counts_is_known_to_all() -> None:
    one, other = Processes(2).sketches
    places = one.places(hash("a"))
    one.add(places, 2)
    other.add(other.places(hash("a")), 1)
    assert one.count(places) == other.count(places) == 3
    other.add(places, -1)
    assert one.count(places) == 2
    assert one.count(one.places(hash("b"))) in (0, 2), (
        "two that meet in all their cells are one in 2 to the power of 52"
    )


def test_what_a_dead_process_has_counted_goes_with_its_cells() -> None:
    processes = Processes(2)
    one, other = processes.sketches
    places = one.places(7)
    one.add(places, 5)
    other.add(places, 1)
    processes.cells[0][:] = memoryview(bytes(SIZE * 8)).cast("q")
    assert other.count(places) == 1


def test_never_too_few_and_hardly_ever_too_many() -> None:
    (sketch,) = Processes(1).sketches
    # Numbers that are spread as hashes are (Knuth's multiplicative hash).
    things = [number * 0x9E3779B97F4A7C15 % (1 << 64) - (1 << 63) for number in range(1, 6001)]
    for number, thing in enumerate(things):
        sketch.add(sketch.places(thing), 1 + number % 3)
    counts = [sketch.count(sketch.places(thing)) - (1 + number % 3) for number, thing in enumerate(things)]
    assert min(counts) == 0
    assert sum(count > 2 for count in counts) < len(things) / 50
