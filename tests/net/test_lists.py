"""Lists at URLs: what is fetched, what is kept, and what stays."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import time
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


def lists(origin: Origin, keep: Path, urls: Sequence[str] = (URL,)) -> FetchedLists:
    return FetchedLists(urls, lambda timeout: origin, check_list, str(keep))


def loaded(origin: Origin, keep: Path, urls: Sequence[str] = (URL,)) -> FetchedLists:
    made = lists(origin, keep, urls)
    made.load(5.0)
    made.write()
    return made


class Over(Exception):
    pass


def follow(made: FetchedLists, times: int) -> list[float]:
    """It is asked so many times; what was slept before."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        if len(slept) == times:
            raise Over
        slept.append(seconds)

    with pytest.raises(Over):
        asyncio.run(made.follow(60.0, sleep))
    assert all(54 <= seconds <= 66 for seconds in slept[1:])
    return slept


def test_at_the_first_start_all_are_fetched(tmp_path: Path) -> None:
    origin = Origin()
    origin.at[OTHER] = "# nobody\n"
    made = lists(origin, tmp_path / "kept", urls=(URL, OTHER))
    made.load(5.0)
    said = {URL: "192.0.2.1\n", OTHER: "# nobody\n"}
    assert made.texts() == said, "before they are written, too"
    made.write()
    assert made.texts() == lists(origin, tmp_path / "kept", urls=(URL, OTHER)).texts() == said


def test_a_start_begins_with_the_copy_and_asks_nobody(tmp_path: Path) -> None:
    loaded(Origin(), tmp_path)
    silent = Origin()
    silent.at[URL] = FetchError(f"{URL}: not within 5 s")
    assert loaded(silent, tmp_path).texts() == {URL: "192.0.2.1\n"}
    assert silent.asked == []


def test_only_what_is_missing_is_fetched(tmp_path: Path) -> None:
    loaded(Origin(), tmp_path)
    origin = Origin()
    origin.at[OTHER] = "192.0.2.7\n"
    assert loaded(origin, tmp_path, (URL, OTHER)).texts()[OTHER] == "192.0.2.7\n"
    assert len(origin.asked) == 1


@pytest.mark.parametrize(("age", "first"), [(0.0, 60.0), (20.0, 40.0), (3600.0, 0.0), (-3600.0, 60.0)])
def test_a_copy_is_asked_for_again_when_it_is_so_old(tmp_path: Path, age: float, first: float) -> None:
    made = loaded(Origin(), tmp_path)
    now = time.time()
    os.utime(made.files[0], (now - age, now - age))
    assert follow(made, 1)[0] == pytest.approx(first, abs=15.0)


def test_a_copy_that_is_gone_is_asked_for_at_once_and_in_full(tmp_path: Path) -> None:
    origin = Origin()
    made = loaded(origin, tmp_path)
    os.unlink(made.files[0])
    assert follow(made, 1) == [0.0]
    assert origin.asked == [[], []] and made.texts() == {URL: "192.0.2.1\n"}


def test_one_that_is_as_it_was_is_not_sent_nor_written_again(tmp_path: Path) -> None:
    origin = Origin()
    made = loaded(origin, tmp_path)
    before = os.stat(made.files[0])
    follow(made, 2)
    assert origin.asked[0] == [] and [name for name, _ in origin.asked[1]] == [b"if-none-match", b"if-modified-since"]
    made = lists(origin, tmp_path)
    follow(made, 1)
    assert origin.asked[-1] == [], "who has just begun is sent it"
    assert os.stat(made.files[0]).st_ino == before.st_ino, "what is written is read by all workers"
    origin.at[URL] = "192.0.2.2\n"
    follow(made, 2)
    assert made.texts() == {URL: "192.0.2.2\n"}


@pytest.mark.parametrize("found", [404, 500, 301, FetchError(f"{URL}: not within 20 s"), "<html>", "10.0.0.1/8"])
def test_what_cannot_be_had_or_is_no_list_leaves_the_old_one(
    found: str | int | FetchError, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    origin = Origin()
    made = loaded(origin, tmp_path)
    origin.at[URL] = found
    with caplog.at_level(logging.ERROR):
        follow(made, 1)
    assert made.texts() == {URL: "192.0.2.1\n"}
    (record,) = caplog.records
    assert record.message.startswith(f"a list of the firewall stays as it was: {URL}")


@pytest.mark.parametrize("found", [404, FetchError(f"{URL}: gone"), "nonsense"])
def test_without_a_copy_there_is_no_start(found: str | int | FetchError, tmp_path: Path) -> None:
    origin = Origin()
    origin.at[URL] = found
    with pytest.raises(ValueError, match=f"{URL}.*; and there is no copy of it in {tmp_path}"):
        lists(origin, tmp_path).load(5.0)


@pytest.mark.parametrize("copy", [b"192.0.2.1\nnonsense\n", b"\xff\n"])
def test_a_copy_that_is_broken_is_none(copy: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    origin = Origin()
    (path,) = loaded(origin, tmp_path).files
    Path(path).write_bytes(copy)
    assert loaded(origin, tmp_path).texts() == {URL: "192.0.2.1\n"}
    assert Path(path).read_text() == "192.0.2.1\n"
    assert "of no use: https://lists.example/a:" in caplog.text
    origin.at[URL] = 500
    Path(path).write_bytes(copy)
    with pytest.raises(ValueError, match="no copy"):
        lists(origin, tmp_path).load(5.0)


def test_what_cannot_be_written_is_said_and_asked_for_again_in_full(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    origin = Origin()
    made = loaded(origin, tmp_path)
    origin.at[URL] = "192.0.2.2\n"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("enfilade.net.lists.replace_file", full)
        follow(made, 1)
    assert caplog.records[-1].message.startswith("a list of the firewall stays as it was: ")
    assert made.texts() == {URL: "192.0.2.1\n"}
    follow(made, 1)
    assert origin.asked[-1] == [] and made.texts() == {URL: "192.0.2.2\n"}


def test_a_start_says_what_it_waits_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.net.lists.SPEAK_AFTER", 0.0)
    said = asyncio.Event()
    messages: list[str] = []

    def heard(message: str, *args: object) -> None:
        messages.append(message % args)
        said.set()

    monkeypatch.setattr("enfilade.net.lists.log.info", heard)

    class Slow(Origin):
        async def __call__(self, method: str, url: str, fields: Sequence[Pair] = (), body: bytes = b"") -> Fetched:
            await said.wait()
            return await super().__call__(method, url, fields, body)

    origin = Slow()
    origin.at[f"{URL}?key=secret"] = "192.0.2.1\n"
    lists(origin, tmp_path, [f"{URL}?key=secret"]).load(5.0)
    assert messages == [f"waiting for a list of the firewall: {URL}"]
