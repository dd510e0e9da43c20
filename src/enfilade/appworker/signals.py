"""Signals that are meant for the supervisor: a terminal or an init system sends them to all processes at once, and the supervisor
says over the channel what follows from them."""

from __future__ import annotations

import os
import signal

_overheard: set[signal.Signals] = set()


def overhear(*numbers: signal.Signals) -> None:
    """Take no notice of `numbers`. Programs that are started from here, and children that are forked, do."""
    if not _overheard:
        os.register_at_fork(after_in_child=_hear_again)
    for number in numbers:
        _overheard.add(number)
        signal.signal(number, _take_no_notice)  # not SIG_IGN, which would be inherited


def _take_no_notice(*_: object) -> None:
    """Nothing."""


def _hear_again() -> None:
    for number in _overheard:
        if signal.getsignal(number) is _take_no_notice:  # the application has not said something else
            signal.signal(number, signal.SIG_DFL)
