"""The demo's API: each method and status as RFC 9110 means it. In process; `examples/campus/check.py` walks the wire."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from examples.campus import api
from examples.campus.__main__ import CONFIG
from examples.campus.news import News
from examples.campus.store import Store

from enfilade.config import load

Ask = Callable[..., httpx.Response]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    before = api.app.state.store
    api.app.state.store = store = Store(str(tmp_path / "campus.sqlite"))
    store.create()
    yield store
    api.app.state.store = before


@pytest.fixture
def ask(store: Store) -> Ask:
    def ask(method: str, path: str, json: Any = None, **fields: str) -> httpx.Response:
        async def main() -> httpx.Response:
            transport = httpx.ASGITransport(api.app, root_path="/api")
            async with httpx.AsyncClient(transport=transport, base_url="https://e.com") as client:
                headers = {name.replace("_", "-"): value for name, value in fields.items()}
                return await client.request(method, "/api" + path, json=json, headers=headers)

        return asyncio.run(main())

    return ask


ADA = {"name": "Ada B.", "email": "ada.b@e.com"}


def test_its_configuration_is_valid_and_finds_its_files() -> None:
    config = load(str(CONFIG))
    site = config.sites["*"]
    assert (Path(site.routes["/*"].files or "") / "campus.js").is_file()
    assert Path(config.apps["campus"].path) == Path(__file__).parents[2]


def test_a_list_comes_in_pages_and_says_where_the_others_are(ask: Ask) -> None:
    r = ask("GET", "/students?page=2&size=5")
    assert r.status_code == 200 and len(r.json()) == 5 and r.headers["x-total-count"] == "12"
    links = re.findall(r'<([^>]*)>; rel="(\w+)"', r.headers["link"])
    assert {rel: url for url, rel in links} == {
        "first": "/api/students?size=5&page=1",
        "prev": "/api/students?size=5&page=1",
        "next": "/api/students?size=5&page=3",
        "last": "/api/students?size=5&page=3",
    }
    assert len(ask("GET", "/students?page=3&size=5").json()) == 2


def test_a_list_can_be_searched(ask: Ask) -> None:
    assert [s["name"] for s in ask("GET", "/students?q=hopper").json()] == ["Grace Hopper"]


@pytest.mark.parametrize("path", ["/students/1", "/students", "/courses", "/courses/1", "/students/1/card"])
def test_304_to_who_has_it_until_it_changes(ask: Ask, path: str) -> None:
    tag = ask("GET", path).headers["etag"]
    again = ask("GET", path, if_none_match=f'"other", {tag}')
    assert again.status_code == 304 and again.content == b"" and again.headers["etag"] == tag
    assert ask("GET", path, if_none_match='"other"').status_code == 200


def test_a_change_gives_a_new_tag(ask: Ask) -> None:
    before = [ask("GET", path).headers["etag"] for path in ("/students/1", "/students")]
    ask("PATCH", "/students/1", {"name": "New"})
    after = [ask("GET", path).headers["etag"] for path in ("/students/1", "/students")]
    assert before[0] != after[0] and before[1] != after[1]


def test_head_is_get_without_its_content(ask: Ask) -> None:
    head, get = ask("HEAD", "/students/1"), ask("GET", "/students/1")
    assert (head.status_code, head.headers["etag"]) == (200, get.headers["etag"])


def test_post_makes_a_student_and_says_where(ask: Ask) -> None:
    r = ask("POST", "/students", ADA)
    assert r.status_code == 201 and re.fullmatch(r"/api/students/\d+", r.headers["location"])
    got = ask("GET", r.headers["location"].removeprefix("/api"))
    assert got.json() == r.json() and got.headers["etag"] == r.headers["etag"]


def test_the_same_address_twice_is_a_conflict(ask: Ask) -> None:
    assert ask("POST", "/students", ADA).status_code == 201
    r = ask("POST", "/students", ADA)
    assert r.status_code == 409 and r.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "body", [{}, {"name": "", "email": "a@b.c"}, {"name": "A", "email": "nowhere"}, {**ADA, "grade": 1}, [], "x"]
)
def test_content_that_is_not_valid_is_422(ask: Ask, body: object) -> None:
    r = ask("POST", "/students", body)
    assert r.status_code == 422 and r.json()["errors"]


def test_put_replaces_the_version_that_was_seen(ask: Ask) -> None:
    tag = ask("GET", "/students/1").headers["etag"]
    assert ask("PUT", "/students/1", ADA).status_code == 428
    r = ask("PUT", "/students/1", ADA, if_match=tag)
    assert r.status_code == 200 and r.json() == {"id": 1, **ADA} and r.headers["etag"] != tag
    late = ask("PUT", "/students/1", {**ADA, "name": "Late"}, if_match=tag)
    assert late.status_code == 412 and late.headers["etag"] == r.headers["etag"]
    assert ask("GET", "/students/1").json()["name"] == "Ada B."
    assert ask("PUT", "/students/1", {"name": "half"}, if_match=r.headers["etag"]).status_code == 422


def test_patch_changes_what_it_names(ask: Ask) -> None:
    before = ask("GET", "/students/1").json()
    assert ask("PATCH", "/students/1", {"name": "Countess"}).json() == {**before, "name": "Countess"}
    assert ask("PATCH", "/students/1", {"name": "x"}, if_match='"1.1"').status_code == 412
    assert ask("PATCH", "/students/1", {"name": None}).status_code == 422


def test_delete_takes_card_and_enrolments_along(ask: Ask) -> None:
    assert ask("DELETE", "/students/1", if_match='"old"').status_code == 412
    r = ask("DELETE", "/students/1")
    assert (r.status_code, r.content) == (204, b"")
    assert [ask("GET", f"/students/1{p}").status_code for p in ("", "/card", "/enrolments")] == [404] * 3
    assert ask("DELETE", "/students/1").status_code == 404


def test_one_to_one(ask: Ask) -> None:
    student = ask("POST", "/students", ADA).json()["id"]
    card = {"number": "C-777", "valid_until": "2031-01-31"}
    assert ask("GET", f"/students/{student}/card").status_code == 404
    assert ask("PUT", f"/students/{student}/card", card).status_code == 201
    assert ask("PUT", f"/students/{student}/card", card).status_code == 200
    assert ask("PUT", "/students/2/card", card).status_code == 409
    assert ask("PUT", "/students/9999/card", {**card, "number": "C-778"}).status_code == 404
    assert ask("DELETE", f"/students/{student}/card").status_code == 204


def test_one_to_many(ask: Ask) -> None:
    assert [c["code"] for c in ask("GET", "/teachers/2/courses").json()] == ["LOG1", "NET1"]
    assert ask("GET", "/teachers/99/courses").status_code == 404
    course = {"code": "GEO1", "title": "Geometry", "credits": 5, "teacher_id": 2}
    r = ask("POST", "/courses", course)
    assert r.status_code == 201 and len(ask("GET", "/teachers/2/courses").json()) == 3
    assert ask("POST", "/courses", course).status_code == 409
    assert ask("POST", "/courses", {**course, "code": "GEO2", "teacher_id": 99}).status_code == 422
    assert ask("DELETE", r.headers["location"].removeprefix("/api")).status_code == 204
    assert ask("DELETE", "/courses/1").status_code == 409


def test_many_to_many(ask: Ask) -> None:
    student = ask("POST", "/students", ADA).json()["id"]
    path = f"/students/{student}/enrolments"
    r = ask("POST", path, {"course_id": 3})
    assert r.status_code == 201 and r.headers["location"] == f"/api{path}/3" and r.json()["grade"] is None
    assert ask("POST", path, {"course_id": 3}).status_code == 409
    assert ask("POST", path, {"course_id": 99}).status_code == 422
    assert ask("POST", "/students/9999/enrolments", {"course_id": 3}).status_code == 404
    assert ask("PATCH", f"{path}/3", {"grade": 101}).status_code == 422
    assert ask("PATCH", f"{path}/3", {"grade": 95}).json()["grade"] == 95
    assert student in [e["student_id"] for e in ask("GET", "/courses/3/students").json()]
    assert [e["code"] for e in ask("GET", path).json()] == ["NET1"]
    assert ask("DELETE", f"{path}/3").status_code == 204
    assert ask("GET", f"{path}/3").status_code == 404


def test_options_and_405_name_all_methods(ask: Ask) -> None:
    r = ask("OPTIONS", "/students/1")
    assert (r.status_code, r.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS, PATCH, PUT")
    r = ask("DELETE", "/students")
    assert (r.status_code, r.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    assert ask("OPTIONS", "/nothing").status_code == ask("GET", "/nothing").status_code == 404


def test_workers_that_start_together_fill_the_database_once(store: Store) -> None:
    async def main() -> None:
        await asyncio.gather(*[asyncio.to_thread(Store(store.path).create) for _ in range(4)])

    asyncio.run(main())
    with store.transaction() as db:
        assert db.execute("SELECT count(*) FROM students").fetchone()[0] == 12


def test_old_changes_are_forgotten(store: Store) -> None:
    with store.transaction(write=True) as db:
        for i in range(1200):
            db.execute("UPDATE students SET name = ? WHERE id = 1", (str(i),))
        assert db.execute("SELECT count(*) FROM changes").fetchone()[0] == 1000


def test_a_change_by_any_worker_reaches_the_sockets_of_every_worker(store: Store) -> None:
    async def main() -> None:
        api.app.state.news = news = News(store)
        watching = asyncio.create_task(news.watch())
        inbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        outbox: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        scope = {
            "type": "websocket", "path": "/api/changes", "raw_path": b"/api/changes", "root_path": "/api", "headers": [],
            "query_string": b"", "scheme": "wss", "server": ("e.com", 443), "client": ("::1", 1), "subprotocols": [],
            "asgi": {"version": "3.0"},
        }  # fmt: skip

        async def send(message: Any) -> None:
            await outbox.put(message)

        socket: Awaitable[None] = asyncio.ensure_future(api.app(scope, inbox.get, send))
        await inbox.put({"type": "websocket.connect"})
        assert (await outbox.get())["type"] == "websocket.accept"
        hello = json.loads((await outbox.get())["text"])
        assert hello == {"what": "hello", "id": store.last_change()}
        with Store(store.path).transaction(write=True) as db:  # another worker's connection
            db.execute("INSERT INTO students (name, email) VALUES ('Z', 'z@e.com')")
        change = json.loads((await asyncio.wait_for(outbox.get(), 5))["text"])
        assert change == {"id": hello["id"] + 1, "what": "students", "kind": "insert", "key": 13}
        await inbox.put({"type": "websocket.disconnect", "code": 1001})
        await asyncio.wait_for(socket, 5)
        watching.cancel()

    asyncio.run(main())
