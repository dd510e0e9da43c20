"""Bans as the configuration has them, in one worker without a socket."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.assemble.kit import config_of

from enfilade.assemble.ban_file import read_bans, write_bans
from enfilade.assemble.banning import Banning, prepare_bans
from enfilade.exchange.exchange import Outcome
from enfilade.limits.bans import Ban
from enfilade.limits.window import Window
from enfilade.process.board import Board
from enfilade.testing.exchange import make_exchange

SITE = '[sites."*"]\n"/" = { respond = 200 }\n'


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()


def banning(loop: asyncio.AbstractEventLoop, lines: str, server: str = "", board: Board | None = None) -> Banning:
    config = config_of(f"[server]\n{server}\n{SITE}[bans]\n{lines}\n")
    board = board or Board(rows=64, columns=2)
    assert config.bans is not None
    prepared = prepare_bans(config.bans, board, 1)
    return Banning(config, prepared, 1, 0, board.supervisor.cells, (), loop)


def misses(made: Banning, number: int, client: str = "192.0.2.1") -> None:
    x = make_exchange()
    x.ends.client_ip = client
    for _ in range(number):
        made.offences.on_done(x, Outcome(404, 0, 0.1, None))


def test_the_table_says_when_it_is_enough_and_for_how_long(loop: asyncio.AbstractEventLoop) -> None:
    made = banning(loop, 'limit = 3\nwindow = "100s"\nduration = "10s"\ngrow = 3\nlongest = "50s"')
    assert made.offences._window == Window(3, 100_000_000_000)
    assert made.bans._terms == (10.0, 3.0, 50.0)
    misses(made, 3)
    assert made.bans.count == 0
    misses(made, 1)
    assert [ban.cause for ban in made.bans.listed()] == ["404"]


def test_by_default_more_than_twenty_in_ten_minutes_are_a_ban(loop: asyncio.AbstractEventLoop) -> None:
    made = banning(loop, "")
    misses(made, 20)
    assert made.bans.count == 0
    misses(made, 1)
    assert made.bans.count == 1


@pytest.mark.parametrize(
    ("lines", "server", "client", "banned"),
    [
        ("", "", "127.0.0.1", False),
        ("never = []", "", "127.0.0.1", True),
        ('never = ["192.0.2.0/24"]', "", "192.0.2.9", False),
        ("never = []", 'trusted_proxies = ["192.0.2.9"]', "192.0.2.9", False),
        ("never = []", 'proxy_protocol = ["192.0.2.9"]', "192.0.2.9", False),
    ],
)
def test_who_is_never_banned(
    loop: asyncio.AbstractEventLoop, lines: str, server: str, client: str, banned: bool
) -> None:
    made = banning(loop, lines, server)
    misses(made, 21, client)
    assert (client in made.bans) is banned


def test_what_was_tried_out_bans_nobody_in_earnest(loop: asyncio.AbstractEventLoop) -> None:
    board = Board(rows=64, columns=2)
    tried = banning(loop, "dry_run = true", board=board)
    misses(tried, 21)
    assert tried.bans.count == 1 and tried.enforced is None
    assert banning(loop, "", board=board).bans.count == 0


def test_a_file_is_written_when_there_is_something_new(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    file = tmp_path / "bans"
    made = banning(loop, f'file = "{file}"')
    made.look(0.0)
    assert not file.exists()
    misses(made, 21)
    made.look(1.0)
    assert made._writing is not None
    loop.run_until_complete(made._writing)
    (found,) = read_bans(str(file))
    assert (found.address, found.cause) == ("192.0.2.1", "404")
    made.bans.lift("192.0.2.1")
    made.close()
    assert file.read_text() == ""


def test_what_a_file_says_joins_what_is_known(loop: asyncio.AbstractEventLoop, tmp_path: Path) -> None:
    file, board = tmp_path / "bans", Board(rows=64, columns=2)
    before = banning(loop, "", board=board)
    misses(before, 21)
    write_bans(str(file), [Ban("192.0.2.2", int(time.time()) + 600, 3, "401")])
    after = banning(loop, f'file = "{file}"', board=board)
    assert {(ban.address, ban.strikes) for ban in after.bans.listed()} == {("192.0.2.1", 1), ("192.0.2.2", 3)}


def test_one_that_cannot_be_written_is_said_once(
    loop: asyncio.AbstractEventLoop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = banning(loop, f'file = "{tmp_path}/bans"')
    (tmp_path / "bans").mkdir()
    with caplog.at_level(logging.ERROR):
        for number in range(1, 3):
            misses(made, 21, f"192.0.2.{number}")
            made.close()
    said = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 1 and said[0].startswith("bans are not written: ")


@pytest.mark.parametrize(
    "line",
    ["nonsense", "[]", '{"address": "10.0.0.0/8", "until": 1, "strikes": 1, "cause": "x"}', '{"address": "10.0.0.1"}'],
)
def test_a_line_that_is_no_ban_is_an_error_with_its_number(tmp_path: Path, line: str) -> None:
    file = tmp_path / "bans"
    write_bans(str(file), [Ban("192.0.2.1", 2000, 1, "404")])
    assert read_bans(str(file)) == [Ban("192.0.2.1", 2000, 1, "404")]
    with file.open("a") as opened:
        opened.write(line + "\n")
    with pytest.raises(ValueError, match="line 2, is no ban"):
        read_bans(str(file))


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"address": "192.0.2.1", "seconds": 60}, 200),
        ({"address": "192.0.2.1"}, 200),
        ({"address": "192.0.2.0/24"}, 400),
        ({"address": "192.0.2.1", "seconds": "1h"}, 400),
        ({"address": "192.0.2.1", "seconds": 0}, 400),
        ({"address": "192.0.2.1", "seconds": 1e300}, 400),
        ({"who": "192.0.2.1"}, 400),
        ([], 400),
    ],
)
def test_what_the_admin_listener_may_be_asked(loop: asyncio.AbstractEventLoop, body: object, status: int) -> None:
    made = banning(loop, "")
    asked = json.dumps(body).encode()
    assert loop.run_until_complete(made.add(asked))[0] == status
    assert made.bans.count == (status == 200)
    assert loop.run_until_complete(made.lift(asked))[0] == status
