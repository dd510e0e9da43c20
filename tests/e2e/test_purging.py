"""Purging, with real processes: what an application, the command line or a client purges is used by no worker any more."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Iterator
from functools import partial
from http.client import HTTPConnection

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.processes import command, metrics, status, until, write

ASGI = """
import itertools
import os
from enfilade.app import purge, tag
count = map(f"{os.getpid()}{{:06}}".format, itertools.count(1))  # two workers count each by itself

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await receive()
    path, body = scope["path"], next(count).encode()
    if scope["method"] == "POST":
        purge(scope["query_string"].decode(), soft=path == "/soft")
    else:
        tag("every", path.strip("/").replace("/", "."))
    headers = [(b"cache-control", b"max-age=3600"), (b"surrogate-key", b"by-field")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
"""
WSGI = """
import itertools
import os
from enfilade.app import purge, tag
count = map(f"{os.getpid()}{{:06}}".format, itertools.count(1))  # two workers count each by itself

def app(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        purge(environ["QUERY_STRING"])
    else:
        tag("every", environ["PATH_INFO"].strip("/").replace("/", "."))
    start_response("200 OK", [("cache-control", "max-age=3600")])
    return [next(count).encode()]
"""
CONFIG = """
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
workers = 2
pid_file = "pid"
[cache]
memory = "4MB"
purge_token = "secret"
[sites."*"]
log = {{ to = "access.log", format = "json" }}
"GET /read/*" = {{ app = "main", cache = true }}
"/*" = {{ app = "main", cache = true }}
"/uncached" = {{ app = "main" }}
[apps.main]
target = "shop:app"
{how}
"""
KINDS = {
    "inline": (ASGI, "inline = true"),
    "isolated": (ASGI, "workers = 1"),
    "wsgi_inline": (WSGI, "inline = true"),
    "wsgi_isolated": (WSGI, "workers = 1"),
}
Answer = tuple[int, dict[str, str], str]


def ask(server: Server, path: str, method: str = "GET", **fields: str) -> Answer:
    """On a connection of its own, so that either worker may answer."""
    connection = HTTPConnection(*server.address(), timeout=20)
    try:
        given = {name.replace("_", "-"): value for name, value in fields.items()}
        connection.request(method, path, headers={"Host": "shop.example", "Connection": "close", **given})
        response = connection.getresponse()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read().decode()
    finally:
        connection.close()


def hit(server: Server, path: str) -> str:
    """The body of an answer that comes from the cache now, in whichever worker: 20 connections meet both."""
    ask(server, path)
    answers = [ask(server, path) for _ in range(20)]
    assert {fields["cache-status"].partition(";")[2].split(";")[0] for _, fields, _ in answers} == {" hit"}
    (body,) = {body for _, _, body in answers}
    return body


def fresh(server: Server, path: str, before: str) -> None:
    """Nobody gets `before` any more, and the new answer is stored again."""
    assert ask(server, path)[2] != before
    assert hit(server, path) != before


@pytest.fixture(scope="module", params=KINDS)
def server(request: pytest.FixtureRequest, start_once: Start) -> Server:
    source, how = KINDS[request.param]
    config = CONFIG.format(how=how).replace('"pid"', f'"{request.param}"')
    return start_once(config, files={"shop.py": source})


def test_an_application_tags_and_purges(server: Server) -> None:
    user, page, below = hit(server, "/user/7"), hit(server, "/page?q=1"), hit(server, "/dir/a/b")
    assert ask(server, "/purge?user.7", "POST")[0] == 200
    fresh(server, "/user/7", user)
    assert hit(server, "/page?q=1") == page
    ask(server, "/purge?http://shop.example/page", "POST")
    fresh(server, "/page?q=1", page)
    ask(server, "/purge?https://shop.example/dir/*", "POST")
    fresh(server, "/dir/a/b", below)
    before = hit(server, "/user/7"), hit(server, "/page?q=1")
    ask(server, "/purge?every", "POST")
    fresh(server, "/user/7", before[0])
    fresh(server, "/page?q=1", before[1])


def test_tags_do_not_go_on_to_clients(server: Server) -> None:
    for _ in range(3):
        fields = ask(server, "/user/7")[1]
        assert "cache-tag" not in fields
        assert "surrogate-key" not in fields
    assert "every" in ask(server, "/uncached")[1]["cache-tag"]


@pytest.fixture
def isolated(start: Start) -> Server:
    source, how = KINDS["isolated"]
    return start(CONFIG.format(how=how), files={"shop.py": source})


def test_what_is_stored_and_purged_outlives_a_reload(isolated: Server) -> None:
    server = isolated
    kept = hit(server, "/kept")
    hit(server, "/purged")
    ask(server, "/purge?purged", "POST")
    server.signal(signal.SIGHUP)
    until(lambda: status(server)["reloads"] == 1)
    assert hit(server, "/kept") == kept
    assert "hit" not in ask(server, "/purged")[1]["cache-status"]
    ask(server, "/purge?kept", "POST")  # by the application that the reload has started
    fresh(server, "/kept", kept)


def test_a_cache_that_a_reload_switches_on_can_be_purged(start: Start) -> None:
    source, how = KINDS["isolated"]
    config = CONFIG.format(how=how)
    server = start(config.replace("cache = true", "cache = false"), files={"shop.py": source})
    assert "cache-status" not in ask(server, "/user/7")[1]
    assert ask(server, "/purge?user.7", "POST")[0] == 200  # nothing to purge, and no error
    write(server, config)
    server.signal(signal.SIGHUP)
    until(lambda: status(server)["reloads"] == 1)
    before = hit(server, "/user/7")
    ask(server, "/purge?user.7", "POST")
    fresh(server, "/user/7", before)


# -- the command line


def test_the_command_purges(isolated: Server) -> None:
    server = isolated
    admin = server.wait_for(r"admin").split("http://")[1].split()[0]
    write(
        server, (server.directory / "enfilade.toml").read_text().replace('admin = "127.0.0.1:0"', f'admin = "{admin}"')
    )
    user, page = hit(server, "/user/7"), hit(server, "/page")
    done = command(server, "purge", "user.7", "no-such-tag")
    assert (done.returncode, done.stdout) == (0, "user.7: purged\nno-such-tag: purged\n"), done.stderr
    fresh(server, "/user/7", user)
    done = command(server, "purge", "--json", "--soft", "http://shop.example/page")
    assert json.loads(done.stdout) == {"purged": ["http://shop.example/page"], "soft": True}
    assert ask(server, "/page")[1]["cache-status"].startswith("enfilade; fwd=stale")
    assert hit(server, "/page") != page
    done = command(server, "purge", "*")
    assert done.stdout == "*: purged\n"
    assert ask(server, "/page")[1]["cache-status"].endswith("detail=purged_before")
    done = command(server, "purge", "/page")
    assert done.returncode == 2
    assert "begins with http://" in done.stderr
    assert metrics(server)["enfilade_cache_purges_total"] == 4


# -- the method


def curl(server: Server, path: str, *options: str) -> tuple[int, str]:
    host, port = server.address()
    done = subprocess.run(
        ["curl", "-s", "-X", "PURGE", "-w", "\n%{http_code}", "-H", "Host: shop.example", *options,
         f"http://{host}:{port}{path}"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    body, _, code = done.stdout.rpartition("\n")
    return int(code), body


TOKEN = ("-H", "Authorization: Bearer secret")


@pytest.fixture(scope="module")
def one(start_once: Start) -> Iterator[Server]:
    source, how = KINDS["isolated"]
    return start_once(CONFIG.format(how=how), files={"shop.py": source})


def test_purge_by_method(one: Server) -> None:
    before = hit(one, "/item?a=1"), hit(one, "/item?a=2"), hit(one, "/other")
    assert curl(one, "/item?a=1", *TOKEN) == (200, '{"purged":["http://shop.example/item?a=1"],"soft":false}')
    fresh(one, "/item?a=1", before[0])
    assert hit(one, "/item?a=2") == before[1]
    assert curl(one, "/item", *TOKEN)[0] == 200
    fresh(one, "/item?a=2", before[1])
    assert hit(one, "/other") == before[2]
    assert curl(one, "/*", *TOKEN)[0] == 200
    fresh(one, "/other", before[2])


def test_purge_by_method_where_the_pattern_names_another(one: Server) -> None:
    before = hit(one, "/read/a")
    assert curl(one, "/read/a", *TOKEN)[0] == 200
    fresh(one, "/read/a", before)


def test_tags_by_method(one: Server) -> None:
    before, other = hit(one, "/tagged"), hit(one, "/untouched")
    assert curl(one, "/untouched", *TOKEN, "-H", "Surrogate-Key: tagged") == (200, '{"purged":["tagged"],"soft":false}')
    fresh(one, "/tagged", before)
    assert hit(one, "/untouched") == other


def test_soft_by_method(one: Server) -> None:
    hit(one, "/soft")
    assert curl(one, "/soft", *TOKEN, "-H", "Soft-Purge: 1")[1].endswith('"soft":true}')
    assert ask(one, "/soft")[1]["cache-status"].startswith("enfilade; fwd=stale")


@pytest.mark.parametrize("options", [(), ("-H", "Authorization: Bearer wrong"), ("-H", "Authorization: secret")])
def test_without_the_token_nothing_is_purged(one: Server, options: tuple[str, ...]) -> None:
    before = hit(one, "/safe")
    assert curl(one, "/safe", *options)[0] == 401
    assert hit(one, "/safe") == before


def test_a_name_that_means_nothing_is_told(one: Server) -> None:
    code, body = curl(one, "/a*", *TOKEN)
    assert code == 400
    assert "begins at a /" in json.loads(body)["why"]


def test_where_nothing_is_cached_the_method_is_the_applications(one: Server) -> None:
    assert curl(one, "/uncached", *TOKEN)[0] == 200
    assert curl(one, "/uncached")[1].isdigit()


def test_the_log_says_what_the_cache_did(one: Server) -> None:
    for _ in range(2):
        ask(one, "/logged")
    ask(one, "/logged", "POST")
    for word in ("uri_miss", "hit", "method"):
        assert one.logged("access.log", partial(_says, word))


def _says(word: str, line: str) -> bool:
    return "/logged" in line and json.loads(line)["cache"] == word


# -- looking into it


def test_what_is_stored_can_be_looked_at(isolated: Server) -> None:
    server = isolated
    admin = server.wait_for(r"admin").split("http://")[1].split()[0]
    write(
        server, (server.directory / "enfilade.toml").read_text().replace('admin = "127.0.0.1:0"', f'admin = "{admin}"')
    )
    for path in ("/user/7", "/user/8", "/page?q=1", "/page?q=2"):
        hit(server, path)
    facts = json.loads(command(server, "cache", "--json", "--by", "age", "--top", "2").stdout)
    (memory,) = facts["stores"]
    assert (memory["store"], memory["answers"], memory["evictions"]) == ("memory", 4, 0)
    assert [answer["url"] for answer in facts["answers"]] == [
        "http://shop.example/page?q=2",
        "http://shop.example/page?q=1",
    ]
    assert facts["answers"][0]["tags"] == ["by-field", "every", "page"]
    row = next(row for row in facts["routes"] if row["route"] == "/*")
    assert (row["hit"], row["miss"]) == (80, 4)
    samples = metrics(server)
    assert samples['enfilade_cache_objects{store="memory"}'] == 4
    assert 0 < samples['enfilade_cache_bytes{store="memory"}'] < 4 << 20
    assert samples['enfilade_cache_evictions_total{store="memory"}'] == 0

    def addresses(name: str) -> list[tuple[str, str]]:
        found = json.loads(command(server, "cache", name, "--json").stdout)["answers"]
        return sorted((answer["url"], answer["state"]) for answer in found)

    assert addresses("user.7") == [("http://shop.example/user/7", "fresh")]
    command(server, "purge", "user.7")
    assert addresses("https://shop.example/user/*") == [
        ("http://shop.example/user/7", "purged"), ("http://shop.example/user/8", "fresh")
    ]  # fmt: skip
    text = command(server, "cache", "https://shop.example/page").stdout
    assert "memory: 2 answers" in text
    assert "95.2%" in text
    assert "http://shop.example/page?q=1" in text
