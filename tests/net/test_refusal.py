"""Connections beyond the limit (RFC 9110 section 15.6.4, FAILURES 11)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.net.kit import Meter, Transport

from enfilade.closing import LINGER_BYTES
from enfilade.net.context import ConnectionContext, ConnectionLimits, Connections
from enfilade.net.refusal import AT_ONCE, HTTP_REFUSAL, refuse


@pytest.fixture
def context() -> Iterator[ConnectionContext]:
    loop = asyncio.new_event_loop()
    yield ConnectionContext(
        loop=loop, limits=ConnectionLimits(), meter=Meter(), connections=set(), max_connections=1  # type: ignore[arg-type]
    )  # fmt: skip
    loop.close()


def refused(context: ConnectionContext) -> Transport:
    transport = Transport()
    refuse(transport, context, HTTP_REFUSAL)
    return transport


def test_the_words_are_one_whole_response() -> None:
    head, _, body = HTTP_REFUSAL.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    fields = dict(line.split(b": ") for line in lines)
    assert status.startswith(b"HTTP/1.1 503 ") and int(fields[b"content-length"]) == len(body)
    assert fields[b"connection"] == b"close" and int(fields[b"retry-after"]) > 0


def test_what_the_client_sends_is_dropped_up_to_a_cap(context: ConnectionContext) -> None:
    transport = refused(context)
    assert transport.wrote == HTTP_REFUSAL and transport.half_closed and context.meter.reasons == ["connection_limit"]  # type: ignore[attr-defined]
    transport.protocol.data_received(b"x" * LINGER_BYTES)
    assert not transport.closed
    transport.protocol.data_received(b"x")
    assert transport.closed


def test_it_closes_when_the_client_does(context: ConnectionContext) -> None:
    assert not refused(context).protocol.eof_received(), "False: the transport closes itself"


def test_so_many_at_once_and_no_more_are_told(context: ConnectionContext) -> None:
    told = [refused(context) for _ in range(AT_ONCE)]
    silent = refused(context)
    assert not any(t.aborted for t in told) and silent.aborted and not silent.wrote
    silent.protocol.connection_lost(None)
    assert refused(context).aborted, "the silent one had no place among the others"
    told[0].protocol.connection_lost(None)
    assert not refused(context).aborted
    assert context.meter.reasons == ["connection_limit"] * (AT_ONCE + 3)  # type: ignore[attr-defined]


@pytest.mark.parametrize(("limit", "there", "full"), [(0, 9, False), (2, 1, False), (2, 2, True), (2, 3, True)])
def test_full(context: ConnectionContext, limit: int, there: int, full: bool) -> None:
    """Of a limit for all workers: another one has `there` connections, but for the one that this one has."""
    cells = memoryview(bytearray(16)).cast("q")
    cells[1] = there - 1
    context.max_connections = limit
    context.connections = Connections(cells[:1], lambda: sum(cells))
    context.connections.add(context)  # type: ignore[arg-type]
    assert context.full is full
    context.connections.discard(context)
    assert list(cells) == [0, there - 1]
