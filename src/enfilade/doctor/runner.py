"""Makes the probes: several at a time, the slow ones beside all others, everything before the deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import NamedTuple

from enfilade.doctor import http2
from enfilade.doctor.probe import Finding, Needs, Probe, Usual, Verdict, skipped, unclear
from enfilade.doctor.probes import GROUPS
from enfilade.doctor.requests import HEAD, LAST
from enfilade.doctor.target import QUIET, Target

AT_ONCE = {True: 8, False: 4}
"""Probes at a time, beside the slow ones: for a server that is near, and for others."""
MARK = b"doctor-echo"
Told = Callable[[int, int, str], None]
"""How many probes are done, of how many, and which was the last."""


class Planned(NamedTuple):
    group: str
    probe: Probe


def plan(groups: Sequence[str]) -> list[Planned]:
    """The probes of these groups; of all, if none is named."""
    return [Planned(group, probe) for group in GROUPS if not groups or group in groups for probe in GROUPS[group]]


def usual(target: Target) -> Usual:
    """What the server does with an ordinary request. Raises OSError where there is no answer to it."""
    began = time.monotonic()
    first = target.ask(LAST)
    if not first.answers:
        raise ConnectionError(f"no answer to an ordinary request ({first})")
    seconds = time.monotonic() - began
    echo = target.ask(HEAD + b"X-Doctor: " + MARK + b"\r\nConnection: close\r\n\r\n")
    echoes = bool(echo.answers) and MARK in echo.answers[0].text
    return Usual(first.answers[0], echoes, http2.speaks(target), seconds)


def why_not(probe: Probe, target: Target, seen: Usual) -> Needs:
    """What a probe needs and does not find; NOTHING if it can be made."""
    there = {Needs.NOTHING: True, Needs.TLS: target.tls, Needs.H2: seen.h2, Needs.ECHO: seen.echoes}
    return Needs.NOTHING if there[probe.needs] else probe.needs


def examine(target: Target, groups: Sequence[str] = (), told: Told = lambda done, all, name: None) -> list[Finding]:
    """All probes of these groups, in their order. Raises OSError where nobody answers at all."""
    seen = usual(target)
    target = replace(target, quiet=max(QUIET, 3 * min(1.0, seen.seconds)))
    planned = plan(groups)
    lock, done = threading.Lock(), 0

    def make(probe: Probe) -> Verdict:
        nonlocal done
        verdict = one(probe, target, seen)
        with lock:
            done += 1
            told(done, len(planned), probe.name)
        return verdict

    slow = sum(item.probe.slow for item in planned)
    with ThreadPoolExecutor(AT_ONCE[target.near]) as quick, ThreadPoolExecutor(max(1, slow)) as lasting:
        waiting = [(lasting if item.probe.slow else quick).submit(make, item.probe) for item in planned]
        return list(_findings(planned, waiting))


def _findings(planned: Sequence[Planned], waiting: Sequence[Future[Verdict]]) -> Iterator[Finding]:
    for item, future in zip(planned, waiting, strict=True):
        yield Finding(item.group, item.probe, future.result())


def one(probe: Probe, target: Target, seen: Usual) -> Verdict:
    """One probe. Whatever its connection does, it ends in a verdict."""
    if (needed := why_not(probe, target, seen)) is not Needs.NOTHING:
        return skipped(needed.value)
    if time.monotonic() > target.deadline:
        return skipped("the time was over: --seconds")
    try:
        return probe.judge(probe.look(target), seen)
    except TimeoutError:
        return unclear("no connection in time")
    except OSError as error:
        return unclear(f"no connection: {error.strerror or error}")
