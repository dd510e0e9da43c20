"""The log of a stream."""

from __future__ import annotations

import json
from typing import Any

from enfilade.http.reasons import reason
from enfilade.stream.log import Record, json_line, text_line


def record(**other: Any) -> Record:
    said: dict[str, Any] = {
        "render": text_line, "began": 10.0, "stream": "db", "client": ("192.0.2.1", 4711), "name": None,
        "peer": "tcp://10.0.0.1:5432", "received": 120, "sent": 4096, "seconds": 1.25, "reason": None,
    }  # fmt: skip
    return Record(**said | other)


def test_a_line_for_people() -> None:
    line = "1970-01-01T00:00:11.500Z db 192.0.2.1:4711 -> tcp://10.0.0.1:5432 in 120 out 4096 1.250 s -\n"
    assert text_line(record(), 1.5).decode() == line


def test_what_is_not_known_is_a_dash_and_what_ended_it_stands_last() -> None:
    line = text_line(record(peer=None, client=("2001:db8::1", 1), name="a.example", reason=reason("no_peer")), 0.0)
    assert line == b"1970-01-01T00:00:10.000Z db [2001:db8::1]:1 (a.example) -> - in 120 out 4096 1.250 s no_peer\n"


def test_nothing_forges_a_line() -> None:
    line = text_line(record(client=("@a\nb", None), stream="d\x1b"), 0.0)
    assert line.count(b"\n") == 1 and b"\x1b" not in line


def test_json() -> None:
    row = json.loads(json_line(record(reason=reason("idle_timeout")), 0.0))
    assert row == {
        "time": "1970-01-01T00:00:10.000Z", "stream": "db", "client_ip": "192.0.2.1", "client_port": 4711,
        "server_name": None, "peer": "tcp://10.0.0.1:5432", "received": 120, "sent": 4096, "duration": 1.25,
        "reason": "idle_timeout",
    }  # fmt: skip
