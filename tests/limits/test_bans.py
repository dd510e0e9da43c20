"""The table of bans: shared by workers, bounded, with a clock that stands still unless it is told."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from enfilade.limits.bans import BY_HAND, SIZE, WAYS, Ban, Bans, Terms, banned_name, parse_banned

ADDRESS = "192.0.2.1"
TERMS = Terms(600, 2, 86400)


class World:
    def __init__(self, terms: Terms = TERMS) -> None:
        self.now = 1000.0
        self.cells = memoryview(bytearray(SIZE)).cast("q")
        self.bans, self.other = (Bans(self.cells, nullcontext(), terms, lambda: self.now) for _ in range(2))

    def lasts(self, address: str = ADDRESS) -> float:
        """How long a new ban does."""
        ban = self.bans.ban(address, "404")
        assert ban is not None
        return ban.until - self.now


def nobody() -> Bans:
    return World().bans


def test_all_workers_know_of_a_ban_until_it_ends() -> None:
    world = World()
    assert ADDRESS not in world.other
    assert world.bans.ban(ADDRESS, "password_wanted") == Ban(ADDRESS, 1600, 1, "password_wanted")
    assert ADDRESS in world.other and "192.0.2.2" not in world.other
    assert world.other.find(ADDRESS) == Ban(ADDRESS, 1600, 1, "password_wanted")
    world.now = 1600
    assert ADDRESS not in world.other and world.other.find(ADDRESS) is None


def test_the_ends_are_those_of_the_list() -> None:
    world = World()
    for address in (ADDRESS, "2001:db8:ffff:1::2", "255.255.255.255", "fe80::1"):
        world.bans.ban(address, "404", 60)
    world.bans.ban("192.0.2.2", "404", 1)
    world.now += 1
    ends = world.other.ends()
    assert {banned_name(key): until for key, until in ends.items()} == {
        ban.address: ban.until for ban in world.bans.listed()
    }
    assert len(ends) == 4


@pytest.mark.parametrize("high", [0, -1, 1, -(1 << 63), (1 << 63) - 1])
@pytest.mark.parametrize("low", [0, -1, 0xFFFF << 32, -(1 << 63), (1 << 63) - 1])
def test_whatever_a_place_holds_has_the_name_of_an_address(high: int, low: int) -> None:
    """Who reads while it is written sees halves of two."""
    name = banned_name((high, low))
    assert parse_banned(name) == name


def test_each_is_longer_than_the_one_before_and_none_longer_than_the_longest() -> None:
    world = World(Terms(600, 2, 2000))
    for seconds in (600, 1200, 2000, 2000):
        assert world.lasts() == seconds
        world.now += seconds
    world.now += 2000
    assert world.lasts() == 600, "and they are forgotten"


def test_without_growth_all_are_as_long() -> None:
    world = World(Terms(600, 1, 2000))
    for _ in range(3):
        assert world.lasts() == 600
        world.now += 600


def test_who_is_banned_is_not_banned_again_but_by_hand() -> None:
    world = World()
    assert world.lasts() == 600
    assert world.bans.ban(ADDRESS, "404") is None
    assert world.bans.ban(ADDRESS, BY_HAND, 60) == Ban(ADDRESS, 1060, 2, BY_HAND)


def test_one_that_is_lifted_is_forgotten() -> None:
    world = World()
    world.lasts()
    assert world.other.lift(ADDRESS) and ADDRESS not in world.bans
    assert not world.bans.lift(ADDRESS)
    assert world.lasts() == 600


def test_of_ipv6_the_whole_network_of_64_bits_is() -> None:
    world = World()
    ban = world.bans.ban("2001:db8:0:1:ffff::9", "404")
    assert ban is not None and ban.address == "2001:db8:0:1::/64"
    assert all(address in world.bans for address in ("2001:db8:0:1::1", "2001:db8:0:1::/64", "2001:db8:0:1::1%eth0"))
    assert "2001:db8:0:2::1" not in world.bans
    world.bans.ban("ff00::1", "404")
    assert [ban.address for ban in world.bans.listed()] == ["2001:db8:0:1::/64", "ff00::/64"]


def test_an_ipv4_address_in_ipv6s_clothes_is_that_address() -> None:
    world = World()
    world.bans.ban("::ffff:192.0.2.1", "404")
    assert ADDRESS in world.bans and [ban.address for ban in world.bans.listed()] == [ADDRESS]


@pytest.mark.parametrize("client", ["", "unix", "/run/a.sock"])
def test_what_is_no_address_is_never_banned(client: str) -> None:
    world = World()
    world.lasts()
    assert world.bans.ban(client, "404") is None and client not in world.bans


def test_they_are_listed_by_their_end() -> None:
    world = World()
    world.bans.ban("192.0.2.2", BY_HAND, 90)
    world.bans.ban("192.0.2.1", BY_HAND, 30)
    world.bans.ban("192.0.2.3", BY_HAND, 60)
    assert [ban.address for ban in world.bans.listed()] == ["192.0.2.1", "192.0.2.3", "192.0.2.2"]
    world.now += 45
    assert [ban.address for ban in world.bans.listed()] == ["192.0.2.3", "192.0.2.2"] and world.bans.count == 2


def test_the_table_is_bounded_and_the_one_that_ends_first_makes_room() -> None:
    world = World()
    many = WAYS * 4096 * 2
    for number in range(many):
        world.bans.ban(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", BY_HAND, 60 + number)
    assert len(world.cells) * 8 == SIZE
    left = world.bans.listed()
    assert many // 4 < len(left) < many // 2 + 1
    assert left[-1].until == 1000 + 60 + many - 1
    assert sum(ban.until > 1060 + many // 2 for ban in left) > len(left) * 0.8


def test_what_is_known_from_elsewhere_counts_where_it_holds_longer() -> None:
    world = World()
    assert world.bans.put(Ban(ADDRESS, 1500, 4, "404")) == Ban(ADDRESS, 1500, 4, "404")
    assert world.bans.put(Ban(ADDRESS, 1400, 5, "403")) is None
    assert world.bans.find(ADDRESS) == Ban(ADDRESS, 1500, 4, "404")
    assert world.bans.put(Ban("192.0.2.2", 1500, 1, "a reason of another version")) == Ban(
        "192.0.2.2", 1500, 1, BY_HAND
    )


def test_each_change_makes_another_version() -> None:
    world = World()
    seen = [world.bans.version]
    for change in (lambda: world.bans.ban(ADDRESS, "404"), lambda: world.bans.lift(ADDRESS)):
        change()
        seen.append(world.other.version)
    assert seen == [0, 1, 2]
    world.bans.lift(ADDRESS)
    assert world.bans.version == 2


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", ADDRESS),
        ("192.0.2.1/32", ADDRESS),
        ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8::/64", "2001:db8::/64"),
    ],
)
def test_an_address_as_people_write_it(text: str, address: str) -> None:
    assert parse_banned(text) == address


@pytest.mark.parametrize("text", ["", "unix", "example.com", "192.0.2.0/24", "2001:db8::/32", "192.0.2.1/64"])
def test_what_is_no_single_address(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse_banned(text)
