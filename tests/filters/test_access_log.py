"""The access log: one line an exchange, nothing in it that a client can forge."""

from __future__ import annotations

import gc
import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.filters.kit import exchange

from enfilade.cache.reasons import CACHE_REASONS, Kind, cache_reason
from enfilade.cache.status import cache_status
from enfilade.exchange.chain import compile_chain, done_hooks
from enfilade.exchange.exchange import Outcome
from enfilade.exchange.response import Response
from enfilade.filters.access_log import FIELDS, FORMATS, MEMORY, AccessLog, Record
from enfilade.filters.request_id import RequestId
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.http.request import Request
from enfilade.observe.log import LogSink

WALL = 1_700_000_000.25  # Tue, 14 Nov 2023 22:13:20.25 UTC
OK = Outcome(200, 12, 0.0012344, None)


class Lines:
    """A sink into a file, read back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sink = LogSink(str(path), wall=lambda: WALL)

    def read(self) -> list[str]:
        self.sink.flush(100.0)
        return self.path.read_text().splitlines()


@pytest.fixture
def lines(tmp_path: Path) -> Lines:
    return Lines(tmp_path / "access.log")


AGENT = ((b"user-agent", b"curl/8"), (b"referer", b"https://e.com/x"))


def test_common(lines: Lines) -> None:
    AccessLog(lines.sink, "common").on_done(exchange(path="/a b%", query=b"q=1"), OK)
    assert lines.read() == ['192.0.2.7 - - [14/Nov/2023:22:13:20 +0000] "GET /a b%?q=1 HTTP/1.1" 200 12']


def test_combined(lines: Lines) -> None:
    log = AccessLog(lines.sink, "combined")
    log.on_done(exchange(*AGENT), OK)
    log.on_done(exchange(), OK)
    assert [line.partition("200 12 ")[2] for line in lines.read()] == ['"https://e.com/x" "curl/8"', '"-" "-"']


def test_json_has_every_field_of_its_list_in_that_order(lines: Lines) -> None:
    x = exchange(*AGENT, query=b"q=1")
    RequestId().on_request(x)
    AccessLog(lines.sink, "json").on_done(x, Outcome(499, 3, 1.5, reason("client_gone")))
    row = json.loads(lines.read()[0])
    assert list(row) == FORMATS["json"]
    assert row == {
        "time": "2023-11-14T22:13:20.250Z",
        "client_ip": "192.0.2.7",
        "method": "GET",
        "host": "e.com",
        "target": "/a?q=1",
        "version": "1.1",
        "tls": "TLSv1.3",
        "status": 499,
        "bytes": 3,
        "duration": 1.5,
        "reason": "client_gone",
        "request_id": x.id,
        "user_agent": "curl/8",
        "referer": "https://e.com/x",
        "site": "e.com",
        "route": "/*",
        "cache": None,
    }


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([b"enfilade; hit; ttl=42"], "hit"),
        ([b"enfilade; hit; ttl=-3; detail=stale_refreshing"], "stale_refreshing"),
        ([b"enfilade; fwd=uri-miss; stored"], "uri_miss"),
        ([b"enfilade; fwd=uri-miss; detail=no_store"], "no_store"),
        ([b"enfilade; fwd=stale; fwd-status=304; ttl=9; detail=revalidated"], "revalidated"),
        ([b"origin; hit", b"enfilade; fwd=method"], "method"),
        ([b"enfilade; hit", b"cdn; hit"], None),
        ([], None),
    ],
)
def test_what_the_cache_did_is_one_word(lines: Lines, values: list[bytes], word: str | None) -> None:
    x = exchange()
    x.response = Response(200, Fields([(b"cache-status", value) for value in values]))
    AccessLog(lines.sink, ["cache"]).on_done(x, Outcome(200, 0, 0.1, None))
    assert json.loads(lines.read()[0]) == {"cache": word}


@pytest.mark.parametrize("name", [name for name, why in CACHE_REASONS.items() if why.kind <= Kind.BYPASS])
def test_each_way_in_which_the_cache_answers_has_its_word(lines: Lines, name: str) -> None:
    why = cache_reason(name)
    x = exchange()
    x.response = Response(200, Fields([(b"cache-status", cache_status(why, ttl=1))]))
    AccessLog(lines.sink, ["cache"]).on_done(x, Outcome(200, 0, 0.1, None))
    assert json.loads(lines.read()[0]) == {"cache": name}


def test_a_text_with_any_field_of_request_and_response(lines: Lines) -> None:
    form = "{request.X-Thing}|{response.content-type}|{response.etag}|{duration}|{{100%}}"
    AccessLog(lines.sink, form).on_done(exchange((b"x-thing", b"7")), OK)
    assert lines.read() == ["7|text/plain|-|0.001234|{100%}"]


def test_what_is_remembered_of_a_request_is_not_told_of_another(lines: Lines) -> None:
    log = AccessLog(lines.sink, "{client_ip} {method} {target} {status}")
    first, second = exchange(query=b"1"), exchange(query=b"2", method="PUT")
    for x, status in [(first, 200), (second, 201), (first, 304)] * 2:
        log.on_done(x, Outcome(status, 0, 0.1, None))
    assert lines.read() == ["192.0.2.7 GET /a?1 200", "192.0.2.7 PUT /a?2 201", "192.0.2.7 GET /a?1 304"] * 2


def test_what_is_remembered_of_requests_is_bounded(lines: Lines) -> None:
    log = AccessLog(lines.sink, "{target}")
    for i in range(2 * MEMORY):
        log.on_done(exchange((b"x-memory", b"1"), query=b"%d" % i), OK)
    assert lines.read() == [f"/a?{i}" for i in range(2 * MEMORY)]
    gc.collect()
    alive = [o for o in gc.get_objects() if type(o) is Request and o.fields.get(b"x-memory")]
    assert 0 < len(alive) <= MEMORY


def test_an_exchange_without_an_answer_is_logged_too(lines: Lines) -> None:
    x = exchange()
    x.response = None
    AccessLog(lines.sink, "{status} {reason} {response.etag}").on_done(x, Outcome(0, 0, 0.1, reason("reset_by_peer")))
    assert lines.read() == ["0 reset_by_peer -"]


@pytest.mark.parametrize(
    "form", ["{nothing}", "{status:>5}", "{status!r}", "plain", "", [], ["status", "nix"], "{request.}", "{} {status}"]
)
def test_a_format_that_cannot_be_is_refused_when_it_is_loaded(lines: Lines, form: str | list[str]) -> None:
    with pytest.raises(ValueError):
        AccessLog(lines.sink, form)


def test_the_time_is_that_of_the_head_whenever_the_line_is_written(lines: Lines) -> None:
    AccessLog(lines.sink, "{time}").on_done(exchange(started=40.0), OK)
    assert lines.read() == ["2023-11-14T22:12:20.250Z"]


def test_the_tuple_of_the_hot_path_is_a_record(lines: Lines) -> None:
    x = exchange()
    kept: list[tuple[object, ...]] = []
    lines.sink.append = kept.append  # type: ignore[method-assign]
    AccessLog(lines.sink, "common").on_done(x, OK)
    record = Record._make(kept[0])
    assert x.response is not None
    assert (record.request, record.ends, record.route) == (x.request, x.ends, x.match.route)
    assert (record.fields, record.outcome, record.started) == (x.response.fields, OK, x.started)


def test_in_a_chain_only_its_done_hook_is_left(lines: Lines) -> None:
    log = AccessLog(lines.sink)

    def handler(x: object) -> Response:
        return Response(204)

    assert compile_chain([log], handler) is handler
    assert len(done_hooks([log])) == 1


hostile = st.binary(max_size=40) | st.sampled_from(
    [b'"', b'" 200 1\n9.9.9.9 - -', b"\x1b[2J", b"\\", b"\x9b2J", b"\x7f", "\u202e\u2028é".encode(), b"\r\n"]
)


@settings(max_examples=60, deadline=None)
@given(agent=hostile, query=hostile)
def test_nothing_from_a_client_makes_a_second_line_ends_a_quote_or_reaches_a_terminal(
    tmp_path_factory: pytest.TempPathFactory, agent: bytes, query: bytes
) -> None:
    lines = Lines(tmp_path_factory.mktemp("log") / "a")
    x = exchange(
        (b"user-agent", agent), (b"referer", agent), query=query, path=query.decode("utf-8", "surrogateescape")
    )  # type: ignore[arg-type]
    AccessLog(lines.sink, "combined").on_done(x, OK)
    AccessLog(lines.sink, "json").on_done(x, OK)
    AccessLog(lines.sink, list(FIELDS)).on_done(x, OK)
    lines.sink.flush(100.0)
    lines.sink.close()
    raw = lines.path.read_bytes()
    assert raw.count(b"\n") == 3 and raw.decode().replace("\n", "").isprintable()
    text, *rows = raw.decode().splitlines()
    assert text.replace("\\\\", "").replace('\\"', "").count('"') == 6
    assert all(isinstance(json.loads(row), dict) for row in rows)


def test_the_months_do_not_depend_on_the_locale(lines: Lines) -> None:
    log = AccessLog(lines.sink, "{clf_time}")
    for month in range(12):
        log.on_done(exchange(started=100.0 + month * 30.5 * 86400), OK)
    assert [time.strptime(line, "%d/%b/%Y:%H:%M:%S +0000").tm_mon for line in lines.read()] == [11, 12, *range(1, 11)]
