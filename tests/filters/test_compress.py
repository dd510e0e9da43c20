"""Compression of answers: which are coded, into what, and what their fields say. Each rule by its section of RFC 9110."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from pathlib import Path

import pytest
from tests.filters.kit import exchange

from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.exchange.chain import compile_chain
from enfilade.exchange.exchange import Exchange, Handler
from enfilade.exchange.response import FileSlice, Response, Tunnel
from enfilade.filters import compress
from enfilade.filters.coders import load
from enfilade.filters.compress import Compress
from enfilade.filters.recoded import OFF_LOOP, Encoded
from enfilade.handlers.files import Files
from enfilade.http.codings import CODINGS
from enfilade.http.fields import Fields, Pair
from enfilade.http.reasons import reason

TEXT = (b"content-type", b"text/plain")
BODY = b"hello, hello, " * 100
ANSWER = Response(200, Fields([TEXT, (b"etag", b'"a"'), (b"accept-ranges", b"bytes")]), BODY)
ACCEPT = b"accept-encoding"


def ask(
    handler: Handler | Response,
    accept: bytes | None = b"gzip",
    *fields: Pair,
    method: str = "GET",
    path: str = "/a",
    filter: Compress | None = None,
) -> Response:
    said = handler if not isinstance(handler, Response) else lambda x: handler
    x = exchange(*([(ACCEPT, accept)] if accept is not None else []), *fields, method=method, path=path)

    async def run() -> Response:
        answer: Response | Awaitable[Response] = compile_chain([filter or Compress()], said)(x)
        return answer if isinstance(answer, Response) else await answer

    return asyncio.run(run())


def plain(r: Response) -> bytes:
    """What the body of `r` was."""
    body = r.body
    assert isinstance(body, bytes)
    coding = r.fields.get(b"content-encoding")
    return body if coding is None else load(coding.decode()).decoder().decode(body, 1 << 24)


def coding_of(r: Response) -> bytes | None:
    return r.fields.get(b"content-encoding")


@pytest.mark.parametrize("coding", CODINGS)
def test_each_coding_is_made_and_said(coding: str) -> None:
    """Section 8.4; 8.6: the length is that of what is sent; 14.3: there are no ranges of it."""
    r = ask(ANSWER, coding.encode())
    assert coding_of(r) == coding.encode() and plain(r) == BODY
    assert isinstance(r.body, bytes) and len(r.body) < len(BODY)
    assert r.fields.get(b"vary") == b"accept-encoding"
    assert r.fields.get(b"etag") == b'W/"a-%s"' % coding.encode()
    assert b"accept-ranges" not in r.fields and b"content-length" not in r.fields


@pytest.mark.parametrize(
    ("accept", "coding"),
    [
        (b"gzip, deflate, br, zstd", b"zstd"),
        (b"gzip, br", b"br"),
        (b"gzip;q=1, br;q=0.9", b"gzip"),
        (b"deflate", None),
        (b"", None),
        (None, None),
        (b"gzip;q=0", None),
        (b"identity, gzip;q=0.5", None),
        (b"*", b"zstd"),
        (b"*;q=0, gzip", b"gzip"),
    ],
)
def test_the_client_chooses_and_ties_are_ours(accept: bytes | None, coding: bytes | None) -> None:
    """Section 12.5.3; 12.5.5: also what is not coded depends on Accept-Encoding."""
    r = ask(ANSWER, accept)
    assert coding_of(r) == coding and plain(r) == BODY
    assert r.fields.get(b"vary") == b"accept-encoding"
    if coding is None:
        assert r.fields.get(b"etag") == b'"a"' and r.fields.get(b"accept-ranges") == b"bytes"


def test_the_configured_codings_are_those_offered_in_their_order() -> None:
    assert coding_of(ask(ANSWER, b"zstd, br, gzip", filter=Compress(["gzip", "br"]))) == b"gzip"
    assert coding_of(ask(ANSWER, b"zstd", filter=Compress(["gzip", "br"]))) is None


@pytest.mark.parametrize(
    "r",
    [
        Response(200, Fields([TEXT]), BODY[:511]),
        Response(200, Fields([(b"content-type", b"image/png")]), BODY),
        Response(200, Fields(), BODY),
        Response(200, Fields([TEXT]), b""),
        Response(200, Fields([TEXT, (b"content-encoding", b"br")]), BODY),
        Response(200, Fields([TEXT, (b"cache-control", b"no-transform")]), BODY),
        Response(200, Fields([TEXT, (b"content-length", b"100")]), Stream.of(b"x" * 100)),
        Response(204, Fields([TEXT])),
        Response(304, Fields([(b"etag", b'"a"')])),
        Response(206, Fields([TEXT, (b"content-range", b"bytes 0-1399/9000")]), BODY),
    ],
    ids=["small", "image", "no type", "empty", "coded", "no-transform", "small stream", "204", "304", "206"],
)
def test_what_is_not_coded_stays_the_very_same_answer(r: Response) -> None:
    """Sections 8.4, 14.2, 15.3.5, 15.4.5; RFC 9111 section 5.2.2.6."""
    assert ask(r) is r


@pytest.mark.parametrize("status", [201, 400, 404, 500])
def test_errors_and_answers_to_posts_are_coded_too(status: int) -> None:
    assert coding_of(ask(Response(status, Fields([TEXT]), BODY), method="POST")) == b"gzip"


def test_a_tunnel_is_left_alone() -> None:
    class Pipe:
        def opened(self, inbound: Stream, outbound: Stream) -> None: ...
        def leave(self) -> None: ...

    r = Response(101, Fields(), Tunnel(Pipe()))
    assert ask(r) is r


def test_minimum_and_types_are_the_configured_ones() -> None:
    own = Compress(minimum=10, types=["image/png"])
    assert coding_of(ask(Response(200, Fields([(b"content-type", b"image/png")]), b"x" * 10), filter=own)) == b"gzip"
    assert coding_of(ask(Response(200, Fields([(b"content-type", b"image/png")]), b"x" * 9), filter=own)) is None
    assert coding_of(ask(ANSWER, filter=own)) is None
    with pytest.raises(ValueError, match="media type"):
        Compress(types=["nonsense"])


# -- where identity is forbidden


@pytest.mark.parametrize("accept", [b"*;q=0", b"identity;q=0", b"deflate, identity;q=0"])
def test_406_where_nothing_is_acceptable(accept: bytes) -> None:
    """Section 12.5.3."""
    r = ask(ANSWER, accept)
    assert r.status == 406 and r.reason is reason("not_acceptable")
    assert b"accept-encoding" in (r.fields.get(b"vary") or b"")


def test_406_lets_the_body_go(tmp_path: Path) -> None:
    closed: list[int] = []
    stream = Stream()
    assert ask(Response(200, Fields([TEXT]), stream), b"*;q=0").status == 406
    with pytest.raises(BodyAborted):
        stream.write(b"x")
    file = FileSlice(-1, 0, 5000, lambda: closed.append(1))
    assert ask(Response(200, Fields([TEXT]), file), b"*;q=0").status == 406
    assert closed == [1]


@pytest.mark.parametrize(
    "r", [Response(200, Fields([(b"content-type", b"image/png")]), BODY), Response(200, Fields([TEXT]), b"tiny")]
)
def test_what_is_not_worth_it_is_coded_where_identity_is_forbidden(r: Response) -> None:
    assert coding_of(ask(r, b"gzip, identity;q=0")) == b"gzip"


def test_what_was_done_already_is_not_refused() -> None:
    assert ask(ANSWER, b"*;q=0", method="POST").status == 200
    assert ask(Response(200, Fields([TEXT]), b""), b"*;q=0").status == 200


# -- HEAD


@pytest.mark.parametrize("length", [[(b"content-length", b"1400")], []], ids=["says its length", "says none"])
def test_head_has_the_fields_of_get_less_the_length_that_nobody_knows(length: list[Pair]) -> None:
    """Section 9.3.2."""
    fields = Fields([*ANSWER.fields.pairs, *length])
    r = ask(Response(200, fields), method="HEAD")
    assert r.fields == ask(Response(200, fields, BODY)).fields
    assert isinstance(r.body, Stream), "for b'' the engine would say the length 0"


def test_head_of_what_is_small_or_a_large_file_is_as_it_was() -> None:
    for length in (b"100", b"%d" % (compress.LARGEST_FILE + 1)):
        r = Response(200, Fields([TEXT, (b"content-length", length)]))
        assert ask(r, method="HEAD") is r


# -- conditional requests


def tagged(x: Exchange) -> Response:
    """A handler that knows its tag, and tells what it was asked."""
    said = x.request.fields.get(b"if-none-match")
    return Response(304, Fields([(b"etag", b'"a"')])) if said in (b'"a"', b'W/"a"') else ANSWER


@pytest.mark.parametrize("coding", [b"gzip", b"br", b"zstd"])
def test_if_none_match_reaches_the_handler_and_304_says_the_tag_of_the_client(coding: bytes) -> None:
    """Sections 13.1.2 and 15.4.5."""
    tag = b'W/"a-%s"' % coding
    r = ask(tagged, coding, (b"if-none-match", tag))
    assert r.status == 304
    assert r.fields.pairs == ((b"etag", tag), (b"vary", b"accept-encoding"))


def test_the_tag_of_another_coding_names_nothing_that_the_client_would_get() -> None:
    """Section 13.1.2: a cache that keeps several asks for all of them, and takes the one that the 304 names."""
    both = (b"if-none-match", b'W/"a-gzip", W/"a-br"')

    def handler(x: Exchange) -> Response:
        known = b'"a"' in (x.request.fields.get(b"if-none-match") or b"").split(b", ")
        return Response(304, Fields([(b"etag", b'"a"')])) if known else ANSWER

    assert ask(handler, b"br", both).fields.get(b"etag") == b'W/"a-br"'
    assert ask(handler, b"gzip", both).fields.get(b"etag") == b'W/"a-gzip"'
    assert ask(handler, b"zstd", both).status == 200
    assert ask(handler, None, both).status == 200


@pytest.mark.parametrize("tag", [b'"a"', b'W/"a"'])
def test_tags_of_the_handler_are_passed_on_as_they_are(tag: bytes) -> None:
    assert ask(tagged, b"gzip", (b"if-none-match", tag)).fields.get(b"etag") == b'"a"'


def test_if_match_with_a_tag_of_a_coded_answer_reaches_the_handler_as_it_was() -> None:
    """Section 13.1.1: who read the coded page may write the next one (lost updates), though the tag is weak."""
    seen: list[bytes | None] = []

    def put(x: Exchange) -> Response:
        seen.append(x.request.fields.get(b"if-match"))
        return Response(204)

    ask(put, b"gzip", (b"if-match", b'W/"a-gzip"'), method="PUT")
    ask(put, b"gzip", (b"if-match", b'W/"own"'), method="PUT")
    assert seen == [b'"a"', b'W/"own"']


def test_files_ranges_and_if_range(tmp_path: Path) -> None:
    """Sections 13.1.5 and 14.2: parts are never of a coded body, and never put together with one."""
    (tmp_path / "a.txt").write_bytes(BODY)
    files = Files(str(tmp_path))

    def get(*fields: Pair) -> Response:
        return ask(files, b"gzip", *fields, path="/a.txt")

    tag = get().fields.get(b"etag") or b""
    own = ask(files, None, path="/a.txt").fields.get(b"etag") or b""
    assert tag.startswith(b'W/"') and own.startswith(b'"')
    assert get((b"if-none-match", tag)).status == 304
    assert get((b"if-none-match", own)).status == 304
    assert get((b"if-match", tag)).status == 200
    assert get((b"if-match", b'"other"')).status == 412
    part = get((b"range", b"bytes=0-4"))
    assert (part.status, part.body, coding_of(part)) == (206, BODY[:5], None)
    assert get((b"range", b"bytes=0-4"), (b"if-range", own)).status == 206
    whole = get((b"range", b"bytes=0-4"), (b"if-range", tag))
    assert whole.status == 200 and coding_of(whole) == b"gzip"


# -- files


def test_a_file_is_read_and_coded_and_closed(tmp_path: Path) -> None:
    (tmp_path / "a.js").write_bytes(b"x" * 3 + BODY * 200)
    closed: list[int] = []

    def handler(x: Exchange) -> Response:
        fd = os.open(tmp_path / "a.js", os.O_RDONLY)
        fields = Fields([(b"content-type", b"text/javascript"), (b"content-length", b"%d" % (len(BODY) * 200))])
        return Response(200, fields, FileSlice(fd, 3, len(BODY) * 200, lambda: closed.append(fd) or os.close(fd)))

    r = ask(handler)
    assert plain(r) == BODY * 200 and b"content-length" not in r.fields and len(closed) == 1


def test_a_large_file_is_sent_as_it_is() -> None:
    file = FileSlice(-1, 0, compress.LARGEST_FILE + 1, lambda: None)
    r = Response(200, Fields([TEXT]), file)
    assert ask(r) is r


def test_a_file_that_became_shorter_is_an_error_and_is_closed(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"short")
    closed: list[int] = []
    fd = os.open(tmp_path / "a", os.O_RDONLY)
    file = FileSlice(fd, 0, 1000, lambda: closed.append(1) or os.close(fd))
    r = ask(Response(200, Fields([TEXT]), file))
    assert r.status == 500 and r.reason is reason("file_changed")
    assert closed == [1]


@pytest.mark.parametrize("begun", [False, True])
def test_a_client_that_leaves_before_it_is_coded_leaves_no_file_open(tmp_path: Path, begun: bool) -> None:
    (tmp_path / "a").write_bytes(BODY)
    closed = asyncio.Event()

    async def run() -> None:
        loop = asyncio.get_running_loop()
        fd = os.open(tmp_path / "a", os.O_RDONLY)

        def close() -> None:
            os.close(fd)
            loop.call_soon_threadsafe(closed.set)

        r = Response(200, Fields([TEXT]), FileSlice(fd, 0, len(BODY), close))
        answer = compile_chain([Compress()], lambda x: r)(exchange((ACCEPT, b"gzip")))
        assert not isinstance(answer, Response)
        waiting = asyncio.ensure_future(answer)
        if begun:
            await asyncio.sleep(0)
        waiting.cancel()
        await closed.wait()

    asyncio.run(run())


# -- large and streamed bodies


def test_a_large_body_is_coded_in_a_thread() -> None:
    body = BODY * (OFF_LOOP // len(BODY) + 1)
    r = Response(200, Fields([TEXT]), body)
    assert plain(ask(r, b"br")) == body

    async def waits() -> bool:
        answer = compile_chain([Compress()], lambda x: r)(exchange((ACCEPT, b"br")))
        return not isinstance(answer, Response) and isinstance(await answer, Response)

    assert asyncio.run(waits())


def test_a_handler_that_waits_is_waited_for() -> None:
    async def later(x: Exchange) -> Response:
        return ANSWER

    assert coding_of(ask(later)) == b"gzip"


def test_a_body_that_flows_is_coded_as_it_flows_and_says_no_length() -> None:
    """Section 8.6."""
    stream = Stream()
    r = ask(Response(200, Fields([TEXT, (b"content-length", b"9999")]), stream))
    assert isinstance(r.body, Encoded) and coding_of(r) == b"gzip" and b"content-length" not in r.fields


def test_a_stream_that_has_ended_is_coded_at_once() -> None:
    r = ask(Response(200, Fields([TEXT]), Stream.of(BODY)))
    assert plain(r) == BODY


# -- memory


def test_what_comes_again_is_coded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    filter = Compress()
    first, second, third = (ask(ANSWER, filter=filter) for _ in range(3))
    assert second is third and plain(first) == plain(second)
    assert ask(ANSWER, b"br", filter=filter) is not third
    other = Response(404, ANSWER.fields, BODY)
    assert ask(other, filter=filter).status == 404


def test_another_body_with_the_same_fields_is_another_answer() -> None:
    filter = Compress()
    bodies = [bytes([65 + i]) * 1000 for i in range(20)]
    for _ in range(3):
        assert [plain(ask(Response(200, ANSWER.fields, body), filter=filter)) for body in bodies] == bodies


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compress, "MEMORY_BYTES", 5000)
    filter = Compress()
    for i in range(100):
        ask(Response(200, ANSWER.fields, b"%4d" % i * 400), filter=filter)
    held = sum(len(body) for _, body, _ in filter._bodies.values())
    assert 0 < held <= 5000
    ask(Response(200, ANSWER.fields, b"x" * 10_000), filter=filter)
    assert sum(len(body) for _, body, _ in filter._bodies.values()) <= 5000
