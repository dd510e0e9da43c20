"""What all ways to be many clients have in common."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Protocol

from enfilade.client.target import Target
from enfilade.measure.tally import Tally

RETRY = 0.1
"""Seconds before a client that lost its connection, or got none, connects again."""
AGAIN = 0.2
"""Seconds before a datagram without an answer is sent again; twice as many before each further time."""
MEMORY = 64
"""Datagrams of a client that were answered, whose answers it knows when they come again."""
LOOK = 0.05
"""Seconds between looks for clients that are content, and for answers that do not come."""


@dataclass(frozen=True)
class Order:
    """Who asks whom. `patience`: seconds to wait for a connection, or an answer. `first`: the number of the first client."""

    target: Target
    clients: int
    patience: float
    first: int = 0


class Span(NamedTuple):
    """Answers count from `begin` on; at `end` those clients stop that are not content yet. Nanoseconds of perf_counter_ns(): on
    Linux all processes have the same. `each`: the answers, from the beginning on, after which a client is content; 0: it asks as
    long as there is time."""

    begin: int
    end: int
    each: int = 0


NEVER = Span(0, 0)


class Crowd(Protocol):
    """Clients, each of which sends a message, waits for the answer, checks it, and sends the next."""

    def connect(self) -> None:
        """Have each client connect, or fail to."""

    def run(self, span: Span) -> Tally:
        """Let them talk; what they have counted so far, in earlier runs, too. Whoever still waits for an answer then goes on to
        wait in the next run."""

    def close(self) -> None:
        """Let go of all that there is, whatever was called before."""
