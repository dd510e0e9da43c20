"""Collapsing: one request to the origin for all who wait (RFC 9111 section 4; FAILURES 28)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path
from typing import Any

from tests.cache.kit import Stand, answer, status_of

from enfilade.cache import flight
from enfilade.cache.claims import FAILING
from enfilade.cache.stores.disk import Disk
from enfilade.exchange.bodies import Stream
from enfilade.exchange.pending import Pending
from enfilade.exchange.response import FileSlice, Response
from enfilade.http.fields import Fields
from enfilade.http.reasons import reason
from enfilade.testing.exchange import FakeCarrier, make_exchange

NO_STORE = (b"cache-control", b"no-store")
GONE = reason("client_gone")


class Crowd:
    """Clients that ask for the same."""

    def __init__(self, stand: Stand) -> None:
        self.stand = stand
        self.carriers: list[FakeCarrier] = []
        self.exchanges: list[Any] = []
        self.answers: list[Any] = []

    def ask(self, *fields: tuple[bytes, bytes], target: str = "/", method: str = "GET") -> None:
        self.carriers.append(FakeCarrier())
        x = make_exchange(method, target, fields, carrier=self.carriers[-1])
        self.exchanges.append(x)
        self.answers.append(self.stand.front(x))

    def leave(self, i: int) -> None:
        self.exchanges[i].on_abort(GONE)

    @property
    def responses(self) -> list[Response | None]:
        return [a if isinstance(a, Response) else a.response for a in self.answers]


def crowd(size: int, stand: Stand) -> Crowd:
    made = Crowd(stand)
    for _ in range(size):
        made.ask()
    return made


def bodies(people: Crowd) -> list[object]:
    return [None if r is None else r.body for r in people.responses]


def drain(stream: object) -> bytes:
    assert isinstance(stream, Stream)
    got = b""
    while piece := stream.take():
        got += piece
    return got


def test_many_wait_for_one_answer() -> None:
    stand = Stand(None)
    people = crowd(1000, stand)
    assert len(stand.asked) == 1 and people.responses == [None] * 1000
    stand.reply(answer())
    assert bodies(people) == [b"body"] * 1000
    first, *others = people.responses
    assert first is not None and b"fwd=uri-miss; stored" in status_of(first)
    assert all(o is not None and b"collapsed" in status_of(o) for o in others)
    stand.get()
    assert len(stand.asked) == 1


def test_an_answer_that_is_not_stored_releases_those_who_wait() -> None:
    stand = Stand(None)
    people = crowd(3, stand)
    stand.reply(answer(NO_STORE, body=b"first's own"))
    assert bodies(people) == [b"first's own", None, None]
    assert len(stand.asked) == 3
    stand.reply(answer(NO_STORE, body=b"second's"))
    stand.reply(answer(NO_STORE, body=b"third's"))
    assert bodies(people) == [b"first's own", b"second's", b"third's"]
    people.ask()
    people.ask()
    assert len(stand.asked) == 5, "remembered: nobody waits for another's answer"
    stand.pass_by(11)
    people.ask()
    people.ask()
    assert len(stand.asked) == 6, "and forgotten again"


def test_each_gets_the_variant_that_is_its_own() -> None:
    stand = Stand(None)
    people = Crowd(stand)
    for language in (b"en", b"de", b"en"):
        people.ask((b"accept-language", language))
    stand.reply(answer((b"vary", b"accept-language"), body=b"english"))
    assert bodies(people) == [b"english", None, b"english"]
    assert stand.asked[1].request.fields.get(b"accept-language") == b"de"
    stand.reply(answer((b"vary", b"accept-language"), body=b"deutsch"))
    assert bodies(people) == [b"english", b"deutsch", b"english"]


def test_credentials_and_cookies_wait_for_nobody() -> None:
    stand = Stand(None)
    people = crowd(1, stand)
    people.ask((b"authorization", b"Basic QQ=="))
    people.ask((b"cookie", b"a=1"))
    people.ask((b"cache-control", b"no-cache"))
    assert len(stand.asked) == 4
    assert len(stand.aborted) == 0


def test_the_first_may_leave_as_long_as_others_wait() -> None:
    stand = Stand(None)
    people = crowd(2, stand)
    people.leave(0)
    assert not stand.aborted
    stand.reply(answer())
    assert bodies(people)[1] == b"body"


def test_when_all_have_left_nobody_is_waited_for() -> None:
    stand = Stand(None)
    people = crowd(2, stand)
    people.leave(0)
    people.leave(1)
    assert len(stand.aborted) == 1
    stand.reply(Response(499))
    people.ask()
    assert len(stand.asked) == 2


def test_our_own_errors_are_for_everybody_who_waits() -> None:
    stand = Stand(None)
    people = crowd(3, stand)
    stand.reply(Response(503, Fields([NO_STORE]), b"busy", reason("no_peer")))
    assert bodies(people) == [b"busy"] * 3 and len(stand.asked) == 1
    people.ask()
    people.ask()
    assert len(stand.asked) == 2, "and they collapse the next ones as before"


def test_early_hints_are_for_everybody_who_waits() -> None:
    stand = Stand(None)
    people = crowd(2, stand)
    stand.asked[0].inform(103, Fields([(b"link", b"</a.css>; rel=preload")]))
    assert [c.informed[0][1] for c in people.carriers] == [103, 103]


def test_parts_and_conditions_of_those_who_wait_are_their_own() -> None:
    stand = Stand(None)
    people = Crowd(stand)
    people.ask((b"range", b"bytes=0-1"))
    people.ask()
    people.ask((b"if-none-match", b'"a"'))
    assert len(stand.asked) == 1
    stand.reply(answer((b"etag", b'"a"'), body=b"0123"))
    assert [r and (r.status, r.body) for r in people.responses] == [(206, b"01"), (200, b"0123"), (304, b"")]


class Flow:
    """An answer that comes in pieces."""

    def __init__(self, stand: Stand, *fields: tuple[bytes, bytes]) -> None:
        self.body = Stream()
        stand.reply(answer(*fields, body=self.body))


def test_those_who_wait_take_the_body_while_it_comes() -> None:
    stand = Stand(None)
    people = crowd(2, stand)
    flow = Flow(stand)
    flow.body.write(b"one ")
    assert [drain(b) for b in bodies(people)] == [b"one ", b"one "]
    people.ask()
    flow.body.write(b"two")
    flow.body.end()
    assert [drain(b) for b in bodies(people)] == [b"two", b"two", b"one two"]
    assert len(stand.asked) == 1
    assert stand.get().body == b"one two"


def test_until_a_body_is_on_the_disk_it_is_had_from_who_fetched_it(tmp_path: Path) -> None:
    async def scene() -> None:
        disk = Disk(str(tmp_path / "cache"), 1 << 20)
        body = Stream()
        stand = Stand(answer(body=body), below=[disk], streaming=disk, largest=1)
        first = await waited(stand.send())
        body.write(b"all of it")
        body.end()
        second = await waited(stand.send())
        assert drain(first.body) == drain(second.body) == b"all of it"
        assert status_of(second) == b"enfilade; fwd=uri-miss; collapsed"
        await asyncio.gather(*flight._commits)
        assert status_of(await waited(stand.send())).startswith(b"enfilade; hit")
        assert len(stand.asked) == 1
        await asyncio.to_thread(disk.close)

    asyncio.run(scene())


async def waited(answer: Response | Awaitable[Response]) -> Response:
    return answer if isinstance(answer, Response) else await answer


def test_a_body_that_is_cut_is_not_stored() -> None:
    stand = Stand(None)
    people = crowd(2, stand)
    flow = Flow(stand)
    flow.body.write(b"half")
    flow.body.fail(reason("upstream_gone"))
    assert all(b.take() == b"half" and b.failure is not None for b in bodies(people))  # type: ignore[union-attr, attr-defined]
    people.ask()
    assert len(stand.asked) == 2


def test_a_body_goes_on_for_the_store_when_its_clients_are_gone() -> None:
    stand = Stand(None)
    people = crowd(1, stand)
    flow = Flow(stand)
    flow.body.write(b"one")
    people.answers[0].response.body.cancel(GONE)
    flow.body.write(b"two")
    flow.body.end()
    assert stand.get().body == b"onetwo" and len(stand.asked) == 1


def test_a_part_of_a_body_that_still_comes() -> None:
    stand = Stand(None)
    people = Crowd(stand)
    people.ask((b"range", b"bytes=0-2"))
    flow = Flow(stand, (b"content-length", b"10"))
    response = people.responses[0]
    assert response is not None and response.status == 206
    assert (response.fields.get(b"content-range"), response.fields.get(b"content-length")) == (b"bytes 0-2/10", b"3")
    for piece in (b"01", b"23", b"456789"):
        flow.body.write(piece)
    flow.body.end()
    assert drain(response.body) == b"012"
    assert stand.get().body == b"0123456789"


def test_what_is_larger_than_any_store_goes_through() -> None:
    stand = Stand(None, largest=100)
    people = crowd(2, stand)
    flow = Flow(stand, (b"content-length", b"1000"))
    assert people.responses[1] is None and len(stand.asked) == 2, "known beforehand: released"
    flow.body.write(b"x" * 1000)
    flow.body.end()
    assert drain(bodies(people)[0]) == b"x" * 1000
    assert not stand.memory.answers


def test_what_grows_too_large_goes_through_too() -> None:
    stand = Stand(None, largest=100)
    people = crowd(2, stand)
    flow = Flow(stand)
    flow.body.write(b"x" * 1000)
    flow.body.end()
    assert [drain(b) for b in bodies(people)] == [b"x" * 1000] * 2
    assert not stand.memory.answers


def test_events_are_one_clients() -> None:
    stand = Stand(None)
    people = crowd(2, stand)
    flow = Flow(stand, (b"content-type", b"text/event-stream; charset=utf-8"))
    assert people.responses[0] is not None and people.responses[0].body is flow.body
    assert len(stand.asked) == 2


def test_a_file_needs_no_copy() -> None:
    closed = []
    stand = Stand(
        Response(200, Fields([(b"cache-control", b"max-age=9")]), FileSlice(-1, 0, 9, lambda: closed.append(1)))
    )
    first, second = stand.get(), stand.get()
    assert isinstance(first.body, FileSlice) and isinstance(second.body, FileSlice)
    assert len(stand.asked) == 2 and not closed


def test_who_wants_a_part_of_what_is_not_stored_gets_that_part() -> None:
    for why in (NO_STORE, (b"set-cookie", b"a=1"), (b"vary", b"*")):
        part = Stand(answer(why, body=b"0123456789")).get("/", (b"range", b"bytes=0-2"))
        assert (part.status, part.body, part.fields.get(b"content-range")) == (206, b"012", b"bytes 0-2/10")
        assert part.fields.get(b"content-length") == b"3" and b"stored" not in status_of(part)


def test_and_the_rest_of_what_flows_is_not_even_read() -> None:
    body = Stream()
    stand = Stand(answer((b"content-length", b"10000"), body=body), largest=5000)
    part = stand.get("/", (b"range", b"bytes=0-4"))
    assert (part.status, part.fields.get(b"content-range")) == (206, b"bytes 0-4/10000")
    body.write(b"0123")
    assert isinstance(part.body, Stream) and part.body.take() == b"0123" and body.failure is None
    body.write(b"456")
    assert drain(part.body) == b"4" and body.failure is GONE


def test_nor_is_a_file_that_needs_no_copy() -> None:
    closed: list[bool] = []
    part = Stand(
        Response(200, Fields([(b"cache-control", b"max-age=60")]), FileSlice(7, 100, 50, lambda: closed.append(True)))
    ).get("/", (b"range", b"bytes=0-9"))
    assert part.status == 206 and isinstance(part.body, FileSlice) and not closed
    assert (part.body.fd, part.body.offset, part.body.length) == (7, 100, 10)


def test_but_not_of_what_has_no_known_end_or_is_another_than_the_client_has() -> None:
    assert Stand(answer(NO_STORE, body=Stream())).get("/", (b"range", b"bytes=0-2")).status == 200
    other = (b"range", b"bytes=0-2"), (b"if-range", b'"b"')
    assert Stand(answer(NO_STORE, (b"etag", b'"a"'), body=b"0123")).get("/", *other).status == 200
    assert Stand(answer(NO_STORE, body=b"0123")).get("/", (b"range", b"bytes=0-0,2-3")).status == 200


def test_who_has_what_is_not_stored_is_told_so_before_it_flows() -> None:
    body = Stream()
    stand = Stand(answer(NO_STORE, (b"etag", b'"a"'), (b"content-length", b"9"), body=body))
    assert stand.get("/", (b"if-none-match", b'"a"')).status == 304 and body.failure is GONE


def test_an_answer_that_nobody_wants_any_more_is_let_go() -> None:
    closed: list[int] = []
    stand = Stand(None)
    people = crowd(1, stand)
    people.leave(0)
    stand.reply(Response(200, Fields(), FileSlice(-1, 0, 9, lambda: closed.append(1))))
    assert closed == [1]


def test_whoever_gives_up_waiting_leaves() -> None:
    stand = Stand(None)
    people = crowd(1, stand)
    waiting = people.answers[0]
    assert isinstance(waiting, Pending)
    waiting.abandon()
    assert len(stand.aborted) == 1


def test_what_must_be_validated_each_time_is_shared_with_nobody() -> None:
    stand = Stand(None)
    people = crowd(3, stand)
    stand.reply(answer((b"cache-control", b"no-cache"), (b"etag", b'"a"')))
    assert bodies(people) == [b"body", None, None] and len(stand.asked) == 3
    assert stand.asked[1].request.fields.get(b"if-none-match") == b'"a"'
    for _ in range(2):
        stand.reply(Response(304, Fields([(b"etag", b'"a"')])))
    assert bodies(people) == [b"body"] * 3
    people.ask()
    people.ask()
    assert len(stand.asked) == 5, "each asks for itself, and nobody waits"


def test_an_answer_that_is_not_stored_keeps_the_next_from_nothing() -> None:
    """What is one client's own is asked for at any time: what is for all is stored between two such answers, too."""
    stand = Stand(answer((b"cache-control", b"private")), answer())
    stand.get("/", (b"cookie", b"user=7"))
    assert status_of(stand.get()) == b"enfilade; fwd=bypass; stored; detail=hit_for_miss"
    assert b"hit" in status_of(stand.get()) and len(stand.asked) == 2


def test_an_origin_that_fails_releases_those_who_wait_at_once() -> None:
    """Not one after the other. A moment later one asks for all again."""
    stand = Stand(None)
    people = crowd(4, stand)
    stand.reply(Response(500, body=b"0"))
    assert len(stand.asked) == 4
    for i in (1, 2, 3):
        stand.reply(Response(500, body=b"%d" % i))
    assert bodies(people) == [b"0", b"1", b"2", b"3"]
    stand.pass_by(FAILING)
    crowd(4, stand)
    assert len(stand.asked) == 5


def test_stale_answers_help_also_where_the_last_answer_was_not_stored() -> None:
    stand = Stand(answer((b"cache-control", b"max-age=1, stale-if-error=600")), answer((b"cache-control", b"private")))
    stand.get()
    stand.pass_by(10)
    stand.get("/", (b"cookie", b"user=7"))
    stand.answers = [Response(503)]
    assert stand.get().status == 200
