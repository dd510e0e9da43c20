"""PEP 3333, rule by rule, and the rows of FAILURES.md that it meets."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path
from typing import Any
from wsgiref.validate import validator

import pytest
from tests.handlers.app.support import answer, body_of, content, make, run

from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.exchange.response import FileSlice, Response
from enfilade.handlers.app import environ as room
from enfilade.handlers.app.environ import make_environ
from enfilade.handlers.app.wsgi import WsgiHandler
from enfilade.http.ends import Ends
from enfilade.http.reasons import reason

GONE = reason("client_gone")
TEXT = [("Content-Type", "text/plain")]


def replies(result: Any, status: str = "200 OK", headers: Any = TEXT) -> Any:
    def app(environ: Any, start_response: Any) -> Any:
        start_response(status, headers)
        return result

    return app


async def call(app: Any, x: Any = None) -> tuple[Response, bytes]:
    handler = WsgiHandler(app, threads=1)
    try:
        response = await answer(handler, x or make())
        return response, await content(response)
    finally:
        handler.close()


def environ_of(x: Any) -> dict[str, Any]:
    return make_environ(x, io.BytesIO(), True)


# -- environ


def test_environ() -> None:
    x = make(
        "POST", "/shop/ü b", raw_path=b"/shop/%C3%BC%20b", query=b"a=%20b", mount="/shop",
        fields=[(b"content-type", b"text/x"), (b"content-length", b"3"), (b"x-a", b"1"), (b"x-a", b"2"), (b"cookie", b"a=1"),
                (b"cookie", b"b=2"), (b"host", b"example.com")],
    )  # fmt: skip
    environ = environ_of(x)
    assert {k: v for k, v in environ.items() if not k.startswith("wsgi.")} == {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "/shop",
        "PATH_INFO": "/ü b".encode().decode("latin-1"),
        "QUERY_STRING": "a=%20b",
        "SERVER_NAME": "192.0.2.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "198.51.100.7",
        "CONTENT_TYPE": "text/x",
        "CONTENT_LENGTH": "3",
        "HTTP_X_A": "1,2",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_HOST": "example.com",
    }
    assert environ["wsgi.version"] == (1, 0) and environ["wsgi.url_scheme"] == "http"
    assert environ["wsgi.input_terminated"] is True and environ["wsgi.multithread"] is True


def test_underscores_and_proxy_never_arrive_f14() -> None:
    pairs = [(b"x_forwarded_for", b"1"), (b"proxy", b"http://evil"), (b"transfer-encoding", b"chunked"), (b"a", b"b")]
    for _ in range(2):  # from the memory, too
        names = environ_of(make(fields=pairs))
        assert [n for n in names if n.startswith("HTTP_")] == ["HTTP_A"] and "" not in names


def test_secrets_are_not_remembered() -> None:
    environ_of(make(fields=[(b"authorization", b"Basic c2VjcmV0"), (b"cookie", b"s=secret"), (b"x-kept", b"1")]))
    assert {name for name, _ in room._memory} >= {b"x-kept"}
    assert not {b"authorization", b"cookie"} & {name for name, _ in room._memory}


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.handlers.app.environ.MEMORY", 10)
    for i in range(50):
        environ_of(make(fields=[(b"x-n", str(i).encode())]))
    assert len(room._memory) <= 10


def test_environ_at_a_unix_socket() -> None:
    environ = environ_of(make(scheme="https", ends=Ends(("", None), ("/run/x.sock", None), "https")))
    assert environ["SERVER_NAME"] == "example.com" and environ["SERVER_PORT"] == "443"


# -- answers


def test_a_list_of_one_is_one_response() -> None:
    response, body = run(call(replies([b"Hello"])))
    assert response.status == 200 and body == b"Hello" and isinstance(response.body, bytes)
    assert response.fields.pairs == ((b"content-type", b"text/plain"),)


def test_an_iterator_with_content_length_in_one_piece_is_one_response() -> None:
    response, body = run(call(replies(iter([b"", b"Hello"]), headers=[("Content-Length", "5")])))
    assert isinstance(response.body, bytes) and body == b"Hello"


def test_an_empty_iterator() -> None:
    response, body = run(call(replies(iter([]), "204 No Content", [])))
    assert response.status == 204 and body == b""


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_it_passes_the_validator(method: str) -> None:
    @validator
    def app(environ: Any, start_response: Any) -> Any:
        data = environ["wsgi.input"].read(2) + environ["wsgi.input"].readline() + environ["wsgi.input"].read(-1)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [data]

    x = make(method, body=body_of(b"ab\nc\n", b"d"), fields=[(b"content-length", b"6")]) if method == "POST" else make()
    _, body = run(call(app, x))
    assert body == (b"ab\nc\nd" if method == "POST" else b"")


def test_pieces_go_out_at_once_f24() -> None:
    go = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        yield b"one"
        assert go.wait(5)
        yield b"two"

    async def main() -> None:
        response = await answer(WsgiHandler(app, 1), make())
        assert isinstance(response.body, Stream) and await response.body.read() == b"one"
        go.set()
        assert await content(response) == b"two"

    run(main())


def test_a_thread_waits_for_a_slow_reader() -> None:
    yielded = []
    stalled = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        for i in range(50):
            yielded.append(i)
            if i == 3:
                stalled.set()
            yield bytes(40_000)

    async def main() -> None:
        response = await answer(WsgiHandler(app, 1), make())
        assert not await asyncio.to_thread(stalled.wait, 0.1)
        assert len(yielded) == 2
        assert len(await content(response)) == 50 * 40_000

    run(main())


def test_write_callable() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        write = start_response("200 OK", TEXT)
        write(b"one, ")
        return [b"two"]

    assert run(call(app))[1] == b"one, two"


def test_close_is_called_once_whatever_happens() -> None:
    class Result:
        def __init__(self, fails: bool) -> None:
            self.fails, self.closed = fails, 0

        def __iter__(self) -> Any:
            yield b"x"
            if self.fails:
                raise ZeroDivisionError

        def close(self) -> None:
            self.closed += 1

    good, bad = Result(False), Result(True)
    assert run(call(replies(good)))[1] == b"x"

    async def main() -> None:
        with pytest.raises(BodyAborted):
            await call(replies(bad))

    run(main())
    assert good.closed == bad.closed == 1


def test_exc_info_before_the_first_piece_replaces_the_head() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        try:
            raise ZeroDivisionError
        except ZeroDivisionError as error:
            start_response("500 Oops", [], (type(error), error, error.__traceback__))
        return [b"sorry"]

    response, body = run(call(app))
    assert (response.status, body, response.fields.pairs) == (500, b"sorry", ())


def test_exc_info_after_the_first_piece_raises_it(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        yield b"x"
        error = ZeroDivisionError("the original")
        start_response("500 Oops", [], (type(error), error, None))

    async def main() -> None:
        with pytest.raises(BodyAborted):
            await call(app)

    run(main())
    assert "the original" in caplog.text


def test_file_wrapper_of_a_file(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"0123456789")
    files = []

    def app(environ: Any, start_response: Any) -> Any:
        files.append(path.open("rb"))
        files[0].seek(2)
        start_response("200 OK", [("Content-Length", "5")])
        return environ["wsgi.file_wrapper"](files[0], 4096)

    response, body = run(call(app))
    assert isinstance(response.body, FileSlice) and body == b"23456" and files[0].closed


def test_file_wrapper_of_something_else() -> None:
    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        return environ["wsgi.file_wrapper"](io.BytesIO(b"abc"), 2)

    assert run(call(app))[1] == b"abc"


# -- the request's body


def echo(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    return [environ["wsgi.input"].read(), (environ.get("CONTENT_LENGTH") or "none").encode()]


def test_a_chunked_body_that_is_all_here_has_a_length() -> None:
    assert run(call(echo, make("POST", body=body_of(b"abc", b"d"))))[1] == b"abcd4"


def test_a_small_body_is_read_before_a_thread_is_taken() -> None:
    async def main() -> None:
        body = Stream()
        handler = WsgiHandler(echo, 1)
        waiting = asyncio.ensure_future(answer(handler, make("POST", body=body, fields=[(b"content-length", b"4")])))
        await asyncio.sleep(0)
        body.write(b"ab")
        await asyncio.sleep(0)
        assert handler.pool._loop is None  # no thread was needed yet
        body.write(b"cd")
        body.end()
        assert await content(await waiting) == b"abcd4"

    run(main())


def test_a_large_body_is_read_as_it_comes() -> None:
    async def main() -> None:
        body = Stream()
        waiting = asyncio.ensure_future(
            answer(WsgiHandler(echo, 1), make("POST", body=body, fields=[(b"content-length", b"300000")]))
        )
        for _ in range(3):
            wait = body.write(bytes(100_000))
            if wait is not None:
                await wait
        body.end()
        assert len(await content(await waiting)) == 300_000 + 6

    run(main())


def test_a_body_that_is_cut_while_it_is_waited_for() -> None:
    async def main() -> None:
        body = Stream()
        waiting = asyncio.ensure_future(
            answer(WsgiHandler(echo, 1), make("POST", body=body, fields=[(b"content-length", b"4")]))
        )
        await asyncio.sleep(0)
        body.fail(reason("length_mismatch"))
        assert (await waiting).status == 400

    run(main())


# -- FAILURES 21 and 23

WRONG = {
    "start_response is not called": (lambda environ, start_response: [b"x"], "application_silent"),
    "nothing at all": (lambda environ, start_response: [], "application_silent"),
    "returns None": (lambda environ, start_response: None, "application_raised"),
    "body is str": (replies(["x"]), "application_protocol"),
    "status is bytes": (replies([b""], b"200 OK"), "application_protocol"),
    "status is no number": (replies([b""], "OK"), "application_protocol"),
    "value has CR LF": (replies([b""], headers=[("a", "b\r\nc: d")]), "application_protocol"),
    "value is bytes": (replies([b""], headers=[("a", b"b")]), "application_protocol"),
    "value is not latin-1": (replies([b""], headers=[("a", "Ω")]), "application_protocol"),
    "too long": (replies([b"abc"], headers=[("content-length", "2")]), "application_length"),
    "too short": (replies([b"abc"], headers=[("content-length", "4")]), "application_length"),
}


@pytest.mark.parametrize("case", WRONG)
def test_nonsense_is_500_with_a_reason_and_one_log_record_f21(case: str, caplog: pytest.LogCaptureFixture) -> None:
    app, why = WRONG[case]
    response, _ = run(call(app))
    assert response.status == 500 and response.reason is reason(why)
    assert [r.name for r in caplog.records] == ["enfilade.app"]


def test_a_system_exit_ends_the_call_and_not_the_thread_f21(caplog: pytest.LogCaptureFixture) -> None:
    def app(environ: Any, start_response: Any) -> Any:
        if environ["PATH_INFO"] == "/exit":
            raise SystemExit
        return replies([b"alive"])(environ, start_response)

    async def main() -> None:
        handler = WsgiHandler(app, 1)
        assert (await answer(handler, make(path="/exit"))).status == 500
        assert (await answer(handler, make())).body == b"alive"

    run(main())


def test_framing_fields_are_dropped_f23() -> None:
    response, _ = run(
        call(replies([b""], headers=[("Transfer-Encoding", "chunked"), ("Connection", "close"), ("A", "b")]))
    )
    assert response.fields.pairs == ((b"a", b"b"),)


# -- the queue, and clients that go away


def test_a_full_queue_is_503() -> None:
    go, running = threading.Event(), threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        running.set()
        go.wait(5)
        return replies([b"ok"])(environ, start_response)

    async def main() -> None:
        handler = WsgiHandler(app, 1, queue=1)
        first = asyncio.ensure_future(answer(handler, make()))
        await asyncio.to_thread(running.wait, 5)
        second = asyncio.ensure_future(answer(handler, make()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        refused = await answer(handler, make())
        assert refused.status == 503 and refused.reason is reason("queue_full") and b"retry-after" in refused.fields
        go.set()
        assert (await first).status == (await second).status == 200

    run(main())


def test_a_client_that_goes_while_it_waits_is_never_served() -> None:
    go, running, calls = threading.Event(), threading.Event(), []

    def app(environ: Any, start_response: Any) -> Any:
        calls.append(environ["PATH_INFO"])
        running.set()
        go.wait(5)
        return replies([b"ok"])(environ, start_response)

    async def main() -> None:
        handler = WsgiHandler(app, 1)
        first = asyncio.ensure_future(answer(handler, make(path="/first")))
        await asyncio.to_thread(running.wait, 5)
        x = make(path="/second")
        second = asyncio.ensure_future(answer(handler, x))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        x.on_abort(GONE)
        assert (await second).status == 499
        go.set()
        await first
        await answer(handler, make(path="/third"))
        assert calls == ["/first", "/third"]

    run(main())


def test_a_client_that_goes_stops_the_stream_f24() -> None:
    ended = threading.Event()

    def app(environ: Any, start_response: Any) -> Any:
        start_response("200 OK", TEXT)
        try:
            while True:
                yield bytes(40_000)
        finally:
            ended.set()

    async def main() -> None:
        x = make()
        response = await answer(WsgiHandler(app, 1), x)
        response.body.cancel(GONE)
        x.on_abort(GONE)
        assert await asyncio.to_thread(ended.wait, 5)

    run(main())
