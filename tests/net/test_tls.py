"""With which context handshakes begin, and whose sessions are resumed."""

from __future__ import annotations

import ssl

import pytest
from tests.certificates import self_signed

from enfilade.net.tls import TICKET_KEYS, TICKET_KEYS_LAST, ListenerContexts, context_for

SITE = context_for(self_signed(["localhost"]))
DAY = TICKET_KEYS_LAST


class Clock:
    now = 5.0

    def __call__(self) -> float:
        return self.now


class Client:
    """One that keeps what it is given to resume with."""

    def __init__(self, version: ssl.TLSVersion) -> None:
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self.context.check_hostname, self.context.verify_mode = False, ssl.CERT_NONE
        self.context.maximum_version = version
        self.session: ssl.SSLSession | None = None

    def resumes(self, server: ssl.SSLContext, name: str | None = "localhost") -> bool:
        """Also: `told` is what the server said behind the client's last word of the handshake."""
        to_us, to_them = ssl.MemoryBIO(), ssl.MemoryBIO()
        us = server.wrap_bio(to_us, to_them, server_side=True)
        them = self.context.wrap_bio(to_them, to_us, server_hostname=name, session=self.session)
        for end in (them, us, them, us):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                pass
        self.told = to_them.read()
        to_them.write(self.told)
        us.write(b"x")
        assert them.read(1) == b"x", "and the tickets in front of it"
        assert us.context is SITE
        self.session = them.session
        return bool(them.session_reused)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("name", ["localhost", None])
def test_sessions_are_resumed_until_there_are_new_keys(version: ssl.TLSVersion, name: str | None) -> None:
    clock = Clock()
    contexts = ListenerContexts(SITE, clock=clock)
    client = Client(version)
    assert [client.resumes(contexts.now(), name) for _ in range(2)] == [False, True]
    clock.now += DAY
    assert [client.resumes(contexts.now(), name) for _ in range(2)] == [False, True]


def test_each_handshake_brings_one_ticket() -> None:
    server, client = ListenerContexts(SITE).now(), Client(ssl.TLSVersion.TLSv1_3)
    for resumed in (False, True, True):
        assert client.resumes(server) is resumed
        assert 5 + int.from_bytes(client.told[3:5]) == len(client.told), "one record (RFC 8446 section 5.1)"


def test_workers_change_keys_at_the_same_time() -> None:
    clock = Clock()
    ours, theirs = (ListenerContexts(SITE, clock=clock) for _ in range(2))
    theirs._contexts = [*ours._contexts]  # as a fork has it
    for step in (0, DAY - 1, 1, 3 * DAY, DAY / 2):
        clock.now += step
        if step != DAY - 1:  # one of them had nothing to do for a while
            theirs.now()
        assert ours.now() is theirs.now()


def test_the_last_keys_stay() -> None:
    clock = Clock()
    contexts = ListenerContexts(SITE, clock=clock)
    clock.now += (TICKET_KEYS - 1) * DAY
    last = contexts.now()
    clock.now += 100 * DAY
    assert contexts.now() is last
