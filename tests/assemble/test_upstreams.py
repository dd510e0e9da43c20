"""What a worker says of its upstreams' peers."""

from __future__ import annotations

import logging

import pytest

from enfilade.assemble.balance import make_upstream
from enfilade.assemble.trial import NoTimer
from enfilade.assemble.upstreams import tell_changes
from enfilade.config.schema import Ejection, Upstream
from enfilade.http.reasons import reason
from enfilade.upstream.peer import Peer


def test_the_log_says_who_is_left_alone_and_who_is_used_again(caplog: pytest.LogCaptureFixture) -> None:
    time = [0.0]
    table = Upstream(eject=Ejection(failures=2, time=5.0), slow_start=0.0)
    upstream = make_upstream("shop", table, lambda seconds, what: NoTimer(), lambda: time[0])
    peers = [Peer("http://a:1"), Peer("http://b:1")]
    for peer in peers:
        upstream.join(peer)
    out: set[Peer] = set()
    for _ in range(2):
        peers[0].took()
        upstream.health.failed(peers[0], reason("upstream_reset"), 0.0)
        peers[0].let_go()
    with caplog.at_level(logging.INFO, "enfilade.upstream"):
        tell_changes(upstream, out)
        tell_changes(upstream, out)
        time[0] = 6.0
        upstream.tick(6.0)
        tell_changes(upstream, out)
    assert [record.getMessage() for record in caplog.records] == [
        "shop: http://a:1 is left alone (ejected)",
        "shop: http://a:1 is used again",
    ]
