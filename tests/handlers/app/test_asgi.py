"""The ASGI specification over HTTP, rule by rule, and the rows of FAILURES.md that it meets."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from pathlib import Path
from typing import Any

import pytest
from tests.handlers.app.support import answer, body_of, content, from_callback, make, run

from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.exchange.response import FileSlice, Response
from enfilade.handlers.app.answer import ClientDisconnected
from enfilade.handlers.app.asgi import AsgiHandler
from enfilade.http.ends import Ends
from enfilade.http.reasons import reason

GONE = reason("client_gone")
START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def body(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


def start(status: Any = 200, *headers: Any) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": headers}


def sends(*messages: dict[str, Any]) -> Any:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        for message in messages:
            await send(message)

    return app


def call(app: Any, x: Any = None) -> Response:
    result = run(answer(AsgiHandler(app), x or make()))
    assert isinstance(result, Response)
    return result


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


# -- the scope


def scope_of(x: Any, state: Any = None) -> dict[str, Any]:
    seen: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope)
        await send(START)
        await send(body(b""))

    run(answer(AsgiHandler(app, state), x))
    scope: dict[str, Any] = seen[0]
    return scope


def test_scope() -> None:
    x = make(
        "PUT", "/shop/a b", raw_path=b"/shop/a%20b", query=b"x=1", fields=[(b"a", b"1"), (b"a", b"2")], mount="/shop",
        version="2", scheme="https",
    )  # fmt: skip
    scope = scope_of(x, {"db": 1})
    assert scope == {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.5"},
        "http_version": "2",
        "method": "PUT",
        "scheme": "https",
        "path": "/shop/a b",
        "raw_path": b"/shop/a%20b",
        "query_string": b"x=1",
        "root_path": "/shop",
        "headers": [(b"a", b"1"), (b"a", b"2")],
        "client": ("198.51.100.7", 4711),
        "server": ("192.0.2.1", 80),
        "state": {"db": 1},
        "extensions": {"http.response.trailers": {}, "http.response.early_hint": {}, "http.response.pathsend": {}},
    }


def test_what_an_application_changes_in_its_scope_is_gone_with_it() -> None:
    x, state = make(fields=[(b"a", b"1")]), {"n": 1}
    scope = scope_of(x, state)
    scope["headers"].append((b"b", b"2"))
    scope["state"]["n"] = 2
    scope["extensions"].clear()
    scope["path"] = "/other"
    again = scope_of(x, state)
    assert again["headers"] == [(b"a", b"1")] and again["state"] == {"n": 1} and again["path"] == "/"
    assert "http.response.trailers" in again["extensions"]


def test_the_same_request_under_two_mounts() -> None:
    x = make(path="/a/b", mount="/a")
    assert scope_of(x)["root_path"] == "/a"
    x.match.mount = "/a/b"
    assert scope_of(x)["root_path"] == "/a/b"


def test_scope_has_the_client_that_trusted_proxies_name() -> None:
    ends = Ends(("10.0.0.1", 99), ("10.0.0.2", 80))
    ends.client_ip = "203.0.113.5"
    assert scope_of(make(ends=ends))["client"] == ("203.0.113.5", 0)


def test_scope_at_a_unix_socket_has_no_client() -> None:
    scope = scope_of(make(ends=Ends(("", None), ("/run/x.sock", None))))
    assert scope["client"] is None and scope["server"] == ("/run/x.sock", None)


def test_http_1_0_gets_neither_trailers_nor_hints() -> None:
    assert list(scope_of(make(version="1.0"))["extensions"]) == ["http.response.pathsend"]


# -- answers


def test_an_answer_in_the_first_step_comes_synchronously() -> None:
    async def main() -> None:
        x = make()
        [got] = await from_callback(lambda: [AsgiHandler(sends(START, body(b"hi")))(x)])
        assert isinstance(got, Response) and got.body == b"hi" and got.status == 200
        assert got.fields.pairs == ((b"content-type", b"text/plain"),)
        assert x.on_abort is None

    run(main())


def test_the_same_head_is_the_same_fields() -> None:
    handler = AsgiHandler(sends(START, body(b"hi")))
    first, second = run(answer(handler, make())), run(answer(handler, make()))
    assert first.fields is second.fields


def test_a_head_with_set_cookie_is_not_remembered() -> None:
    handler = AsgiHandler(sends(start(200, (b"set-cookie", b"secret=1")), body(b"")))
    first, second = run(answer(handler, make())), run(answer(handler, make()))
    assert first.fields == second.fields and first.fields is not second.fields


def test_an_answer_that_comes_later() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0)
        await sends(START, body(b"later"))(scope, receive, send)

    assert call(app).body == b"later"


def test_headers_may_be_lists_and_any_iterable() -> None:
    message = {"type": "http.response.start", "status": 200, "headers": iter([[b"X-A", b" 1 "]])}
    assert call(sends(message, body(b""))).fields.pairs == ((b"x-a", b"1"),)


def test_streaming_f24_first_byte_out_at_once() -> None:
    async def main() -> None:
        go = asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send(body(b"one", True))
            await go.wait()
            await send(body(b"two"))

        [got] = await from_callback(lambda: [AsgiHandler(app)(make())])
        assert got.body.take() == b"one" and got.body.take() is None
        go.set()
        assert await got.body.read_all() == b"two"

    run(main())


def test_a_writer_waits_for_a_slow_reader() -> None:
    async def main() -> None:
        sent = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            for i in range(100):
                await send(body(bytes(32768), True))
                sent.append(i)
            await send(body(b""))

        response = await answer(AsgiHandler(app), make())
        await settle()
        assert len(sent) == 1 and response.body.size == 65536  # the second one waits
        assert len(await content(response)) == 100 * 32768

    run(main())


def test_trailers() -> None:
    head = dict(START, trailers=True)
    one = {"type": "http.response.trailers", "headers": [(b"a", b"1")], "more_trailers": True}
    two = {
        "type": "http.response.trailers",
        "headers": [(b"B", b"2"), (b"transfer-encoding", b"x"), (b"content-length", b"3")],
    }

    async def main() -> None:
        response = await answer(AsgiHandler(sends(head, body(b"x"), one, two)), make())
        assert await content(response) == b"x"
        assert response.body.trailers.pairs == ((b"a", b"1"), (b"b", b"2"))

    run(main())


def test_early_hints() -> None:
    x = make()
    hint = {"type": "http.response.early_hint", "links": [b"</a.css>; rel=preload", b"</b.js>; rel=preload"]}
    assert call(sends(hint, START, body(b"")), x).status == 200
    [(status, fields)] = x.carrier.informed
    assert status == 103 and fields.all(b"link") == hint["links"]


def test_pathsend(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_bytes(b"content")

    async def main() -> None:
        response = await answer(
            AsgiHandler(sends(START, {"type": "http.response.pathsend", "path": str(file)})), make()
        )
        assert isinstance(response.body, FileSlice) and await content(response) == b"content"

    run(main())


@pytest.mark.parametrize("path", ["relative", "/dev/null", "/nowhere/at/all"])
def test_pathsend_of_something_else_than_a_regular_file(path: str, caplog: pytest.LogCaptureFixture) -> None:
    assert call(sends(START, {"type": "http.response.pathsend", "path": path})).status == 500


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 304), ("GET", 204)])
def test_content_length_without_a_body_where_none_is_allowed(method: str, status: int) -> None:
    response = call(sends(start(status, (b"content-length", b"13")), body(b"")), make(method))
    assert response.status == status and response.fields.get(b"content-length") == b"13"


# -- receive


def messages_of(x: Any, n: int) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        got.extend([await receive() for _ in range(n)])
        await send(START)
        await send(body(b""))

    call(app, x)
    return got


def test_a_request_without_body_is_one_empty_message_and_no_waiting() -> None:
    async def main() -> None:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            assert await receive() == {"type": "http.request", "body": b"", "more_body": False}
            await sends(START, body(b"ok"))(scope, receive, send)

        [got] = await from_callback(lambda: [AsgiHandler(app)(make())])
        assert isinstance(got, Response) and got.body == b"ok"

    run(main())


def test_a_body_comes_in_pieces() -> None:
    assert messages_of(make("POST", body=body_of(b"a", b"b")), 2) == [
        {"type": "http.request", "body": b"a", "more_body": True},
        {"type": "http.request", "body": b"b", "more_body": False},
    ]


def test_a_body_that_is_still_coming() -> None:
    async def main() -> None:
        request_body = Stream()
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            while not got or got[-1]["more_body"]:
                got.append(await receive())
            await sends(START, body(b""))(scope, receive, send)

        waiting = asyncio.ensure_future(answer(AsgiHandler(app), make("POST", body=request_body)))
        await settle()
        assert got == []
        request_body.write(b"a")
        await settle()
        request_body.end()
        await waiting
        assert [(m["body"], m["more_body"]) for m in got] == [(b"a", True), (b"", False)]

    run(main())


def test_a_body_that_is_cut_is_a_disconnect() -> None:
    request_body = Stream()
    request_body.fail(reason("body_cut"))
    assert messages_of(make("POST", body=request_body), 1) == [{"type": "http.disconnect"}]


def test_after_the_answer_receive_says_disconnect() -> None:
    async def main() -> None:
        got: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            listener = asyncio.ensure_future(receive())
            await asyncio.sleep(0)
            await sends(START, body(b""))(scope, receive, send)
            got.append(await listener)

        handler = AsgiHandler(app)
        await answer(handler, make())
        await settle()
        assert got == [{"type": "http.disconnect"}] and not handler.running

    run(main())


def test_two_tasks_may_listen_and_polling_leaves_nothing_behind() -> None:
    async def main() -> None:
        got: list[Any] = []
        x, polled = make(), asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            for _ in range(3):
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(receive(), 0.001)
            assert receive.__self__._listeners == []
            polled.set()
            got.extend(await asyncio.gather(receive(), receive()))

        waiting = asyncio.ensure_future(answer(AsgiHandler(app), x))
        await polled.wait()
        await settle()
        x.on_abort(GONE)
        await waiting
        await settle()
        assert got == [{"type": "http.disconnect"}] * 2

    run(main())


# -- FAILURES 24: disconnects, and background tasks


def test_a_disconnect_cancels_the_task_f24() -> None:
    async def main() -> None:
        x, ended = make(), []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                ended.append("cancelled")
                raise

        handler = AsgiHandler(app)
        waiting = asyncio.ensure_future(answer(handler, x))
        await settle()
        x.on_abort(GONE)
        response = await waiting
        assert response.status == 499 and response.reason is GONE
        await settle()
        assert ended == ["cancelled"] and not handler.running

    run(main())


def test_one_who_listens_is_told_and_may_end_in_its_own_way() -> None:
    async def main() -> None:
        x, ended = make(), []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            ended.append(await receive())
            await asyncio.sleep(0)
            with pytest.raises(OSError):
                await send(START)
            ended.append("cleaned up")

        waiting = asyncio.ensure_future(answer(AsgiHandler(app), x))
        await settle()
        x.on_abort(GONE)
        await waiting
        await settle()
        assert ended == [{"type": "http.disconnect"}, "cleaned up"]

    run(main())


def test_one_who_listens_and_does_not_end_is_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.handlers.app.asgi.DISCONNECT_GRACE", 0.001)

    async def main() -> None:
        x, ended = make(), asyncio.Event()

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await receive()
            await receive()
            try:
                await asyncio.sleep(3600)
            finally:
                ended.set()

        waiting = asyncio.ensure_future(answer(AsgiHandler(app), x))
        await settle()
        x.on_abort(GONE)
        await waiting
        await ended.wait()

    run(main())


def test_send_after_the_disconnect_raises_oserror(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        x, raised = make(), []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await send(START)
            await send(body(b"1", True))
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                try:
                    await send(body(b"2", True))
                except OSError as error:
                    raised.append(error)
                    raise RuntimeError("wrapped by a framework") from error

        response = await answer(AsgiHandler(app), x)
        response.body.cancel(GONE)
        x.on_abort(GONE)
        await settle()
        assert isinstance(raised[0], ClientDisconnected)

    run(main())
    assert caplog.records == []  # a client that goes away is no error of the application


def test_background_work_after_the_answer_finishes_though_the_client_goes() -> None:
    async def main() -> None:
        x, done = make(), []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            await sends(START, body(b"ok"))(scope, receive, send)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            done.append(True)

        handler = AsgiHandler(app)
        [got] = await from_callback(lambda: [handler(x)])
        assert isinstance(got, Response) and not done and len(handler.running) == 1
        x.on_abort(GONE)
        await settle()
        assert done and not handler.running

    run(main())


def test_a_time_out_of_whoever_waits_cancels_the_application() -> None:
    async def main() -> None:
        ended = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            try:
                await asyncio.sleep(3600)
            finally:
                ended.append(True)

        [waiting] = await from_callback(lambda: [AsgiHandler(app)(make())])
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await waiting
        await settle()
        assert ended

    run(main())


def test_contexts_of_eager_tasks_do_not_leak() -> None:
    var = contextvars.ContextVar("var", default=0)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        var.set(var.get() + 1)
        await sends(START, body(str(var.get()).encode()))(scope, receive, send)

    handler = AsgiHandler(app)
    assert [run(answer(handler, make())).body for _ in range(3)] == [b"1"] * 3


# -- FAILURES 21 and 23: applications that do wrong

WRONG = {
    "status is no int": (sends(start("200"), body(b"")), "application_protocol"),
    "status is a bool": (sends(start(True), body(b"")), "application_protocol"),
    "status is interim": (sends(start(101), body(b"")), "application_protocol"),
    "status is out of range": (sends(start(1000), body(b"")), "application_protocol"),
    "name is str": (sends(start(200, ("a", b"b")), body(b"")), "application_protocol"),
    "value is str": (sends(start(200, (b"a", "b")), body(b"")), "application_protocol"),
    "name is no token": (sends(start(200, (b"a b", b"c")), body(b"")), "application_protocol"),
    "value has CR LF": (sends(start(200, (b"a", b"b\r\nset-cookie: c")), body(b"")), "application_protocol"),
    "value has NUL": (sends(start(200, (b"a", b"b\0")), body(b"")), "application_protocol"),
    "header is no pair": (sends(start(200, b"ab"), body(b"")), "application_protocol"),
    "content-length is no number": (sends(start(200, (b"content-length", b"+1")), body(b"x")), "application_protocol"),
    "two content-lengths": (
        sends(start(200, (b"content-length", b"1"), (b"content-length", b"2")), body(b"x")),
        "application_protocol",
    ),
    "start twice": (sends(START, START), "application_protocol"),
    "body before start": (sends(body(b"")), "application_protocol"),
    "body is str": (sends(START, {"type": "http.response.body", "body": "x"}), "application_protocol"),
    "unknown message": (sends({"type": "http.response.nonsense"}), "application_protocol"),
    "body too long": (sends(start(200, (b"content-length", b"1")), body(b"xx")), "application_length"),
    "body too short": (sends(start(200, (b"content-length", b"3")), body(b"xx")), "application_length"),
    "nothing at all": (sends(), "application_silent"),
    "only a start": (sends(START), "application_silent"),
}


@pytest.mark.parametrize("case", WRONG)
def test_nonsense_is_500_with_a_reason_and_one_log_record_f21(case: str, caplog: pytest.LogCaptureFixture) -> None:
    app, why = WRONG[case]
    response = call(app)
    assert response.status == 500 and response.reason is reason(why)
    assert [r.name for r in caplog.records] == ["enfilade.app"]


def test_raising_is_500_with_the_traceback_in_the_log_f21(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        raise ZeroDivisionError("in the application")

    response = call(app)
    assert response.status == 500 and response.reason is reason("application_raised")
    assert isinstance(response.body, bytes) and b"in the application" not in response.body
    [record] = caplog.records
    assert record.levelno == logging.ERROR and record.exc_info and record.exc_info[0] is ZeroDivisionError


def test_a_callable_that_raises_when_it_is_called(caplog: pytest.LogCaptureFixture) -> None:
    def app(scope: Any) -> None: ...

    assert call(app).reason is reason("application_raised")


def test_an_application_may_answer_its_own_mistake(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        try:
            await send(start("nonsense"))
        except Exception:
            await sends(start(500), body(b"sorry"))(scope, receive, send)

    assert call(app).body == b"sorry"


@pytest.mark.parametrize("wrong", ["raises", "ends", "too long", "too short"])
def test_after_the_start_the_stream_is_cut_f21(wrong: str, caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(start(200, (b"content-length", b"4")))
        await send(body(b"ab", True))
        if wrong == "raises":
            raise ZeroDivisionError
        if wrong != "ends":
            await send(body(b"cdefg" if wrong == "too long" else b"c"))

    async def main() -> None:
        response = await answer(AsgiHandler(app), make())
        assert await response.body.read() == b"ab"
        with pytest.raises(BodyAborted):
            await response.body.read()

    run(main())
    assert len(caplog.records) == 1


def test_framing_fields_of_the_application_are_dropped_f23() -> None:
    response = call(
        sends(start(200, (b"Transfer-Encoding", b"chunked"), (b"Connection", b"close"), (b"a", b"b")), body(b""))
    )
    assert response.fields.pairs == ((b"a", b"b"),)


def test_raising_in_the_background_is_logged_and_harms_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await sends(START, body(b"ok"))(scope, receive, send)
        raise ZeroDivisionError

    assert call(app).body == b"ok"
    assert len(caplog.records) == 1
