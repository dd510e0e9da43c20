"""The book of bans as nftables is told of it, and when it cannot be."""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path

import pytest
from tests.assemble.kit import config_of

from enfilade.assemble.find_nft import find_nft, try_nft
from enfilade.assemble.nftables import STILL_THERE, NftBans, prepare_nftables
from enfilade.limits.bans import SIZE, Bans, Terms
from enfilade.process.board import Board
from enfilade.process.sockets import ListenSpec

HTTP, ADMIN = ListenSpec("http", "tcp", "127.0.0.1", 80), ListenSpec("admin", "tcp", "127.0.0.1", 2019)
BOUND = {HTTP: [("tcp", "127.0.0.1", 80)], ADMIN: [("tcp", "127.0.0.1", 2019)]}


class World:
    def __init__(self) -> None:
        self.now = 1000.0
        self.bans = Bans(memoryview(bytearray(SIZE)).cast("q"), nullcontext(), Terms(30, 1, 30), lambda: self.now)
        self.board = Board(rows=64, columns=2)
        self.made = NftBans(self.bans, [], self.board, "nft", lambda: self.now)
        self.made.begin(BOUND)

    def told(self, worked: bool = True) -> str:
        text = self.made.script()
        if text:
            self.made.told(worked)
        return text

    @property
    def figures(self) -> tuple[int, int]:
        """How many are handed over, and how often nft failed."""
        names = ("enfilade_bans_in_nftables", "enfilade_nftables_failures_total")
        one, other = ([b.first for b in self.board.blocks() if b.name == name] for name in names)
        return self.board.total(one[0]), self.board.total(other[0])


@pytest.fixture
def world() -> World:
    return World()


def test_first_the_whole_table_then_what_changes(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    world.bans.ban("192.0.2.1", "404")
    first = world.told()
    assert "delete table" in first and "{ 192.0.2.1 timeout 30s }" in first and world.figures == (1, 0)
    assert caplog.messages == ["bans are handed to nftables, table inet enfilade_tcp_127_0_0_1_80"]
    assert world.told() == ""
    world.bans.ban("2001:db8::1", "404")
    assert world.told().endswith("banned6 { 2001:db8:: timeout 30s }\n") and world.figures == (2, 0)
    world.bans.ban("192.0.2.1", "by hand", 90)
    assert world.told().endswith("banned4 { 192.0.2.1 timeout 90s }\n") and world.figures == (2, 0)
    world.bans.lift("192.0.2.1")
    assert world.told().startswith("delete element") and world.figures == (1, 0)
    assert len(caplog.messages) == 1


def test_the_admin_listener_is_no_part_of_it(world: World) -> None:
    assert "dport 80 " in world.told() and "2019" not in world.made.end()
    world.made.begin({ADMIN: BOUND[ADMIN]})
    assert world.told() == world.made.end() == "", "nobody is refused anywhere"


def test_what_has_ended_is_not_told_nor_counted(world: World) -> None:
    world.bans.ban("192.0.2.1", "404")
    world.told()
    world.now += 29
    assert world.told() == "" and world.figures == (1, 0)
    world.now += 1
    assert world.told() == "" and world.figures == (0, 0)


def test_after_a_failure_all_of_it_is_told_again(world: World) -> None:
    world.bans.ban("192.0.2.1", "404")
    world.told()
    world.bans.ban("192.0.2.2", "404")
    assert world.told(worked=False).startswith("add element") and world.figures == (1, 1)
    again = world.told()
    assert "delete table" in again and "192.0.2.1 " in again and "192.0.2.2 " in again and world.figures == (2, 1)


def test_once_a_minute_it_is_looked_whether_the_table_is_still_there(world: World) -> None:
    world.told()
    world.now += STILL_THERE
    assert world.told(worked=False) == "add chain inet enfilade_tcp_127_0_0_1_80 refuse\n"
    assert "delete table" in world.told()


def test_at_the_end_none_are_handed_over(world: World) -> None:
    world.bans.ban("192.0.2.1", "404")
    world.told()
    assert "delete table" in world.made.end() and world.figures == (0, 0)


def prepared(lines: str, server: str = "") -> NftBans | None:
    world = World()
    config = config_of(f'[server]\n{server}\n[bans]\n{lines}\n[sites."*"]\n"/" = {{ respond = 200 }}\n')
    made = prepare_nftables(config, world.bans, world.board)
    if made is not None:
        made.begin(BOUND)
    return made


@pytest.fixture
def able(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with nft where this process may use it."""
    monkeypatch.setattr("enfilade.assemble.nftables.find_nft", lambda: "/usr/sbin/nft")


@pytest.mark.usefixtures("able")
def test_it_is_off_by_default_and_in_a_dry_run() -> None:
    assert prepared("") is None and prepared("nftables = true\ndry_run = true") is None
    assert prepared("nftables = true") is not None


@pytest.mark.usefixtures("able")
def test_who_is_never_banned_is_let_through_by_the_kernel() -> None:
    server = 'trusted_proxies = ["192.0.2.0/24"]\nproxy_protocol = ["2001:db8::/32", "unix"]'
    made = prepared('nftables = true\nnever = ["10.0.0.0/8"]', server)
    assert made is not None
    assert {line for line in made.script().splitlines() if "return" in line} == {
        "ip saddr { 10.0.0.0/8, 192.0.2.0/24 } return",
        "ip6 saddr { 2001:db8::/32 } return",
    }


def test_r31_without_the_program_or_the_right_nothing_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("enfilade.assemble.find_nft._PATH", "/nowhere")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="there is no program nft; on Debian: apt-get install nftables"):
        find_nft()
    (tmp_path / "nft").write_text("#!/bin/sh\necho 'Error: no kernel' >&2\nexit 1\n")
    (tmp_path / "nft").chmod(0o755)
    rights = {"CapEff": 0, "CapAmb": 0}
    monkeypatch.setattr("enfilade.assemble.find_nft._capabilities", rights.__getitem__)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    with pytest.raises(ValueError, match="root has no CAP_NET_ADMIN here"):
        find_nft()
    rights["CapEff"] = 1 << 12
    assert find_nft() == str(tmp_path / "nft")
    with pytest.raises(ValueError, match="nft cannot be used: Error: no kernel"):
        try_nft("table inet x\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ValueError, match="only root may change the kernel's rules"):
        find_nft()
    rights["CapAmb"] = 1 << 12
    assert find_nft() == str(tmp_path / "nft")
