"""The certificates of our own authority, and when they are renewed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.assemble.kit import config_of, presented, presented_der

from enfilade.assemble.certificates import Certificates, internal_certificates
from enfilade.assemble.internal import InternalCertificates
from enfilade.config import ConfigError

TEXT = """
[server]
https = ":443"
[sites."a.example"]
tls = "internal"
"/" = { respond = 200 }
[sites."*.b.example"]
tls = "internal"
"/" = { respond = 200 }
[streams.mail]
listen = "tls://:993"
to = "tcp://127.0.0.1:143"
tls = "internal"
[pki]
lifetime = "10h"
"""
HOUR = 3600.0
LOCAL = ["localhost"]


class Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def test_who_needs_no_authority_has_none(tmp_path: Path) -> None:
    assert internal_certificates(config_of('[sites."*"]\n"/" = { respond = 200 }\n')) is None
    assert internal_certificates(config_of(TEXT.partition("[streams")[0])) is not None


def test_all_sites_and_streams_have_one_certificate() -> None:
    made = Certificates(config_of(TEXT))
    context = made.of("a.example")
    assert context is not None and context is made.of("*.b.example")
    stream = made.of_stream("internal")
    assert stream is not None
    assert presented(stream.now(), None) == ["a.example", "*.b.example", *LOCAL]


def test_it_is_renewed_when_half_of_its_life_is_over_in_every_context() -> None:
    clock = Clock()
    made = InternalCertificates(config_of(TEXT), clock)
    contexts = [made.context(), made.context(alpn=())]

    def shown() -> set[bytes]:
        return {presented_der(context) for context in contexts}

    first = shown()
    clock.now += 5 * HOUR - 1
    made.look(0.0)
    assert shown() == first and len(first) == 1
    clock.now += 1
    made.look(0.0)
    second = shown()
    assert len(second) == 1 and second != first
    clock.now += 2 * HOUR
    made.look(0.0)
    assert shown() == second


def test_a_root_that_cannot_be_used_is_told_with_its_line(tmp_path: Path) -> None:
    text = TEXT + 'root = "ca"\n'
    config_of(text, tmp_path)
    assert not (tmp_path / "ca").exists(), "to check is not to write"
    Certificates(config_of(text, tmp_path))
    (tmp_path / "ca" / "root.pem").write_text("")
    with pytest.raises(ConfigError, match=r"pki\.root: root\.pem is not a certificate") as caught:
        config_of(text, tmp_path)
    assert caught.value.problems[0].line == 16
