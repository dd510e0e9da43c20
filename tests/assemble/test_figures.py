"""What the admin listener says of upstreams and applications, as status and as metrics."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from pathlib import Path

from tests.observe.test_metrics import Series, parse

from enfilade.assemble.figures import all_metrics, full_status
from enfilade.assemble.stores import Stores, nowhere
from enfilade.assemble.upstream_rows import PeerStatus, UpstreamStatus
from enfilade.cache.stored import Stored, Terms, Whole
from enfilade.cache.stores.disk import Disk
from enfilade.cache.stores.memory import Memory
from enfilade.cache.stores.recent import Recent
from enfilade.cache.stores.tally import Tally
from enfilade.config.checks import LEAST_CACHE
from enfilade.http.fields import Fields
from enfilade.process.app_rows import Restart, SlotRows, register_app
from enfilade.process.board import Board
from enfilade.process.control import State
from enfilade.process.status import StatusRows
from enfilade.testing.stores import an_answer, settled
from enfilade.upstream.health import Condition

STRANGE = 'unix:/run/a "b"\\c\n.sock'


def peer(
    name: str, state: Condition = Condition.UP, in_flight: int = 0, requests: int = 0, failures: int = 0
) -> PeerStatus:
    return PeerStatus(peer=name, state=state.value, in_flight=in_flight, requests=requests, failures=failures)


def upstream(name: str, *peers: PeerStatus) -> UpstreamStatus:
    return UpstreamStatus(upstream=name, queue=4, retries=5, breaker_open=1, peers=[*peers])


def test_upstreams_and_their_peers() -> None:
    names = [condition.value for condition in Condition]
    upstreams = [
        upstream("api", *(peer(c.value, c) for c in Condition), peer(STRANGE, Condition.UP, 1, 20, 3)),
        upstream("other", peer(STRANGE)),
    ]
    series = parse(all_metrics(Board(rows=256, columns=2), (), upstreams))
    assert at(series, "enfilade_upstream_queue_length", upstream="api") == 4
    assert at(series, "enfilade_upstream_retries_total", upstream="api") == 5
    assert at(series, "enfilade_upstream_breaker_open_workers", upstream="api") == 1
    up = {name: at(series, "enfilade_upstream_peer_up", upstream="api", peer=name) for name in names}
    assert up == {
        "up": 1, "starting": 1, "trial": 1, "ejected by another worker": 0, "ejected": 0, "failing": 0,
    }  # fmt: skip
    labels = {"upstream": "api", "peer": STRANGE}
    assert at(series, "enfilade_upstream_peer_requests_in_flight", **labels) == 1
    assert at(series, "enfilade_upstream_peer_requests_total", **labels) == 20
    assert at(series, "enfilade_upstream_peer_failures_total", **labels) == 3
    assert at(series, "enfilade_upstream_peer_requests_total", upstream="other", peer=STRANGE) == 0


def at(series: Series, name: str, **labels: str) -> float:
    """It is there, even if it is 0."""
    return series[name, frozenset(labels.items())]


def board_with_shop() -> Board:
    board = Board(rows=2048, columns=3)
    StatusRows(board)
    rows = register_app(board, "shop")
    for slot, state in enumerate((State.SERVING, State.SERVING, State.STARTING)):
        worker = SlotRows(board.supervisor, rows, slot, 0)
        worker.born(4711 + slot, 1)
        worker.state(state)
        worker.memory(1000)
    worker.replaced(Restart.DIED)
    for edge in (board.claim(), board.claim()):
        edge.cells[rows.queue] = 2
        for slot in range(2):
            edge.cells[rows.requests + slot] += 10
            edge.cells[rows.in_flight + slot] += 1
    return board


def test_applications() -> None:
    series = parse(all_metrics(board_with_shop(), ("shop",), ()))
    states = {
        state: at(series, "enfilade_app_workers", app="shop", state=state)
        for state in ("starting", "serving", "draining")
    }
    assert states == {"starting": 1, "serving": 2, "draining": 0}
    causes = {
        cause.value: at(series, "enfilade_app_worker_restarts_total", app="shop", cause=cause.value)
        for cause in Restart
    }
    assert causes == {"died": 1, "recycled": 0, "reload": 0}
    assert at(series, "enfilade_app_queue_length", app="shop") == 4
    assert at(series, "enfilade_app_requests_total", app="shop") == 40
    assert at(series, "enfilade_app_requests_in_flight", app="shop") == 4
    assert at(series, "enfilade_app_resident_memory_bytes", app="shop") == 3000


def test_an_application_that_has_no_process_is_shown_while_the_configuration_names_it() -> None:
    board = Board(rows=2048, columns=2)
    register_app(board, "shop")
    assert at(parse(all_metrics(board, ("shop",), ())), "enfilade_app_workers", app="shop", state="serving") == 0
    assert b"shop" not in all_metrics(board, (), ())


def test_the_status_has_them_too() -> None:
    api = upstream("api", peer("a"))
    status = full_status(board_with_shop(), (), [api])
    assert status["upstreams"] == [api]
    assert [(app["app"], len(app["workers"])) for app in status["apps"]] == [("shop", 3)]


def test_the_cache() -> None:
    stores = Stores(
        Memory(memoryview(bytearray(LEAST_CACHE)).cast("q"), nullcontext()), nowhere().purges, nowhere().claims
    )
    before = stores.purges.count
    stores.memory.put(Stored(b"k", 200, Fields(), Terms(0.0, 1.0, 1.0, 1.0), (), 0, Whole(b"body")))
    stores.purges.purge(b"tag:x")
    series = parse(all_metrics(Board(rows=256, columns=2), (), [], stores))
    assert at(series, "enfilade_cache_objects", store="memory") == 1
    assert 0 < at(series, "enfilade_cache_bytes", store="memory") < 1024
    assert at(series, "enfilade_cache_evictions_total", store="memory") == 0
    assert at(series, "enfilade_cache_purges_total") == before + 1


def test_the_disk_of_the_cache_and_the_failures_of_its_stores(tmp_path: Path) -> None:
    tallies = {"disk": Tally(), "redis": Tally()}
    disk = Disk(str(tmp_path), 1 << 20, tally=tallies["disk"])

    async def scene() -> None:
        await settled(disk.put(an_answer(b"k")))

    asyncio.run(scene())
    disk.sweep()
    tallies["redis"].failed()
    stores = Stores(Recent(), nowhere().purges, nowhere().claims, disk, tallies=tallies)
    series = parse(all_metrics(Board(rows=256, columns=2), (), [], stores))
    disk.close()
    assert at(series, "enfilade_cache_objects", store="disk") == 1
    assert at(series, "enfilade_cache_bytes", store="disk") == 4096
    assert at(series, "enfilade_cache_budget_bytes", store="disk") == 1 << 20
    assert at(series, "enfilade_cache_evictions_total", store="disk") == 0
    assert [at(series, "enfilade_cache_failures_total", store=store) for store in ("disk", "redis")] == [0, 1]


def test_without_memory_the_cache_has_purges_alone() -> None:
    series = parse(
        all_metrics(Board(rows=256, columns=2), (), [], Stores(Recent(), nowhere().purges, nowhere().claims))
    )
    assert {key[0] for key in series} == {"enfilade_cache_purges_total"}
