"""What goes wrong between us and peers: FAILURES 17 to 20, time-outs, retries."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import pytest
from tests.handlers.proxy.kit import GET, OK, Scene

from enfilade.config.schema import Breaker, Ejection
from enfilade.config.schema import Upstream as UpstreamTable
from enfilade.exchange.response import Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.net.client import CallLimits
from enfilade.wire.events import ResponseReceived, StreamClosed

Make = Callable[..., Scene]
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi"
NO_RETRY = UpstreamTable(retries=0, eject=False)


# -- upstream lies (18)


@pytest.mark.parametrize(
    ("lie", "why", "named"),
    [
        (b"HTTP/1.1 200 OK\r\nbad name: x\r\ncontent-length: 0\r\n\r\n", "bad_response", "bad_response"),
        (b"HTTP/1.1 200 OK\ncontent-length: 0\n\n", "bad_response", "bad_response"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "bad_response", "bad_response"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", "bad_response", "two_framings"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n", "bad_response", "bad_content_length"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n", "bad_response", "bad_transfer_encoding"),
        (b"HTTP/1.1 200 OK\r\nx: a\rb\r\n\r\n", "bad_response", "bad_response"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, "bad_response", "head_too_large"),
        (b"HTTP/1.1 101 S\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n", "unasked_response", "unasked_response"),
        (OK + b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", "unasked_response", "unasked_response"),
        (OK + b"rest", "unasked_response", "unasked_response"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40, "bad_response", "bad_response"),
        (b"HTTP/1.1 204 No\r\ntransfer-encoding: chunked\r\n\r\n", "bad_response", "bad_transfer_encoding"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n", "bad_response", "bad_chunk"),
    ],
)  # fmt: skip
def test_upstream_lies_f18(scene: Make, caplog: pytest.LogCaptureFixture, lie: bytes, why: str, named: str) -> None:
    s = scene(table=NO_RETRY)
    client = s.client()
    client.says(GET)
    with caplog.at_level(logging.WARNING):
        s.far[0].says(lie)
    answer = client.got()
    assert answer.startswith(b"HTTP/1.1 502 ") and b"evil" not in answer
    assert s.far[0].closed and s.reasons == [why] and s.meter.reasons == [why]
    assert f"({named})" in caplog.text
    client.says(GET)
    s.far[1].says(OK)
    assert client.got().endswith(b"ok")


def test_an_early_close_f18(scene: Make) -> None:
    s = scene(table=NO_RETRY)
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 200")
    s.far[0].ends()
    assert client.got().startswith(b"HTTP/1.1 502 ") and s.reasons == ["upstream_gone"]


@pytest.mark.parametrize("head", [b"content-length: 10", b"transfer-encoding: chunked"])
def test_an_answer_that_is_cut_is_cut_for_the_client_f18(scene: Make, head: bytes) -> None:
    s = scene()
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
    s.far[0].says(b"5\r\nhello\r\n"[:9])
    s.far[0].breaks()
    answer = client.got()
    assert answer.startswith(b"HTTP/1.1 200 ") and b"0\r\n\r\n" not in answer
    assert client.closed and s.reasons == ["upstream_gone"] and len(s.far) == 1, (
        "an answer that has begun is not retried"
    )


def test_bytes_after_the_end_f18(scene: Make, caplog: pytest.LogCaptureFixture) -> None:
    """They come in a read of their own: the answer stands, the connection does not."""
    s = scene()
    client = s.client()
    client.says(GET)
    s.far[0].says(OK)
    assert client.got().endswith(b"ok")
    with caplog.at_level(logging.WARNING):
        s.far[0].says(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil")
    assert s.far[0].closed and "unasked_response" in caplog.text
    client.says(GET)
    s.far[1].says(OK)
    assert client.got().endswith(b"ok")


def test_bytes_before_the_request_f18(scene: Make) -> None:
    s = scene(accepts=False, table=NO_RETRY)
    client = s.client()
    client.says(GET)
    s.run(s.accept)
    assert s.far[0].got().startswith(b"GET ")
    s.far[0].says(b"220 smtp.example ESMTP\r\n\r\n")
    assert client.got().startswith(b"HTTP/1.1 502 ")


def test_an_http2_peer_that_lies_f18(scene: Make, caplog: pytest.LogCaptureFixture) -> None:
    s = scene(http2=True, table=NO_RETRY)
    client = s.client()
    client.says(GET)
    (far,) = s.far
    far.talk()
    with caplog.at_level(logging.WARNING):
        far.says(b"\0\0\1\1\5\0\0\0\1\x80")  # HEADERS with an index that HPACK does not have
    assert client.got().startswith(b"HTTP/1.1 502 ")
    assert s.reasons == ["bad_response"] and "compression_error" in caplog.text and far.closed


# -- retries (19)


def test_a_stale_connection_is_not_felt_f19(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(GET)
    s.far[0].says(OK)
    client.got()
    client.says(GET)
    s.far[0].breaks()
    assert len(s.far) == 2 and s.far[1].got().startswith(b"GET ")
    s.far[1].says(OK)
    assert client.got().endswith(b"ok") and s.reasons == ["", ""]


@pytest.mark.parametrize("asked", [POST, GET.replace(b"GET", b"PATCH"), GET.replace(b"GET", b"POST")])
def test_what_may_do_harm_twice_is_not_retried_f19(scene: Make, asked: bytes) -> None:
    s = scene(peers=2)
    client = s.client()
    client.says(asked)
    s.far[0].breaks()
    assert client.got().startswith(b"HTTP/1.1 502 ") and len(s.far) == 1


def test_an_idempotent_request_whose_body_flows_is_not_retried_f19(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(POST.replace(b"POST", b"PUT")[:-1])
    client.says(b"i")
    s.far[0].breaks()
    assert client.got().startswith(b"HTTP/1.1 502 ") and len(s.far) == 1


def test_an_idempotent_request_whose_body_is_there_is_retried_with_it_f19(scene: Make) -> None:
    s = scene(peers=2)
    client = s.client()
    client.says(POST.replace(b"POST", b"PUT"))
    s.far[0].breaks()
    assert s.far[1].got().endswith(b"\r\n\r\nhi")
    s.far[1].says(OK)
    assert client.got().endswith(b"ok") and s.reasons == [""]


def test_never_after_the_first_byte_of_an_answer_f19(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n")
    s.far[0].breaks()
    assert len(s.far) == 1 and client.closed


def test_no_more_retries_than_allowed_f19(scene: Make) -> None:
    s = scene(peers=4, table=UpstreamTable(retries=2, eject=False))
    client = s.client()
    client.says(GET)
    for number in range(3):
        s.far[number].breaks()
    assert client.got().startswith(b"HTTP/1.1 502 ") and len(s.far) == 3
    assert len({end.connection._home for end in s.far}) == 3, "each time somewhere else"
    assert s.upstream.retries == 2
    assert sorted(peer.failures for peer in s.upstream.peers) == [0, 1, 1, 1]


def test_a_refused_stream_was_not_worked_on_f19(scene: Make) -> None:
    """RFC 9113 section 8.7: also what is not idempotent may be tried again, if nothing of its body is lost."""
    s = scene(http2=True)
    client = s.client()
    client.says(GET.replace(b"GET", b"POST"))
    (far,) = s.far
    far.talk()
    far.says(b"\0\0\4\3\0\0\0\0\1\0\0\0\7")  # RST_STREAM, REFUSED_STREAM
    far.talk()
    far.answers(3)
    assert client.got().endswith(b"ok") and s.reasons == [""]


def test_a_refused_stream_is_sent_again_with_a_body_that_is_there_f19(scene: Make) -> None:
    s = scene(http2=True)
    client = s.client()
    client.says(POST)
    (far,) = s.far
    far.talk()
    far.says(b"\0\0\4\3\0\0\0\0\1\0\0\0\7")
    far.talk()
    far.answers(3)
    assert client.got().endswith(b"ok") and s.reasons == [""]


def test_a_refused_stream_with_a_body_is_not_sent_in_part_f19(scene: Make) -> None:
    s = scene(http2=True)
    client = s.client()
    client.says(POST[:-1])
    (far,) = s.far
    far.talk()
    far.says(b"\0\0\4\3\0\0\0\0\1\0\0\0\7")
    assert client.got().startswith(b"HTTP/1.1 502 ") and s.reasons == ["upstream_reset"]


def test_goaway_hands_back_what_was_not_begun_f19(scene: Make) -> None:
    s = scene(http2=True)
    clients = [s.client(), s.client()]
    for client in clients:
        client.says(GET)
    far = s.far[0]
    far.talk()
    far.says(b"\0\0\x08\7\0\0\0\0\0" + b"\0\0\0\1" + b"\0\0\0\0")  # GOAWAY: up to stream 1
    far.answers(1)
    assert clients[0].got().endswith(b"ok")
    s.far[1].talk()
    s.far[1].answers(1)
    assert clients[1].got().endswith(b"ok") and far.closed and s.reasons == ["", ""]


def test_another_peer_where_one_refuses_f20(scene: Make) -> None:
    s = scene(peers=2, accepts=False)
    client = s.client()
    client.says(POST)
    s.refuse(reason("connect_failed"))
    s.run(s.accept)
    assert s.far[0].got().endswith(b"hi"), "nothing of it was sent before"
    s.far[0].says(OK)
    assert client.got().endswith(b"ok")


# -- nobody is there (20)


@pytest.mark.parametrize(
    ("why", "status"), [("connect_failed", b"502"), ("connect_timeout", b"504"), ("upstream_tls", b"502")]
)
def test_connections_that_cannot_be_had_f20(scene: Make, why: str, status: bytes) -> None:
    s = scene(accepts=False, table=NO_RETRY)
    client = s.client()
    client.says(GET)
    s.refuse(reason(why))
    assert client.got().startswith(b"HTTP/1.1 " + status) and s.reasons == [why]


def test_what_we_have_not_got_ourselves_is_held_against_no_peer(scene: Make) -> None:
    s = scene(accepts=False, table=UpstreamTable(eject=Ejection(failures=1), breaker=Breaker(failures=1)))
    client = s.client()
    for _ in range(3):
        client.says(GET)
        s.refuse(reason("no_socket"))
        assert client.got().startswith(b"HTTP/1.1 503 ")
    s.wait(1.0)
    client.says(GET)
    s.run(s.accept)
    s.far[0].says(OK)
    assert client.got().endswith(b"ok") and s.reasons == ["no_socket"] * 3 + [""]


def test_no_peer_is_503_f20(scene: Make) -> None:
    s = scene(peers=0)
    client = s.client()
    client.says(GET)
    assert client.got().startswith(b"HTTP/1.1 503 ") and s.reasons == ["no_peer"]


@pytest.mark.parametrize(
    ("limits", "said", "seconds", "why"),
    [
        (CallLimits(head=7.0), b"", 7.0, "answer_timeout"),
        (CallLimits(head=7.0), b"HTTP/1.1 200 OK\r\n", 7.0, "answer_timeout"),
        (CallLimits(total=9.0), b"", 9.0, "total_timeout"),
    ],
)
def test_time_outs_before_an_answer_are_504_f20(
    scene: Make, limits: CallLimits, said: bytes, seconds: float, why: str
) -> None:
    s = scene(limits=limits, table=NO_RETRY)
    client = s.client()
    client.says(GET)
    if said:
        s.far[0].says(said)
    s.wait(seconds - 0.1)
    assert client.got() == b""
    s.wait(0.1)
    assert client.got().startswith(b"HTTP/1.1 504 ") and s.reasons == [why] and s.far[0].closed


@pytest.mark.parametrize(
    ("limits", "why"), [(CallLimits(silence=7.0), "silence_timeout"), (CallLimits(total=7.0), "total_timeout")]
)
def test_time_outs_within_an_answer_cut_it_f20(scene: Make, limits: CallLimits, why: str) -> None:
    s = scene(limits=limits)
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi")
    s.wait(6.9)
    assert not client.closed
    s.wait(0.1)
    assert client.closed and s.far[0].closed and s.reasons == [why]


def test_each_byte_of_an_answer_buys_time(scene: Make) -> None:
    s = scene(limits=CallLimits(silence=7.0))
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
    for _ in range(5):
        s.wait(6.0)
        s.far[0].says(b"x")
    assert client.got().endswith(b"xxxxx") and s.reasons == [""]


def test_the_time_for_an_answer_begins_behind_the_body(scene: Make) -> None:
    s = scene(limits=CallLimits(head=7.0))
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n")
    for _ in range(3):
        s.wait(6.0)
        client.says(b"x")
    s.wait(6.0)
    s.far[0].says(OK)
    assert client.got().endswith(b"ok")


def test_a_peer_that_takes_no_body(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 300000\r\n\r\n" + b"x" * 60_000)
    far = s.far[0]
    far.stops_reading()
    far.transport.backlog = len(far.got())
    client.says(b"x" * 70_000)
    s.wait(15.0)
    assert client.got() == b""
    s.wait(15.0)
    assert client.got().startswith(b"HTTP/1.1 504 ") and s.reasons == ["upload_timeout"] and far.closed


def test_an_http2_peer_that_opens_no_window(scene: Make) -> None:
    s = scene(http2=True)
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3000000\r\n\r\n")
    (far,) = s.far
    far.consumes = False
    while client.transport.reading:
        client.says(b"x" * 60_000)
        far.talk()
    for _ in range(40):
        s.wait(1.0)
    assert client.got().startswith(b"HTTP/1.1 504 ") and s.reasons == ["upload_timeout"]
    assert far.talk() is None and far.told(StreamClosed) and not far.closed


def test_answers_of_http2_peers_may_be_slow(scene: Make) -> None:
    """Less than any minimum rate, as server-sent events are."""
    s = scene(http2=True)
    client = s.client()
    client.says(GET)
    (far,) = s.far
    far.talk()
    far.engine.start(1, 200, Fields())
    far.talk()
    for _ in range(30):
        for _ in range(10):
            s.wait(1.0)
        far.engine.data(1, b"tick")
        far.talk()
    assert client.got().count(b"tick") == 30 and not s.reasons


def test_an_http2_peer_that_never_greets(scene: Make) -> None:
    s = scene(http2=True, greets=False, table=NO_RETRY)
    client = s.client()
    client.says(GET)
    s.wait(2.0)
    assert s.far[0].got().startswith(b"PRI * ") and client.got() == b""
    for _ in range(6):
        s.wait(1.0)
    assert client.got().startswith(b"HTTP/1.1 504 ") and s.reasons == ["connect_timeout"] and s.far[0].closed


# -- the client goes (20)


def test_client_gone_cancels_the_request_f20(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(GET)
    assert not s.far[0].closed
    client.breaks()
    assert s.far[0].closed and s.reasons == ["client_gone"]
    assert s.ended.outcomes[0].status == 499 and len(s.far) == 1 and s.upstream.peers[0].in_flight == 0


@pytest.mark.parametrize("waits", [False, True])
def test_client_gone_in_the_middle_of_an_answer_f20(scene: Make, waits: bool) -> None:
    s = scene(waits=waits)
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi")
    assert client.got().endswith(b"hi")
    client.breaks()
    assert s.far[0].closed and s.reasons == ["client_gone"] and s.upstream.peers[0].in_flight == 0


@pytest.mark.parametrize("waits", [False, True])
def test_a_client_that_goes_while_a_filter_waits_leaves_no_task_f20(scene: Make, waits: bool) -> None:
    s = scene(waits=waits)
    client = s.client()
    client.says(GET)
    client.breaks()
    assert s.far[0].closed and s.upstream.peers[0].in_flight == 0
    assert not asyncio.all_tasks(s.loop)


def test_client_gone_resets_the_stream_of_an_http2_peer_f20(scene: Make) -> None:
    s = scene(http2=True)
    clients = [s.client(), s.client()]
    for client in clients:
        client.says(GET)
    (far,) = s.far
    far.talk()
    clients[0].breaks()
    far.talk()
    assert [e.stream for e in far.told(StreamClosed)] == [1] and not far.closed
    far.answers(3)
    assert clients[1].got().endswith(b"ok")


def test_client_gone_while_it_waits_for_a_connection_f20(scene: Make) -> None:
    s = scene(accepts=False)
    client = s.client()
    client.says(GET)
    client.breaks()
    s.run(s.accept)
    assert s.far[0].got() == b"" and s.reasons == ["client_gone"] and s.upstream.peers[0].pool.idle


def test_client_gone_in_the_middle_of_its_body_f20(scene: Make) -> None:
    s = scene()
    client = s.client()
    client.says(b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhi")
    client.breaks()
    assert s.far[0].closed and s.reasons == ["client_gone"]


# -- other pages


def test_pages_in_place_of_answers(scene: Make) -> None:
    pages = {
        404: Response(200, Fields([(b"content-type", b"text/html")]), b"nowhere"),
        5: Response(200, Fields(), b"sorry"),
    }
    s = scene(instead=pages, table=NO_RETRY)
    client = s.client()
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 404 Not Found\r\ncontent-length: 6\r\nx-secret: 1\r\n\r\nstack!")
    answer = client.got()
    assert answer.startswith(b"HTTP/1.1 404 ") and answer.endswith(b"nowhere") and b"secret" not in answer
    client.says(GET)
    s.far[0].says(b"HTTP/1.1 500 Oh\r\ncontent-length: 1000\r\n\r\nstack")
    answer = client.got()
    assert answer.startswith(b"HTTP/1.1 500 ") and answer.endswith(b"sorry")
    assert s.far[0].closed, "nobody wants the rest"
    client.says(GET)
    s.far[1].breaks()
    answer = client.got()
    assert answer.startswith(b"HTTP/1.1 502 ") and answer.endswith(b"sorry") and b"no-store" in answer
    assert s.reasons == ["", "", "upstream_gone"] and not client.closed


def test_other_answers_are_left_alone(scene: Make) -> None:
    s = scene(instead={5: Response(200, Fields(), b"sorry")})
    client = s.client2()
    client.asks()
    s.far[0].says(b"HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nno")
    client.talk()
    assert [(e.status, e.body) for e in client.told(ResponseReceived)] == [(404, b"no")]
