"""The sink of the access logs and the server's own log: whole lines, never an exception, never a forged line."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from enfilade.observe.log import BACKLOG, BATCH, LogSink, printable, quotable, set_up_logging


def line(text: str) -> tuple[object, ...]:
    return (lambda entry, offset: entry[1].encode() + b"\n", text)


@pytest.fixture
def warnings() -> Iterator[io.StringIO]:
    root = logging.getLogger("enfilade")
    before = (root.handlers[:], root.level, root.propagate)
    stream = io.StringIO()
    set_up_logging("info", stream=stream)
    yield stream
    root.handlers[:], root.level, root.propagate = before


def test_nothing_is_written_before_the_flush_and_then_all_in_order(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sink = LogSink(str(path))
    for i in range(10):
        sink.append(line(str(i)))
    assert path.read_text() == ""
    sink.flush(0.0)
    assert path.read_text() == "".join(f"{i}\n" for i in range(10))


def test_a_full_batch_does_not_wait(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sink = LogSink(str(path))
    for i in range(BATCH + 1):
        sink.append(line(str(i)))
    assert len(path.read_text().splitlines()) == BATCH


def test_workers_share_a_file(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sinks = [LogSink(str(path)), LogSink(str(path))]
    for i in range(10):
        sinks[i % 2].append(line(str(i)))
        sinks[i % 2].flush(0.0)
    assert path.read_text().split() == [str(i) for i in range(10)]


def test_reopen_after_the_file_was_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "log"
    sink = LogSink(str(path))
    sink.append(line("old"))
    path.rename(tmp_path / "log.1")
    sink.reopen()
    sink.append(line("new"))
    sink.close()
    assert (tmp_path / "log.1").read_text() == "old\n"
    assert path.read_text() == "new\n"


def test_a_reopen_that_fails_goes_on_with_the_old_file(tmp_path: Path, warnings: io.StringIO) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    sink = LogSink(str(folder / "log"))
    folder.rename(tmp_path / "moved")
    sink.reopen()
    sink.append(line("still here"))
    sink.flush(0.0)
    assert (tmp_path / "moved" / "log").read_text() == "still here\n"
    assert "cannot reopen" in warnings.getvalue()


def test_a_path_that_cannot_be_opened_refuses_the_start(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        LogSink(str(tmp_path / "missing" / "log"))


def test_a_full_disk_is_counted_and_warned_of_once(warnings: io.StringIO) -> None:
    sink = LogSink("/dev/full")
    for _ in range(3):
        sink.append(line("a"))
        sink.append(line("b"))
        sink.flush(0.0)
    assert sink.dropped == 6
    assert warnings.getvalue().count("are lost") == 1
    assert "No space left" in warnings.getvalue()


def test_a_record_that_cannot_be_formatted_costs_only_itself(tmp_path: Path, warnings: io.StringIO) -> None:
    path = tmp_path / "log"
    sink = LogSink(str(path))
    sink.append((lambda entry, offset: 1 / 0,))
    sink.append(line("good"))
    sink.flush(0.0)
    assert path.read_text() == "good\n"
    assert sink.dropped == 1 and "ZeroDivisionError" in warnings.getvalue()


def pipe_sink(monkeypatch: pytest.MonkeyPatch) -> tuple[int, int, LogSink]:
    ours, theirs = os.pipe()
    fcntl.fcntl(theirs, fcntl.F_SETPIPE_SZ, 8192)
    monkeypatch.setitem(__import__("enfilade.observe.log", fromlist=["_STANDARD"])._STANDARD, "stdout", theirs)
    return ours, theirs, LogSink("stdout")


def test_a_pipe_that_nobody_reads_blocks_nobody_and_gets_whole_lines_later(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs, sink = pipe_sink(monkeypatch)
    wanted = [f"{i:099d}" for i in range(500)]
    for text in wanted:
        sink.append(line(text))
    sink.flush(0.0)  # a blocking write would end this test by its time-out
    got = b""
    while got.count(b"\n") < 500:
        piece = os.read(ours, 65536)
        assert piece.endswith(b"\n")
        got += piece
        sink.flush(0.0)
    assert got.decode().split() == wanted and sink.dropped == 0
    os.close(ours)
    os.close(theirs)


def test_what_waits_for_a_pipe_is_bounded(monkeypatch: pytest.MonkeyPatch, warnings: io.StringIO) -> None:
    ours, theirs, sink = pipe_sink(monkeypatch)
    for _ in range(3):
        for _ in range(999):
            sink.append(line("x" * 999))
        sink.flush(0.0)
    assert sink.dropped > 1800 and len(sink._backlog) <= BACKLOG
    assert warnings.getvalue().count("too slow") == 1
    os.close(ours)
    os.close(theirs)


def test_a_pipe_whose_reader_is_gone_is_a_loss_and_no_more(
    monkeypatch: pytest.MonkeyPatch, warnings: io.StringIO
) -> None:
    ours, theirs, sink = pipe_sink(monkeypatch)
    os.close(ours)
    sink.append(line("x"))
    sink.flush(0.0)
    assert sink.dropped == 1 and "Broken pipe" in warnings.getvalue()
    os.close(theirs)


def test_escapes() -> None:
    assert printable("a\nb\x1b\x7f\u202e\udc9b é") == "a\\nb\\x1b\\x7f\\u202e\\x9b é"
    assert quotable('a"b\\') == 'a\\"b\\\\'


def test_the_server_log_as_text_is_one_line_a_record(warnings: io.StringIO) -> None:
    logging.getLogger("enfilade.net").info("from %s", "a\nforged\x1b[2J")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info    enfilade\.net\[\d+\]: from a\\nforged\\x1b\[2J\n",
        warnings.getvalue(),
    )


def test_a_traceback_is_indented_behind_its_record(warnings: io.StringIO) -> None:
    try:
        raise KeyError("x\nInjected")
    except KeyError:
        logging.getLogger("enfilade").exception("failed")
    first, *rest = warnings.getvalue().splitlines()
    assert first.endswith(": failed")
    assert all(line.startswith("    ") for line in rest) and "KeyError" in rest[-1]


def test_the_server_log_as_json(warnings: io.StringIO) -> None:
    stream = io.StringIO()
    set_up_logging("warning", "json", stream)
    logging.getLogger("enfilade.x").info("below the level")
    try:
        raise ValueError("no")
    except ValueError:
        logging.getLogger("enfilade.x").exception("a\nb")
    row = json.loads(stream.getvalue())
    assert (row["level"], row["logger"], row["message"]) == ("error", "enfilade.x", "a\\nb")
    assert row["exception"].endswith("ValueError: no") and "below" not in stream.getvalue()
    assert warnings.getvalue() == ""


def test_notice_stands_between_info_and_warning(warnings: io.StringIO) -> None:
    set_up_logging("notice", stream=warnings)
    levels = logging.getLevelNamesMapping()
    for level in ("INFO", "NOTICE", "WARNING"):
        logging.getLogger("enfilade.x").log(levels[level], "said")
    assert [line.split()[1] for line in warnings.getvalue().splitlines()] == ["notice", "warning"]


def test_the_first_record_after_each_flush_asks_for_the_next(tmp_path: Path) -> None:
    asked: list[None] = []
    sink = LogSink(str(tmp_path / "log"))
    sink.soon = lambda: asked.append(None)
    for flushes in (1, 2):
        for _ in range(3):
            sink.append((lambda entry, offset: b"line\n",))
        assert len(asked) == flushes
        sink.flush(0.0)
    sink.close()
