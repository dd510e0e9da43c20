"""Directory listings: off by default, escaped, and only what would be served."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from enfilade.exchange.response import Response
from enfilade.handlers import listing
from enfilade.handlers.files import Files
from enfilade.handlers.listing import size_text
from enfilade.testing.exchange import make_exchange


@pytest.fixture
def root(tmp_path: Path) -> Path:
    inside = tmp_path / "site"
    (inside / "b dir").mkdir(parents=True)
    (inside / "indexed").mkdir()
    (inside / "indexed" / "index.html").write_bytes(b"index")
    for name in ("a&b.txt", "<script>.txt", 'quote".txt', "java:script", ".hidden", "Z.bin"):
        (inside / name).write_bytes(b"x" * 1500)
        os.utime(inside / name, (1_000_000_000, 1_000_000_000))
    (inside / "out").symlink_to("..")
    (inside / "in").symlink_to("Z.bin")
    os.mkfifo(inside / "fifo")
    return inside


def ask(root: Path, path: str, accept: bytes = b"text/html", mount: str = "") -> Response:
    async def scenario() -> Response:
        answer = Files(str(root), listing=True)(make_exchange(path=path, fields=[(b"accept", accept)], mount=mount))
        return answer if isinstance(answer, Response) else await answer

    return asyncio.run(scenario())


def test_off_by_default(root: Path) -> None:
    answer = Files(str(root))(make_exchange("GET", "/"))
    assert isinstance(answer, Response) and answer.status == 404


def test_names_are_escaped_and_links_relative(root: Path) -> None:
    r = ask(root, "/")
    assert isinstance(r.body, bytes)
    page = r.body.decode()
    assert (r.status, r.fields.get(b"content-type")) == (200, b"text/html; charset=utf-8")
    assert "<script>" not in page and "&lt;script&gt;.txt" in page
    assert 'href="./a%26b.txt"' in page and 'href="./java%3Ascript"' in page and 'href="./b%20dir/"' in page
    assert "1.5 kB" in page and "2001-09-09 01:46" in page
    assert ".." not in page


def test_only_what_would_be_served(root: Path) -> None:
    r = ask(root, "/", b"application/json")
    assert isinstance(r.body, bytes) and r.fields.get(b"vary") == b"accept"
    items = json.loads(r.body)
    assert [i["name"] for i in items] == [
        "b dir", "indexed", "<script>.txt", "a&b.txt", "in", "java:script", 'quote".txt', "Z.bin",
    ]  # fmt: skip
    assert items[0]["type"] == "directory"
    assert items[4] == {"name": "in", "type": "file", "size": 1500, "modified": "2001-09-09T01:46:40+00:00"}


def test_a_directory_below_leads_up_and_an_index_file_comes_first(root: Path) -> None:
    body = ask(root, "/b dir/").body
    assert isinstance(body, bytes) and b'href="../"' in body
    assert ask(root, "/indexed/").body == b"index"
    assert ask(root, "/b dir").status == 301
    assert ask(root, "/files/", mount="/files").status == 200


def test_a_listing_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MAX_LISTED", 3)
    body = ask(root, "/").body
    assert isinstance(body, bytes) and body.count(b"<tr>") == 3 and b"Only the first 3" in body


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (99_400, "99.4 kB"), (999_499, "999 kB"), (999_500, "1.0 MB"),
     (5 * 10**15, "5000 TB")],
)  # fmt: skip
def test_sizes_for_people(size: int, text: str) -> None:
    assert size_text(size) == text
