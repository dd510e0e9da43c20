"""What nft is told of bans, word for word."""

from __future__ import annotations

import pytest

from enfilade.http.addresses import network
from enfilade.limits.nftables import LONGEST, BanTable

TABLE = BanTable([("tcp", "127.0.0.1", 80)], [])
NAME = "enfilade_tcp_127_0_0_1_80"

WHOLE = """\
table inet enfilade_tcp_0_0_0_0_80
delete table inet enfilade_tcp_0_0_0_0_80
table inet enfilade_tcp_0_0_0_0_80 {
set banned4 { type ipv4_addr; flags timeout; }
set banned6 { type ipv6_addr; flags timeout; }
chain refuse {
meta nfproto ipv4 tcp dport 80 counter reject with tcp reset
meta nfproto ipv6 tcp dport 80 counter reject with tcp reset
ip daddr 192.0.2.1 udp dport 53 counter drop
ip6 daddr 2001:db8::1 tcp dport 443 counter reject with tcp reset
}
chain input {
type filter hook input priority raw; policy accept;
ip saddr { 10.0.0.0/8, 127.0.0.1/32 } return
ip6 saddr { ::1/128 } return
ip saddr @banned4 jump refuse
ip6 saddr & ffff:ffff:ffff:ffff:: == @banned6 jump refuse
}
}
add element inet enfilade_tcp_0_0_0_0_80 banned4 { 192.0.2.9 timeout 100s, 192.0.2.10 timeout 1s }
add element inet enfilade_tcp_0_0_0_0_80 banned6 { 2001:db8:7:1:: timeout 60s }
"""


def test_the_whole_table_takes_the_place_of_what_is_there() -> None:
    doors = [("tcp", "0.0.0.0", 80), ("tcp", "::", 80), ("udp", "192.0.2.1", 53), ("tcp", "2001:db8::1", 443)]
    never = [network(text) for text in ("10.1.0.0/16", "10.0.0.0/8", "unix", "127.0.0.1", "::1")]
    bans = {"192.0.2.9": 1100, "192.0.2.10": 1001, "192.0.2.11": 1000, "2001:db8:7:1::/64": 1060}
    assert BanTable(doors, never).whole(bans, 1000.0) == WHOLE


def test_where_nobody_is_excepted_there_is_no_rule_for_it() -> None:
    assert " return" not in TABLE.whole({}, 0) and "element" not in TABLE.whole({}, 0)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({}, {}, ""),
        ({}, {"192.0.2.9": 1100}, f"add element inet {NAME} banned4 {{ 192.0.2.9 timeout 100s }}\n"),
        ({"192.0.2.9": 1100}, {}, f"delete element inet {NAME} banned4 {{ 192.0.2.9 }}\n"),
        # Old kernels leave the time-out of what is there as it is, so it is removed first.
        (
            {"192.0.2.9": 1100},
            {"192.0.2.9": 1200},
            f"delete element inet {NAME} banned4 {{ 192.0.2.9 }}\n"
            f"add element inet {NAME} banned4 {{ 192.0.2.9 timeout 200s }}\n",
        ),
        # What ends by itself may be gone, and to remove it would undo all else.
        ({"192.0.2.9": 1001, "2001:db8::/64": 999}, {}, ""),
        (
            {"2001:db8::/64": 1500},
            {"2001:db8:0:1::/64": 1001},
            f"delete element inet {NAME} banned6 {{ 2001:db8:: }}\n"
            f"add element inet {NAME} banned6 {{ 2001:db8:0:1:: timeout 1s }}\n",
        ),
    ],
)
def test_a_change_tells_what_is_new_and_what_is_not_any_more(
    old: dict[str, int], new: dict[str, int], told: str
) -> None:
    assert TABLE.change(old, new, 1000.0) == told


def test_thousands_are_one_line() -> None:
    bans = {f"198.51.{number >> 8}.{number & 255}": 1100 for number in range(5000)}
    text = TABLE.change({}, bans, 1000.0)
    assert text.count("\n") == 1 and text.count("timeout 100s") == 5000


def test_no_element_lasts_longer_than_the_kernel_can_count() -> None:
    assert f" timeout {LONGEST}s " in TABLE.change({}, {"192.0.2.9": 1 << 62}, 1000.0)


def test_what_is_no_address_never_gets_into_the_text() -> None:
    with pytest.raises(ValueError, match="does not appear to be"):
        TABLE.change({}, {"192.0.2.9 }; flush ruleset; #": 1100}, 1000.0)


def test_two_servers_never_have_one_table() -> None:
    doors = [
        ("tcp", "0.0.0.0", 53), ("udp", "0.0.0.0", 53), ("tcp", "::", 53), ("tcp", "::1", 53), ("tcp", "192.0.2.1", 53),
        ("tcp", "192.0.2.1", 5),
    ]  # fmt: skip
    assert len({BanTable([door], []).name for door in doors}) == len(doors)


def test_it_is_looked_for_without_a_change_and_removed_if_it_is_there() -> None:
    assert TABLE.look == f"add chain inet {NAME} refuse\n"
    assert TABLE.removal == f"table inet {NAME}\ndelete table inet {NAME}\n"
