"""The adaptive limit, against a server that is simulated: so many at once take `base` seconds, more of them longer."""

from __future__ import annotations

from enfilade.limits.gradient import SPAN, Gradient


class Server:
    """Works on `room` requests at once; more of them share it. As many as the limit lets in are always there."""

    def __init__(self, room: int, base: float = 0.05, most: int = 1000) -> None:
        self.room = room
        self.base = base
        self.time = 0.0
        self.gradient = Gradient(most, self.time)

    def serve(self, requests: int, clients: int = 10_000) -> float:
        """The limit behind it."""
        for _ in range(requests):
            at_once = min(int(self.gradient.limit), clients)
            seconds = self.base * max(1.0, at_once / self.room)
            self.time += seconds / at_once
            self.gradient.add(seconds, at_once, self.time)
        return self.gradient.limit


def test_it_finds_what_the_server_can_do() -> None:
    server = Server(100)
    found = server.serve(10_000)
    assert 100 <= found <= 250, "some wait behind us, so that the server always has work"
    assert abs(server.serve(1000) - found) < found / 10, "and stays there"


def test_it_closes_where_the_server_gets_slower_and_opens_again() -> None:
    server = Server(100)
    before = server.serve(10_000)
    server.room = 20
    assert server.serve(5000) < before / 2
    server.room = 100
    assert server.serve(10_000) > before * 0.8


def test_a_server_that_is_slower_for_good_is_not_taken_for_a_full_one_for_long() -> None:
    server = Server(100, base=0.01)
    before = server.serve(10_000)
    server.base = 0.1
    server.serve(100)
    until = server.time + 3 * SPAN
    while server.time < until:
        server.serve(100)
    assert server.gradient.limit > before * 0.8


def test_it_stays_between_one_and_the_most() -> None:
    assert Server(1000, most=50).serve(5000) == 50
    server = Server(100)
    server.serve(1000)
    server.room = 1
    assert server.serve(5000) >= 1


def test_what_nobody_makes_use_of_does_not_grow() -> None:
    server = Server(1000)
    assert server.serve(5000, clients=3) == 20
