"""What clients counted."""

from __future__ import annotations

from collections import Counter

from enfilade.measure.histogram import Histogram


class Tally:
    """Of one client, or of many, since they began."""

    def __init__(self) -> None:
        self.latencies = Histogram()
        """Of the right answers in the time that was measured."""
        self.errors: Counter[str] = Counter()
        """By kind (`failures.kind_of`)."""
        self.sent_again = 0
        """Datagrams whose answers had not come in time."""
        self.late = 0
        """Answers to datagrams that had been answered already."""
        self.served = 0
        """Clients that had at least one answer."""
        self.cpu = 0.0
        """Seconds of processor time of their processes, in the last run alone."""

    def merge(self, other: Tally) -> None:
        self.latencies.merge(other.latencies)
        self.errors.update(dict(other.errors))  # copied in one go: its thread may still count
        self.sent_again += other.sent_again
        self.late += other.late
        self.served += other.served
        self.cpu += other.cpu
