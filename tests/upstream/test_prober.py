"""Active checks, made: what counts as a bad one, and what could not be one at all."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from enfilade.assemble.balance import make_upstream
from enfilade.config.schema import Upstream as UpstreamTable
from enfilade.exchange.call import Call
from enfilade.exchange.response import Response
from enfilade.http.fields import NO_FIELDS
from enfilade.http.reasons import Reason, reason
from enfilade.upstream.later import Timer
from enfilade.upstream.peer import Peer
from enfilade.upstream.probe import Check
from enfilade.upstream.prober import HttpProbe, Prober


class Answers:
    """A pool that answers each call at once: with a status, or why there is none."""

    def __init__(self, answer: int | Reason) -> None:
        self.answer = answer

    def carry(self, call: Call) -> None:
        if isinstance(self.answer, Reason):
            call.caller.over(call, self.answer)
        else:
            call.caller.answered(call, Response(self.answer, NO_FIELDS, b""))
            call.caller.over(call, None)


def never(seconds: float, what: Callable[[], None]) -> Timer:
    raise AssertionError("no check waits in a queue")


@pytest.mark.parametrize(
    ("answer", "up"),
    [(200, True), (503, False), (reason("connect_failed"), False), (reason("upstream_gone"), False), (reason("no_socket"), True)],
)  # fmt: skip
def test_only_what_the_peer_does_is_a_bad_check(answer: int | Reason, up: bool) -> None:
    now = 1000.0
    upstream = make_upstream("peers", UpstreamTable(), never, lambda: now)
    peer = Peer("http://peer:80")
    peer.authority = "peer"
    pool: Any = Answers(answer)
    peer.pool = peer.upgrades = pool
    upstream.join(peer)
    prober = Prober(upstream, Check(fall=3), random.random, HttpProbe)
    for _ in range(3):
        prober.tick(now)
        now += 10.0
    assert peer.up is up
