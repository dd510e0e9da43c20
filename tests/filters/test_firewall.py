"""Clients behind trusted proxies."""

from __future__ import annotations

from enfilade.filters.firewall import Firewall
from enfilade.http.addresses import Networks
from enfilade.net.firewall import Guard
from enfilade.testing.exchange import make_exchange


def test_a_client_that_is_not_let_in_gets_403() -> None:
    firewall = Firewall(Guard(Networks((), ["203.0.113.0/24"], rest=True)))
    x = make_exchange()
    for client, status in (("203.0.113.9", 403), ("192.0.2.1", None)):
        x.ends.client_ip = client
        answer = firewall.on_request(x)
        assert (None if answer is None else answer.status) == status
        assert answer is None or (answer.reason is not None and answer.reason.name == "firewall_denied")
