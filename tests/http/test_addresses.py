"""Addresses in one form, and networks."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.http.addresses import MEMORY, Networks, plain_ip, subscriber


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("::FFFF:c000:0201", "192.0.2.1"),
        ("fe80::1%eth0", None),
        ("192.0.2.01", None),
        ("192.0.2.1 ", None),
        ("1", None),
        ("", None),
        ("localhost", None),
    ],
)
def test_an_address_has_one_form(text: str, plain: str | None) -> None:
    assert plain_ip(text) == plain


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::/64"),
        ("2001:db8:0:0:ffff:ffff:ffff:ffff", "2001:db8::/64"),
        ("2001:db8:0:1::", "2001:db8:0:1::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("/run/socket", "/run/socket"),
        ("", ""),
    ],
)
def test_a_subscriber_has_a_network_of_ipv6(text: str, network: str) -> None:
    assert subscriber(text) == network


def test_networks_hold_their_addresses_in_any_form() -> None:
    networks = Networks(["10.0.0.0/8", "192.0.2.7", "2001:db8::/32"])
    for address in ("10.255.0.1", "192.0.2.7", "2001:db8:ffff::1", "2001:DB8::1", "::ffff:10.0.0.1"):
        assert address in networks
        assert address in networks, "and again, from memory"
    for address in ("11.0.0.1", "192.0.2.8", "2001:db9::1", "", "@socket", "10.0.0.0/8", "junk"):
        assert address not in networks
    assert networks


def test_unix_stands_for_unix_sockets_alone() -> None:
    assert "" in Networks(["unix"])
    assert "127.0.0.1" not in Networks(["unix"])
    assert Networks(["unix"])
    assert not Networks([])


def networks_of(text: str) -> Networks:
    """`+10.0.0.0/8 -10.1.0.0/16 *`: the former, without the latter; `*`: with all others."""
    words = text.split()
    those, without = ([word[1:] for word in words if word[0] == sign] for sign in "+-")
    return Networks(those, without, rest="*" in words)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("-10.0.0.0/8 *", "11.0.0.0 9.255.255.255 ::1", "10.0.0.0 10.255.255.255 ::ffff:10.0.0.1"),
        ("+10.0.0.0/8", "10.1.2.3", "11.0.0.1 ::1"),
        ("+10.1.0.0/16 -10.0.0.0/8 *", "10.1.0.0 10.1.255.255 192.0.2.1", "10.0.255.255 10.2.0.0"),
        (
            "+10.0.0.0/8 -10.1.0.0/16 +10.1.1.0/24 -10.1.1.7",
            "10.0.0.1 10.1.1.6 10.1.1.8 10.2.0.0",
            "10.1.0.1 10.1.1.7 10.1.2.0",
        ),
        ("+10.0.0.0/8 -10.0.0.0/9", "10.128.0.0 10.255.255.255", "10.0.0.0 10.127.255.255 11.0.0.0"),
        ("+10.0.0.0/8 -10.128.0.0/9", "10.127.255.255", "10.128.0.0 10.255.255.255 11.0.0.0"),
        ("+10.0.0.0/9 +10.128.0.0/9 -11.0.0.0/8", "10.0.0.0 10.255.255.255", "11.0.0.0"),
        ("+10.0.0.0/8 -10.0.0.0/8", "10.0.0.1", "11.0.0.1"),
        ("-0.0.0.0/0 *", "::1 2001:db8::1 junk", "0.0.0.0 255.255.255.255 ::ffff:1.2.3.4"),
        ("+0.0.0.0/0 -255.255.255.255", "0.0.0.0 255.255.255.254", "255.255.255.255 ::1"),
        ("-::/0 *", "1.2.3.4 ::ffff:1.2.3.4", ":: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        ("-2001:db8::/32 +2001:db8:0:1::/64 *", "2001:db8:0:1::9 2001:db9::", "2001:db8:: 2001:db8:0:2::"),
        (
            "-2001:db8::8/125 +2001:db8::9 *",
            "2001:db8::7 2001:db8::9 2001:db8::10",
            "2001:db8::8 2001:db8::a 2001:db8::f",
        ),
        ("-fe80::/10 *", "fec0::1", "fe80::1 fe80::1%eth0"),
        ("-::ffff:10.0.0.0/104 *", "11.0.0.1", "10.0.0.1"),
    ],
)
def test_the_most_specific_network_decides(text: str, inside: str, outside: str) -> None:
    networks = networks_of(text)
    assert [address for address in inside.split() if address not in networks] == []
    assert [address for address in outside.split() if address in networks] == []


@given(
    st.lists(st.tuples(st.integers(0, 8), st.integers(0, 255), st.booleans())),
    st.booleans(),
    st.sampled_from(["192.0.2.{}", "2001:db8::{:x}"]),
)
def test_the_borders_say_what_a_look_at_each_network_says(
    said: list[tuple[int, int, bool]], rest: bool, form: str
) -> None:
    width = 24 if "." in form else 120
    found = [(ip_network(f"{form.format(at)}/{width + size}", strict=False), side) for size, at, side in said]
    networks = Networks(
        [str(one) for one, side in found if side], [str(one) for one, side in found if not side], rest=rest
    )
    for last in range(256):
        address = ip_address(form.format(last))
        sides = [(one.prefixlen, side) for one, side in found if address in one]
        assert (str(address) in networks) is (max(sides)[1] if sides else rest)


def test_who_comes_by_a_unix_socket_is_one_of_the_rest_unless_named() -> None:
    for text, inside in (
        ("*", True),
        ("-unix *", False),
        ("+unix", True),
        ("+10.0.0.0/8", False),
        ("+unix -unix", True),
    ):
        assert ("" in networks_of(text)) is inside


def test_many_networks_take_little_memory() -> None:
    """A number of 32 or twice 64 bits for each border, and two borders for each network."""
    networks = Networks([f"10.{i}.{j}.1" for i in range(4) for j in range(250)])
    assert (len(networks._v4) * networks._v4.itemsize, len(networks._high)) == (8000, 0)


def test_strangers_do_not_make_the_memory_grow() -> None:
    networks = Networks(["10.0.0.0/8"])
    for i in range(MEMORY + 10):
        assert f"192.0.{i // 256}.{i % 256}" not in networks
    assert len(networks._memory) <= MEMORY


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.1/8", 'the network is "10.0.0.0/8"'),
        ("10.0.0.0/33", "is not a network"),
        ("localhost", "not a network"),
        ("fe80::%eth0/64", "not a network"),
    ],
)
def test_what_is_no_network_is_explained(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Networks([text])
