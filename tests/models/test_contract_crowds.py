"""The contract of the models: many clients, few descriptors, signals, and strange datagrams; nothing is left over."""

from __future__ import annotations

import resource
import time

import pytest
from tests.models.contract import (
    AT_ONCE,
    CELLS,
    Nursery,
    Serving,
    ask,
    cells,
    crowd,
    others_are_served,
    over,
    reset,
    serving,
    until,
)

from enfilade.models.table import MODELS

OF_EACH = [(model, next(handler for other, handler in CELLS if other == model)) for model in MODELS]
"""Each model with one handler."""
CROWDS = {model: 0 if model in AT_ONCE else 1_000 for model in MODELS}
CROWDS |= dict.fromkeys(("fork", "socketserver_forking"), 200)
CROWDS |= {"select": 900}
MADE_FOR_IT = {"poll", "epoll", "asyncio_protocol", "asyncio_streams", "uvloop_protocol", "uvloop_streams"}
"""Those that hold ten thousand idle clients, where the system lets a process have so many descriptors."""
ROOM = 500
"""Descriptors that are there for other things."""


@pytest.mark.abreast
@cells(CELLS)
def test_nothing_is_left_over_of_clients_who_have_gone(nursery: Nursery, model: str, handler: str) -> None:
    """Neither descriptors nor threads, nor children: 100 that came, of whom some left without a word."""
    with serving(nursery, model, handler, "tcp4", "unix", "tls", threads=2) as server:
        for transport in ("tcp4", "unix", "tls"):
            with server.connect(transport) as client:
                ask(client, b"one")
        over(server, 3)
        before = until_still(server)
        for i in range(100):
            client = server.connect(("tcp4", "unix", "tls")[i % 3 if i < 30 else i % 2])
            with client:
                if i % 5:
                    assert ask(client, b"one") == b"ONE"
                elif i % 2:
                    reset(client)
        counts = over(server, 103)
        assert counts.opened == 103 and not counts.refused
        until(lambda: server.balance() <= before)
        assert server.errors() == ""


def until_still(server: Serving) -> tuple[int, int, int]:
    """What there is of it when nobody is served."""
    last = server.balance()
    for _ in range(100):
        time.sleep(0.01)
        now = server.balance()
        if now == last and "Z" not in server.children().values():
            return now
        last = now
    raise AssertionError("it does not come to rest")


@cells([cell for cell in OF_EACH if CROWDS[cell[0]]])
def test_idle_clients_cost_nothing_but_memory(nursery: Nursery, model: str, handler: str) -> None:
    """Others are served as if they were not there."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - ROOM
    count = min(10_000 if model in MADE_FOR_IT else CROWDS[model], most)
    with serving(nursery, model, handler, "unix", "tcp4", threads=2) as server:
        with crowd(server, count, "unix"):
            until(lambda: server.counts().opened == count)
            others_are_served(server)
            before = server.cpu()
            time.sleep(0.3)
            assert server.cpu() - before < 0.2
        assert over(server, count + 1).ended == {None: count + 1}
