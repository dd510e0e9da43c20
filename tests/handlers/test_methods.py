"""Methods (RFC 9110 section 9) where no application answers."""

from __future__ import annotations

import pytest

from enfilade.handlers.methods import answer_server_method, refuse_method
from enfilade.testing.exchange import make_exchange


@pytest.mark.parametrize(
    ("method", "status"), [("POST", 405), ("CONNECT", 405), ("BREW", 501), ("get", 501), ("OPTIONS", 204)]
)
def test_rfc9110_15_5_6_and_15_6_2(method: str, status: int) -> None:
    r = refuse_method(make_exchange(method), ("GET", "HEAD"))
    assert r.status == status
    assert r.fields.get(b"allow") == (None if status == 501 else b"GET, HEAD, OPTIONS")


def test_options_asterisk() -> None:
    r = answer_server_method(make_exchange("OPTIONS", "*"), trace=False)
    assert r is not None and r.status == 204
    assert r.fields.get(b"allow") == b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
    assert answer_server_method(make_exchange("OPTIONS", "/a"), trace=False) is None
    assert answer_server_method(make_exchange("GET", "/a"), trace=True) is None


def test_trace_is_off() -> None:
    r = answer_server_method(make_exchange("TRACE", "/"), trace=False)
    assert r is not None and r.status == 405 and b"TRACE" not in (r.fields.get(b"allow") or b"")


def test_trace_echoes_without_credentials() -> None:
    fields = [(b"host", b"h"), (b"cookie", b"secret"), (b"authorization", b"secret"), (b"x-a", b"1"), (b"x-a", b"2")]
    r = answer_server_method(make_exchange("TRACE", "/a%20b?c", fields), trace=True)
    assert r is not None and (r.status, r.fields.get(b"content-type")) == (200, b"message/http")
    assert r.body == b"TRACE /a%20b?c HTTP/1.1\r\nhost: h\r\nx-a: 1\r\nx-a: 2\r\n\r\n"
