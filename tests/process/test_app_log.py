"""What applications write becomes records: whole lines, bounded, with a level."""

from __future__ import annotations

import logging
import os

import pytest

from enfilade.process.app_log import MAX_LINE, Lines, LogPipe

I, W, E = logging.INFO, logging.WARNING, logging.ERROR  # noqa: E741

CASES = [
    (b"hello\n", [(I, "hello")]),
    (b"ERROR shop: no stock\nhello\n", [(E, "shop: no stock"), (I, "hello")]),
    (b"NOTICE x: y\nCRITICAL z\n", [(25, "x: y"), (logging.CRITICAL, "z")]),
    (b"ERROR shop: no\n    at line 3\n\tor 4\nhello\n", [(E, "shop: no"), (E, "    at line 3"), (E, "\tor 4"), (I, "hello")]),
    (b"ERRORS happen\nERROR\n", [(I, "ERRORS happen"), (I, "ERROR")]),
    (b"windows\r\n", [(I, "windows")]),
    (b"\xff\n", [(I, "\udcff")]),
    (b"no end", [(I, "no end")]),
]  # fmt: skip


@pytest.mark.parametrize(("data", "expected"), CASES)
def test_lines_have_levels(data: bytes, expected: list[tuple[int, str]]) -> None:
    for pieces in ([data], [data[i : i + 1] for i in range(len(data))]):
        lines = Lines(I)
        found = [record for piece in pieces for record in lines.feed(piece)] + lines.feed(b"")
        assert [record for record in found if record[1]] == expected


def test_a_line_without_an_end_is_not_kept_for_ever() -> None:
    lines = Lines(I)
    found = [record for _ in range(100) for record in lines.feed(b"x" * 1000)]
    assert all(len(text) <= MAX_LINE for _, text in found)
    assert sum(len(text) for _, text in found) > 100_000 - 2 * MAX_LINE


def test_a_pipe_logs_with_the_name_and_the_process_of_the_application(caplog: pytest.LogCaptureFixture) -> None:
    reader, writer = os.pipe()
    pipe = LogPipe(reader, "shop", 4711, W)
    assert pipe.read(), "nothing there is not the end"
    os.write(writer, b"100 % full\nlast")
    with caplog.at_level("INFO", "enfilade.app.shop"):
        assert pipe.read()
        os.close(writer)
        assert not pipe.read()
        pipe.close()
    assert [(r.name, r.levelno, r.process, r.getMessage()) for r in caplog.records] == [
        ("enfilade.app.shop", W, 4711, "100 % full"),
        ("enfilade.app.shop", W, 4711, "last"),
    ]
    assert pipe.last == "last"


def test_closing_waits_for_no_child_that_still_has_the_pipe() -> None:
    reader, writer = os.pipe()
    pipe = LogPipe(reader, "shop", 4711, I)
    os.write(writer, b"left")
    pipe.close()
    assert pipe.last == "left"
    os.close(writer)
