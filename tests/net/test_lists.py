"""Lists at URLs: what is fetched, what is kept, and what stays."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from enfilade.config.networks import check_list
from enfilade.exchange.fetch import Fetched, FetchError
from enfilade.http.fields import Fields, Pair
from enfilade.net.lists import FetchedLists

URL, OTHER = "https://lists.example/a", "https://lists.example/b"


class Origin:
    """A `Fetch` that knows what stands at each URL: a text, a status, or why there is no answer."""

    def __init__(self, **texts: str) -> None:
        self.at: dict[str, str | int | FetchError] = {URL: "192.0.2.1\n"}
        self.asked: list[list[Pair]] = []

    async def __call__(self, method: str, url: str, fields: Sequence[Pair] = (), body: bytes = b"") -> Fetched:
        found = self.at[url]
        self.asked.append(list(fields))
        if isinstance(found, FetchError):
            raise found
        if isinstance(found, int):
            return Fetched(found, Fields([]), b"192.0.2.99")
        tag = b'"%d"' % hash(found)
        if (b"if-none-match", tag) in fields:
            return Fetched(304, Fields([]), b"")
        return Fetched(200, Fields([(b"etag", tag), (b"last-modified", b"then")]), found.encode())


def lists(origin: Origin, keep: Path | None = None, urls: Sequence[str] = (URL,)) -> FetchedLists:
    return FetchedLists(urls, lambda: origin, check_list, None if keep is None else str(keep))


class Over(Exception):
    pass


def follow(made: FetchedLists, times: int, writes: bool = False) -> int:
    """So many looks; how often there was something new."""
    news: list[None] = []
    left = [times]

    async def sleep(seconds: float) -> None:
        assert 54 <= seconds <= 66
        left[0] -= 1
        if left[0] < 0:
            raise Over

    with pytest.raises(Over):
        asyncio.run(made.follow(60.0, lambda: news.append(None), writes, sleep))
    return len(news)


def test_all_are_there_at_the_start() -> None:
    origin = Origin()
    origin.at[OTHER] = "# nobody\n"
    made = lists(origin, urls=(URL, OTHER))
    made.load()
    assert made.texts == {URL: "192.0.2.1\n", OTHER: "# nobody\n"}


def test_one_that_is_as_it_was_is_not_sent_again() -> None:
    origin = Origin()
    made = lists(origin)
    made.load()
    assert follow(made, 2) == 0
    assert origin.asked[0] == [] and [name for name, _ in origin.asked[1]] == [b"if-none-match", b"if-modified-since"]
    origin.at[URL] = "192.0.2.2\n"
    assert follow(made, 2) == 1 and made.texts[URL] == "192.0.2.2\n"


@pytest.mark.parametrize("found", [404, 500, 301, FetchError(f"{URL}: not within 60 s"), "<html>", "10.0.0.1/8"])
def test_what_cannot_be_had_or_is_no_list_leaves_the_old_one(
    found: str | int | FetchError, caplog: pytest.LogCaptureFixture
) -> None:
    origin = Origin()
    made = lists(origin)
    made.load()
    origin.at[URL] = found
    with caplog.at_level(logging.ERROR):
        assert follow(made, 1) == 0
    assert made.texts[URL] == "192.0.2.1\n"
    (record,) = caplog.records
    assert record.message.startswith(f"a list of the firewall stays as it was: {URL}")


@pytest.mark.parametrize("found", [404, FetchError(f"{URL}: gone"), "nonsense"])
def test_without_a_copy_there_is_no_start_and_with_one_there_is(
    found: str | int | FetchError, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin = Origin()
    before = lists(origin, tmp_path / "kept")
    before.load()
    before.write()
    origin.at[URL] = found
    with pytest.raises(ValueError, match=f"{URL}.*; and no copy of it was kept"):
        lists(origin).load()
    with pytest.raises(ValueError, match="no copy"):
        lists(origin, tmp_path / "elsewhere").load()
    made = lists(origin, tmp_path / "kept")
    made.load()
    assert made.texts == {URL: "192.0.2.1\n"}
    assert caplog.records[-1].message.endswith("a list of the firewall is as it was kept")


def test_a_copy_that_is_broken_is_none(tmp_path: Path) -> None:
    origin = Origin()
    before = lists(origin, tmp_path)
    before.load()
    before.write()
    (file,) = tmp_path.iterdir()
    file.write_text("192.0.2.1\nnonsense\n")
    origin.at[URL] = 500
    with pytest.raises(ValueError, match=r"a:2: .*nonsense"):
        lists(origin, tmp_path).load()


def test_what_is_new_is_written_by_one_and_what_cannot_be_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin = Origin()
    made = lists(origin, tmp_path / "kept")
    made.load()
    made.write()
    (file,) = (tmp_path / "kept").iterdir()
    origin.at[URL] = "192.0.2.2\n"
    follow(made, 1)
    assert file.read_text() == "192.0.2.1\n", "another worker writes"
    origin.at[URL] = "192.0.2.3\n"
    follow(made, 1, writes=True)
    assert file.read_text() == "192.0.2.3\n"
    file.unlink()
    file.mkdir()
    origin.at[URL] = "192.0.2.4\n"
    assert follow(made, 1, writes=True) == 1
    assert caplog.records[-1].message.startswith("a list of the firewall is not kept: ")
