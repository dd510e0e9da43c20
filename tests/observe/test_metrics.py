"""What is counted comes out as valid Prometheus text with the right totals. The parser is strict and written from the format's
description (prometheus.io, text-based format 0.0.4)."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from enfilade.http.reasons import REASONS, reason
from enfilade.observe.metrics import (
    BUCKETS,
    FAMILIES,
    MAX_LABEL,
    PROTOCOLS,
    STATUSES,
    ConnectionMeter,
    RouteMeter,
    bound_label,
    register_connections,
    register_route,
    render,
)
from enfilade.process.board import Board
from enfilade.process.status import StatusRows

Series = dict[tuple[str, frozenset[tuple[str, str]]], float]

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')
_SAMPLE = re.compile(rf"({_NAME})(?:\{{(.*)\}})? (\d+(?:\.\d+)?)")
_SUFFIXES = {"counter": [""], "gauge": [""], "histogram": ["_bucket", "_sum", "_count"]}


def parse(text: bytes) -> Series:
    """Every sample; an assertion fails at the first thing that the format does not allow."""
    assert text.endswith(b"\n")
    series: Series = {}
    seen: set[str] = set()
    helped = family = kind = ""
    for line in text.decode().removesuffix("\n").split("\n"):
        if line.startswith("# HELP "):
            helped = line.split(" ", 3)[2]
            assert helped not in seen, "a family stands in one group"
        elif line.startswith("# TYPE "):
            _, _, family, kind = line.split(" ")
            assert family == helped and kind in _SUFFIXES
            seen.add(family)
        else:
            sample = _SAMPLE.fullmatch(line)
            assert sample, line
            assert sample[1] in [family + suffix for suffix in _SUFFIXES[kind]], line
            key = (sample[1], frozenset(parse_labels(sample[2] or "")))
            assert key not in series, f"twice: {line}"
            series[key] = float(sample[3])
    return series


def parse_labels(text: str) -> list[tuple[str, str]]:
    found, at = [], 0
    while at < len(text):
        label = _LABEL.match(text, at)
        assert label, text
        found.append((label[1], re.sub(r"\\(.)", lambda m: "\n" if m[1] == "n" else m[1], label[2])))
        at = label.end()
    assert len({name for name, _ in found}) == len(found)
    return found


def at(series: Series, name: str, **labels: str) -> float:
    return series.get((name, frozenset(labels.items())), 0.0)


@pytest.fixture
def board() -> Board:
    return Board(rows=4096, columns=5)


def test_every_status_counts_in_one_series(board: Board) -> None:
    meter = RouteMeter(board.claim().cells, register_route(board, "s", "/x"))
    for status in range(100, 600):
        meter.count(status, 0, 0.0)
    series = parse(render(board))
    counts = {dict(labels)["status"]: n for (name, labels), n in series.items() if name == "enfilade_requests_total"}
    assert sum(counts.values()) == 500
    assert all(counts[str(status)] == 1 for status in STATUSES)
    for digit in range(1, 6):
        assert counts[f"{digit}xx"] == 100 - sum(status // 100 == digit for status in STATUSES)


def test_the_histogram_is_cumulative_and_its_bounds_are_inclusive(board: Board) -> None:
    meter = RouteMeter(board.claim().cells, register_route(board, "s", "/x"))
    times = [0.0, BUCKETS[0], BUCKETS[0] * 1.01, 0.3, BUCKETS[-1], 1000.0]
    for seconds in times:
        meter.count(200, 10, seconds)
    series = parse(render(board))
    name = "enfilade_request_duration_seconds"
    labels = {"site": "s", "route": "/x"}
    for bound in BUCKETS:
        assert at(series, name + "_bucket", le=str(bound), **labels) == sum(seconds <= bound for seconds in times)
    assert at(series, name + "_bucket", le="+Inf", **labels) == at(series, name + "_count", **labels) == len(times)
    assert at(series, name + "_sum", **labels) == pytest.approx(sum(times), abs=1e-5)
    assert at(series, "enfilade_response_body_bytes_total", **labels) == 60


def test_totals_are_right_over_processes_that_end(board: Board) -> None:
    route, rows = register_route(board, "s", "/x"), register_connections(board)
    for _ in range(3):
        column = board.claim()
        pid = os.fork()
        if pid == 0:
            try:
                meter, connections = RouteMeter(column.cells, route), ConnectionMeter(column.cells, rows)
                for _ in range(100):
                    meter.count(404, 7, 0.001)
                    connections.opened(1)
                    connections.rejected(reason("bad_host"))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        board.release(column)
    series = parse(render(board))
    assert at(series, "enfilade_requests_total", site="s", route="/x", status="404") == 300
    assert at(series, "enfilade_connections_opened_total", protocol="http2") == 300
    assert at(series, "enfilade_connections_open", protocol="http2") == 0, "a dead process holds none open"
    assert at(series, "enfilade_rejects_total", reason="bad_host", source="client") == 300


def test_connections_open_and_close_by_protocol(board: Board) -> None:
    meter = ConnectionMeter(board.claim().cells, register_connections(board))
    for protocol in range(len(PROTOCOLS)):
        for _ in range(3):
            meter.opened(protocol)
        for _ in range(protocol):
            meter.closed(protocol)
    meter.received(100)
    meter.sent(1000)
    series = parse(render(board))
    assert [at(series, "enfilade_connections_open", protocol=name) for name in PROTOCOLS] == [3, 2, 1]
    assert [at(series, "enfilade_connections_opened_total", protocol=name) for name in PROTOCOLS] == [3, 3, 3]
    assert at(series, "enfilade_received_bytes_total") == 100
    assert at(series, "enfilade_sent_bytes_total") == 1000


def test_every_reason_has_its_row(board: Board) -> None:
    meter = ConnectionMeter(board.claim().cells, register_connections(board))
    for row in REASONS.values():
        for _ in range(row.index + 1):
            meter.rejected(row)
    series = parse(render(board))
    for row in REASONS.values():
        assert at(series, "enfilade_rejects_total", reason=row.name, source=row.source.value) == row.index + 1


def test_the_supervisors_own_figures_are_shown(board: Board) -> None:
    rows = StatusRows(board)
    cells = board.supervisor.cells
    cells[rows.generation], cells[rows.restarts], cells[rows.refused] = 3, 2, 1
    series = parse(render(board))
    assert at(series, "enfilade_generation") == 3
    assert at(series, "enfilade_worker_restarts_total") == 2
    assert at(series, "enfilade_reloads_total", result="refused") == 1


def test_two_routes_are_apart_and_the_same_route_is_one(board: Board) -> None:
    rows = [register_route(board, "s", pattern) for pattern in ("/a", "/b", "/a")]
    cells = board.claim().cells
    for row in rows:
        RouteMeter(cells, row).count(200, 0, 0.0)
    series = parse(render(board))
    found = {
        route: at(series, "enfilade_requests_total", site="s", route=route, status="200") for route in ("/a", "/b")
    }
    assert found == {"/a": 2, "/b": 1}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"]), max_size=2 * MAX_LABEL), min_size=1, max_size=4, unique=True
    )
)
def test_r34_any_label_is_escaped_bounded_and_distinct(names: list[str]) -> None:
    board = Board(rows=512, columns=2)
    cells = board.claim().cells
    for name in names:
        RouteMeter(cells, register_route(board, name, "/")).count(200, 1, 0.0)
    found: dict[str, float] = defaultdict(float)
    for (name, labels), value in parse(render(board)).items():
        if name == "enfilade_requests_total":
            found[dict(labels)["site"]] += value
    assert found == {bound_label(name): 1.0 for name in names}
    assert all(len(name) <= MAX_LABEL for name in found)


def test_an_empty_board_is_still_valid() -> None:
    register_connections(board := Board(rows=256, columns=2))
    assert at(parse(render(board)), "enfilade_connections_open", protocol="http1") == 0


def test_the_operations_page_names_every_metric_and_no_other() -> None:
    page = (Path(__file__).parent.parent.parent / "docs" / "operations.md").read_text()
    assert set(re.findall(r"`(enfilade_\w+)`", page)) == set(FAMILIES)
