"""Sticky sessions: a cookie that only we can make brings a client back."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from enfilade.http.fields import Fields
from enfilade.upstream import sticky
from enfilade.upstream.peer import Peer
from enfilade.upstream.sticky import Sticky

SECRET = b"0123456789abcdef"
PEERS = [Peer(f"http://10.0.0.{i}:8000") for i in range(1, 5)]


def brought(set_cookie: bytes) -> Fields:
    """The fields of a browser that got `set_cookie`."""
    return Fields([(b"cookie", b"theme=dark; " + set_cookie.partition(b";")[0])])


@pytest.mark.parametrize("peer", PEERS)
@pytest.mark.parametrize("secure", [False, True])
def test_a_client_comes_back_to_its_peer_by_another_worker_too(peer: Peer, secure: bool) -> None:
    token = Sticky("sid", SECRET).read(brought(Sticky("sid", SECRET).cookie(peer, secure)))
    assert token is not None
    assert Sticky("sid", SECRET).find(token, PEERS) is peer


def test_the_cookie_is_whole() -> None:
    token = hmac.new(SECRET, PEERS[0].name.encode(), hashlib.sha256).hexdigest().encode()
    plain = b"sid=" + token + b"; Path=/; HttpOnly; SameSite=Lax"
    assert Sticky("sid", SECRET).cookie(PEERS[0], False) == plain
    assert Sticky("sid", SECRET).cookie(PEERS[0], True) == plain + b"; Secure"
    assert Sticky("sid", SECRET, 3600).cookie(PEERS[0], False) == plain + b"; Max-Age=3600"


def test_without_the_cookie_there_is_no_token() -> None:
    assert Sticky("sid", SECRET).read(Fields()) is None
    assert Sticky("sid", SECRET).read(Fields([(b"cookie", b"theme=dark")])) is None


def forgeries() -> list[bytes]:
    known = Sticky("sid", SECRET)
    token = known.read(brought(known.cookie(PEERS[0], False)))
    assert token is not None
    other = Sticky("sid", b"another secret..").cookie(PEERS[0], False)
    return [b"", b"10.0.0.1", PEERS[0].name.encode(), token[:-1], token + b"0", token.upper(), b"\xff" * 64,
            hashlib.sha256(PEERS[0].name.encode()).hexdigest().encode(), b"a" * 8000, other[4:68]]  # fmt: skip


@pytest.mark.parametrize("token", forgeries())
def test_forged_tokens_find_nobody(token: bytes) -> None:
    assert Sticky("sid", SECRET).find(token, PEERS) is None


def test_a_peer_that_is_not_among_them_is_not_found() -> None:
    known = Sticky("sid", SECRET)
    token = known.read(brought(known.cookie(PEERS[0], False)))
    assert token is not None
    assert known.find(token, PEERS[1:]) is None
    assert known.find(token, []) is None


def test_peers_that_come_and_go_leave_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sticky, "MEMORY", 8)
    known = Sticky("sid", SECRET)
    for i in range(100):
        known.cookie(Peer(f"http://10.0.1.{i}:80"), False)
        assert len(known._memory) <= 8


@pytest.mark.parametrize(
    ("name", "secret", "max_age", "message"),
    [
        ("s id", SECRET, None, "name of a cookie"),
        ("sid", SECRET[:-1], None, "15 bytes: at least 16"),
        ("sid", SECRET, 0, "0 seconds: at least 1"),
    ],
)
def test_what_cannot_work_is_refused(name: str, secret: bytes, max_age: int | None, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Sticky(name, secret, max_age)
