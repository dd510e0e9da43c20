"""The examples serve what they say that they serve."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.e2e.conftest import ROOT, Start

EXAMPLES = ROOT / "examples"
Serve = Callable[[str], httpx.Client]


@pytest.fixture(scope="module")
def serve_example(start_once: Start, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """A client of the example's server, which takes a free port."""

    def serve(name: str) -> httpx.Client:
        copy: Path = shutil.copytree(EXAMPLES / name, tmp_path_factory.mktemp("example") / name)
        file = copy / "enfilade.toml"
        file.write_text(file.read_text().replace("127.0.0.1:8000", "127.0.0.1:0"))
        return httpx.Client(base_url=start_once("", "up", "-c", str(file)).url())

    return serve


def test_a_single_page_application_and_its_api(serve_example: Serve) -> None:
    with serve_example("spa") as client:
        page = client.get("/", headers={"accept": "text/html"})
        assert page.status_code == 200 and "<title>Notes" in page.text
        assert client.get("/about", headers={"accept": "text/html"}).content == page.content
        assert client.get("/missing.js").status_code == 404
        assert client.post("/api/notes", json={"text": "new"}).status_code == 201
        assert client.get("/api/notes").json()[-1] == "new"
        assert client.get("/api/openapi.json").json()["servers"] == [{"url": "/api"}]


def test_flask_and_django_know_where_they_are_mounted(serve_example: Serve) -> None:
    with serve_example("frameworks") as client:
        assert client.get("/").headers["location"] == "/flask/"
        for name in ("flask", "django"):
            assert client.get(f"/{name}/").text == f"{name.title()}, mounted at /{name}/\n"
            assert client.get(f"/{name}/Ada").text == "Hello Ada\n"
