"""Applications of five frameworks, unmodified, by real clients over HTTP/1.1 and HTTP/2; and how applications start and end."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import PATIENCE, ROOT, Server, Start

APPS = Path(__file__).parent / "apps"
FRAMEWORKS = {
    "fastapi": "with_fastapi:app",
    "starlette": "with_starlette:app",
    "django-asgi": "with_django:asgi",
    "django-wsgi": "with_django:wsgi",
    "flask": "with_flask:app",
    "litestar": "with_litestar:app",
}
UPLOAD = os.urandom(3 << 20)


def config(targets: dict[str, str], server: str = "", routes: str = "", app: str = "") -> str:
    """Each application mounted at its name; those of `server`, `routes` and `app` besides."""
    mounted = "\n".join(f'"/{name}/*" = {{ app = "{name}" }}' for name in targets)
    tables = "\n".join(
        f'[apps.{name}]\ntarget = "{target}"\npath = "{APPS}"\nworkers = 1\n{app}' for name, target in targets.items()
    )
    return f"""
[server]
http = "127.0.0.1:0"
https = "127.0.0.1:0"
workers = 1
{server}
[sites."*"]
tls = "internal"
{routes}
{mounted}
{tables}
"""


@pytest.fixture(scope="module")
def server(start_once: Start) -> Server:
    return start_once(config(FRAMEWORKS, routes='"/*" = { app = "fastapi" }'))


@pytest.fixture(scope="module", params=["http1", "http2"])
def client(server: Server, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    http2 = request.param == "http2"
    url = server.url("https" if http2 else "http")
    with httpx.Client(base_url=url, http2=http2, verify=False, timeout=10) as client:
        yield client
        assert client.get("/fastapi/items/1").http_version == ("HTTP/2" if http2 else "HTTP/1.1")


@pytest.fixture(params=FRAMEWORKS)
def mount(request: pytest.FixtureRequest) -> str:
    return f"/{request.param}"


def test_json_with_a_path_parameter_and_the_mount_in_what_is_built(client: httpx.Client, mount: str) -> None:
    response = client.get(f"{mount}/items/7", params={"q": "grün & blau"})
    assert response.status_code == 200
    assert response.json() == {"number": 7, "q": "grün & blau", "url": f"{client.base_url}{mount}/items/7"}


def test_not_mounted(client: httpx.Client) -> None:
    assert client.get("/items/7").json()["url"] == f"{client.base_url}/items/7"


def test_json_body(client: httpx.Client, mount: str) -> None:
    value = {"a": [1, 2, {"b": None}], "text": "grün" * 5000}
    assert client.post(f"{mount}/echo", json=value).json() == value


def test_form(client: httpx.Client, mount: str) -> None:
    fields = {"name": "Ada & Co", "town": "Köln"}
    assert client.post(f"{mount}/form", data=fields).json() == fields


def test_upload(client: httpx.Client, mount: str) -> None:
    response = client.post(f"{mount}/upload", files={"file": ("big.bin", UPLOAD)})
    assert response.json() == {"name": "big.bin", "size": len(UPLOAD), "sha": hashlib.sha256(UPLOAD).hexdigest()}


def test_redirect(client: httpx.Client, mount: str) -> None:
    response = client.get(f"{mount}/redirect", follow_redirects=True)
    assert [r.is_redirect for r in response.history] == [True]
    assert response.json()["number"] == 7


def test_cookies(client: httpx.Client, mount: str) -> None:
    response = client.get(f"{mount}/cookies", headers={"cookie": "a=1; b=2"})
    assert response.json() == {"a": "1", "b": "2"}
    assert [line.split(";")[0] for line in response.headers.get_list("set-cookie")] == ["first=1", "second=2"]
    client.cookies.clear()


def test_not_found(client: httpx.Client, mount: str) -> None:
    assert client.get(f"{mount}/nothing").status_code == 404
    assert client.head(f"{mount}/nothing").status_code == 404


def test_an_answer_to_head_counts_without_its_body(client: httpx.Client, server: Server) -> None:
    assert int(client.head("/starlette/nothing").headers["content-length"]) == 9
    server.wait_for('"HEAD /starlette/nothing HTTP/[0-9.]+" 404 0')


def test_exception_f21(client: httpx.Client, mount: str, server: Server) -> None:
    assert client.get(f"{mount}/raise").status_code == 500
    assert client.get(f"{mount}/items/1").status_code == 200
    if mount not in ("/litestar", "/django-asgi", "/django-wsgi"):  # they log nothing unless they are configured to
        server.wait_for("ZeroDivisionError: by " + mount[1:])


def test_stream(client: httpx.Client, mount: str) -> None:
    with client.stream("GET", f"{mount}/stream") as response:
        assert "content-length" not in response.headers
        assert response.read().decode() == "".join(f"piece {i}\n" for i in range(5))


def test_state_of_the_lifespan(client: httpx.Client) -> None:
    assert client.get("/fastapi/state").json() == "from lifespan"


# -- the start and the end


def refused(directory: Path, target: str, app: str = "") -> str:
    """What a server says that cannot start with the application `target`."""
    (directory / "enfilade.toml").write_text(config({"shop": target}, app=app))
    command = [sys.executable, "-m", "enfilade", "up", "-c", "enfilade.toml"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("with_nothing:app", "the application shop cannot be started: with_nothing:app: there is no module"),
        ("plain:ap", "has no 'ap'; did you mean app"),
        ("plain:MB", "is not callable, so it is no application"),
        ("plain:refuses", "the application failed to start: the database is not there"),
        ("broken:app", "ZeroDivisionError: while it is imported"),
    ],
)
def test_an_application_that_cannot_start_refuses_the_start(tmp_path: Path, target: str, message: str) -> None:
    output = refused(tmp_path, target)
    assert message in output
    assert ("Traceback" in output) is (target == "broken:app")


def test_lifespan_runs_to_its_end_at_a_stop(start: Start) -> None:
    server = start(config({"fastapi": "with_fastapi:app", "plain": "plain:app"}))
    server.wait_for("fastapi starts")
    assert server.stop() == 0
    assert "fastapi has shut down" in server.output and "plain has shut down" in server.output


@pytest.mark.parametrize("target", ["with_flask", "with_fastapi:app"])  # a module alone, and what is called what in it
def test_run_behind_a_proxy_that_takes_a_prefix_off(start: Start, target: str) -> None:
    directory = str(APPS)
    server = start("", "run", target, "--http", "127.0.0.1:0", "--app-dir", directory, "--root-path", "/shop")
    for path in ("/items/7", "/shop/items/7"):  # and one that leaves it
        assert httpx.get(server.url() + path, timeout=PATIENCE).json()["url"] == f"{server.url()}/shop/items/7"


def test_wsgi_calls_run_in_so_many_threads_and_the_others_wait(start: Start) -> None:
    server = start(config({"plain": "plain_wsgi:app"}, routes='"/meets" = { app = "plain" }', app="threads = 2\n"))
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: httpx.get(f"{server.url()}/meets", timeout=PATIENCE).text, range(8)))
    assert answers == ["2"] * 8
