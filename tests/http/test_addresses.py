"""Addresses in one form, and networks."""

from __future__ import annotations

import pytest

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
    ],
)
def test_what_is_no_network_is_explained(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Networks([text])
