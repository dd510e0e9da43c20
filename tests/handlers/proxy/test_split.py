"""Mirrors: somebody else is asked the same, and nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable

from tests.handlers.proxy.kit import OK, Scene

from enfilade.handlers.proxy.split import Mirror

Make = Callable[..., Scene]
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi"


def test_a_mirror_is_asked_the_same_with_the_body_that_is_there(scene: Make) -> None:
    mirror = scene()
    s = scene(mirror=Mirror(mirror.proxy, lambda: True))
    client = s.client()
    client.says(POST)
    (shadow,) = mirror.far
    assert shadow.got() == s.far[0].got() and client.got() == b""
    s.far[0].says(OK)
    assert client.got().endswith(b"ok")
    shadow.breaks()
    mirror.settle()
    assert mirror.upstream.peers[0].in_flight == 0


def test_an_answer_to_a_mirror_goes_nowhere(scene: Make) -> None:
    mirror = scene()
    s = scene(mirror=Mirror(mirror.proxy, lambda: True))
    client = s.client()
    client.says(POST)
    mirror.far[0].says(OK)
    assert client.got() == b"" and mirror.upstream.peers[0].in_flight == 0
    s.far[0].says(OK)
    assert client.got().endswith(b"ok")


def test_a_body_that_flows_has_one_reader_and_no_mirror(scene: Make) -> None:
    mirror = scene()
    s = scene(mirror=Mirror(mirror.proxy, lambda: True))
    s.client().says(POST[:-1])
    assert not mirror.far and s.far
