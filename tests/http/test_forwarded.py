"""Who a request comes from, if proxies are in front (FAILURES 17): the right-most hop that is not trusted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from enfilade.http.addresses import Networks
from enfilade.http.ends import Ends
from enfilade.http.fields import Fields
from enfilade.http.forwarded import MAX_HOPS, Told, client_of, node_ip, told_fields

TRUSTED = Networks(["127.0.0.1", "10.0.0.0/8", "2001:db8:1::/48"])
PEER = "127.0.0.1"


def told(**fields: str) -> Told:
    return client_of(
        Fields([(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in fields.items()]),
        PEER,
        TRUSTED,
    )


X = "x_forwarded_for"


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("6.6.6.6, 203.0.113.9", "203.0.113.9"),  # what a stranger sent stands at the left
        ("203.0.113.9, 10.1.2.3", "203.0.113.9"),
        ("6.6.6.6,203.0.113.9 ,\t10.1.2.3, 10.0.0.2", "203.0.113.9"),
        ("10.0.0.9, 10.0.0.8", "10.0.0.9"),  # a client of our own
        ("203.0.113.9:55555", "203.0.113.9"),
        ("[2001:db8::9]:55555", "2001:db8::9"),
        ("[2001:DB8::9]", "2001:db8::9"),
        ("2001:db8::9", "2001:db8::9"),
        ("2001:db8::9, 2001:db8:1::5", "2001:db8::9"),
        ("::ffff:203.0.113.9, ::ffff:10.0.0.1", "203.0.113.9"),
        ("unknown", PEER),
        ("203.0.113.9, unknown, 10.0.0.1", "10.0.0.1"),
        ("203.0.113.9, _hidden, 10.0.0.1", "10.0.0.1"),
        ("203.0.113.9,, 10.0.0.1", "10.0.0.1"),
        ("203.0.113.9, 10.0.0.1,", PEER),
        ("203.0.113.999", PEER),
        ("1.2.3.4:http", PEER),
        ("'; drop table", PEER),
        ("203.0.113.9\u00a0", PEER),
    ],
)
def test_x_forwarded_for(value: str, client: str) -> None:
    assert told(x_forwarded_for=value).client_ip == client


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("for=203.0.113.9", Told("203.0.113.9")),
        ("For=203.0.113.9;Proto=https;Host=a.example", Told("203.0.113.9", "https", "a.example", "a.example")),
        ('for="203.0.113.9:4711" ; proto="http"', Told("203.0.113.9", "http")),
        ('for="[2001:db8::9]:4711"', Told("2001:db8::9")),
        ('for="_gazonk"', Told(PEER)),
        ("for=6.6.6.6, for=203.0.113.9;proto=https, for=10.0.0.1;proto=http", Told("203.0.113.9", "https")),
        ("for=203.0.113.9;host=\"a.example:8443\"", Told("203.0.113.9", None, "a.example:8443", "a.example")),
        ('for=203.0.113.9;host="a/b"', Told("203.0.113.9")),
        ("for=203.0.113.9, for=unknown;proto=https", Told(PEER, "https")),
        ("for=203.0.113.9;for=6.6.6.6", Told(PEER)),
        ("for=2001:db8::9", Told(PEER)),  # such a value must be quoted
        ("for = 203.0.113.9", Told(PEER)),
        ("for=203.0.113.9;", Told(PEER)),
        # a quote that a stranger left open, and whatever else he sent, is in front of what the proxy adds
        ('for=6.6.6.6;x=", for=203.0.113.9;proto=https', Told("203.0.113.9", "https")),
        ('for=6.6.6.6;x=", for="[2001:db8::9]"', Told("2001:db8::9")),
        ('for="6.6.6.6\\", for="203.0.113.9"', Told("203.0.113.9")),
        ("\x00\xff, for=203.0.113.9", Told("203.0.113.9")),
        # quoted commas part nothing
        ('for=203.0.113.9;x="a, for=6.6.6.6"', Told("203.0.113.9")),
        ('for=203.0.113.9;x="a\\", for=6.6.6.6"', Told("203.0.113.9")),
        ("for=203.0.113.9;x=\"" + "a" * 5000 + '"', Told(PEER)),
    ],
)  # fmt: skip
def test_forwarded(value: str, expected: Told) -> None:
    assert told(forwarded=value) == expected


def test_lines_are_read_from_the_last() -> None:
    fields = Fields(
        [(b"forwarded", b'for=6.6.6.6;x="'), (b"forwarded", b"for=203.0.113.9"), (b"forwarded", b"for=10.0.0.1")]
    )
    assert client_of(fields, PEER, TRUSTED).client_ip == "203.0.113.9"
    fields = Fields([(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"203.0.113.9")])
    assert client_of(fields, PEER, TRUSTED).client_ip == "203.0.113.9"


def test_forwarded_of_a_stranger_does_not_count_beside_x_forwarded() -> None:
    assert told(forwarded="for=6.6.6.6;proto=https", x_forwarded_for="203.0.113.9") == Told("203.0.113.9")


@pytest.mark.parametrize(
    ("proto", "scheme"),
    [("https", "https"), ("HTTPS", "https"), ("wss", "https"), ("http, https, http", "https"), ("http, https", "https"),
     ("https, http", "http"), ("gopher", None), ("", None)],
)  # fmt: skip
def test_the_scheme_is_that_of_the_clients_hop(proto: str, scheme: str | None) -> None:
    assert told(x_forwarded_for="6.6.6.6, 203.0.113.9, 10.0.0.1", x_forwarded_proto=proto).scheme == scheme


def test_scheme_and_host_count_without_an_address_too() -> None:
    expected = Told(PEER, "https", "a.example:8443", "a.example")
    assert told(x_forwarded_proto="https", x_forwarded_host="A.example:8443") == expected
    assert told(x_forwarded_host="a/b") == Told(PEER)


def test_a_field_of_ours_alone_ends() -> None:
    assert told(x_forwarded_for=", ".join(["10.0.0.1"] * 10_000)).client_ip == "10.0.0.1"
    assert told(x_forwarded_for=", ".join(["203.0.113.9"] + ["10.0.0.1"] * MAX_HOPS)).client_ip == "10.0.0.1"


def test_nothing_said_is_nothing_told() -> None:
    assert told() == Told(PEER)


@given(st.text(alphabet='for=;,":[]\\ 0129.abc_', max_size=80), st.sampled_from(["203.0.113.9", '"[2001:db8::9]"']))
def test_nothing_that_stands_in_front_changes_what_the_proxy_added(front: str, client: str) -> None:
    expected = client.strip('"[]')
    assert told(forwarded=f"{front}, for={client}").client_ip == expected
    assert told(x_forwarded_for=f"{front}, {expected}").client_ip == expected


@given(st.binary(max_size=100))
def test_anything_is_read(value: bytes) -> None:
    for name in (b"forwarded", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host"):
        assert client_of(Fields([(name, value)]), PEER, TRUSTED).client_ip


def test_a_node_is_an_address_with_or_without_port() -> None:
    assert node_ip(b"192.0.2.1:_secret") == "192.0.2.1"
    assert node_ip(b"") is None


@pytest.mark.parametrize(
    "name", [b"forwarded", b"x-real-ip", b"x-forwarded-for", b"x-forwarded-port", b"x-forwarded-ssl"]
)
@pytest.mark.parametrize("alike", [False, True])
def test_applications_hear_of_the_way_from_trusted_proxies_alone(name: bytes, alike: bool) -> None:
    """FAILURES 17. `alike`: the fields are some that came before with another cookie."""
    pairs = [(b"accept", b"*/*"), (name, b"192.0.2.66"), (b"cookie", b"a=2")]
    fields = Fields([*pairs[:2], (b"cookie", b"a=1")]).filling(2, b"a=2") if alike else Fields(pairs)
    ends = Ends(("198.51.100.7", 1), ("192.0.2.1", 80))
    for _ in range(2):  # the second time from memory
        assert list(told_fields(fields, ends)) == [pairs[0], pairs[2]]
    ends.client_ip = "203.0.113.5"
    assert told_fields(fields, ends) is fields


@pytest.mark.parametrize("alike", [False, True])
def test_fields_without_such_claims_stay_as_they_are(alike: bool) -> None:
    fields = Fields([(b"accept", b"*/*"), (b"cookie", b"a=1")])
    fields = fields.filling(1, b"a=2") if alike else fields
    assert told_fields(fields, Ends(("198.51.100.7", 1), ("192.0.2.1", 80))) is fields
