"""Records for challenges of dns-01: by a command, and by updates of a real name server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.knot import KEY, SECRET, Knot, knot

from enfilade.acme.client import AcmeError
from enfilade.acme.dns import Command, Dns01
from enfilade.acme.dns_update import UpdatedZone
from enfilade.config.acme_checks import read_secret

VALUE = "61rBZ_4knHblO0MNoxFsXZ_eTFUHum0B6IVRbhvUn5I"
"""What `token.thumbprint` is as a value: base64url of its SHA-256."""


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Writes down what it is called with."""
    script = tmp_path / "hook.py"
    script.write_text(f"import sys; open({str(tmp_path / 'called')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')")
    return [sys.executable, str(script), "own"]


def test_a_command_is_called_before_and_behind(command: list[str], tmp_path: Path) -> None:
    async def both() -> None:
        solver = Dns01(Command(command), 10.0)
        await solver.show("a.example.com", "token", "token.thumbprint")
        await solver.withdraw("a.example.com", "token")

    asyncio.run(both())
    name = "_acme-challenge.a.example.com"
    assert (tmp_path / "called").read_text().splitlines() == [f"own add {name} {VALUE}", f"own remove {name} {VALUE}"]


def test_a_command_that_fails_is_heard() -> None:
    failing = Command([sys.executable, "-c", "import sys; print('no such zone'); sys.exit(3)"])
    with pytest.raises(AcmeError, match="failed with exit code 3: no such zone"):
        asyncio.run(failing.add("x", "y"))


def test_a_command_that_is_not_there_is_an_error() -> None:
    with pytest.raises(AcmeError, match="/none cannot be run: No such file"):
        asyncio.run(Command(["/none"]).add("x", "y"))


def test_a_command_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("enfilade.acme.dns.COMMAND_TIMEOUT", 0.05)
    with pytest.raises(AcmeError, match=r"did not end within 0.05 seconds"):
        asyncio.run(Command([sys.executable, "-c", "import time; time.sleep(60)"]).add("x", "y"))


def test_a_record_that_cannot_be_removed_is_no_reason_to_fail(caplog: pytest.LogCaptureFixture) -> None:
    async def both() -> None:
        hook = "import sys; sys.exit(sys.argv[1] == 'remove')"
        solver = Dns01(Command([sys.executable, "-c", hook]), 0)
        await solver.show("a", "t", "x")
        await solver.withdraw("a", "t")

    asyncio.run(both())
    assert "the record of a challenge stays" in caplog.text


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knot]:
    with knot(tmp_path_factory.mktemp("knot")) as running:
        yield running


@pytest.fixture
def secret(tmp_path: Path) -> bytes:
    (tmp_path / "secret").write_text(SECRET + "\n")
    return read_secret(str(tmp_path / "secret"))


def test_a_zone_is_found_and_changed(server: Knot, secret: bytes) -> None:
    zone, name = (
        UpdatedZone(("127.0.0.1", server.port), KEY, secret, "hmac-sha256"),
        "_acme-challenge.deep.below.example.com",
    )
    asyncio.run(zone.add(name, "one"))
    asyncio.run(zone.add(name, "two"))
    assert server.texts(name) == ["one", "two"]
    asyncio.run(zone.remove(name, "one"))
    assert server.texts(name) == ["two"]
    asyncio.run(zone.remove(name, "two"))
    assert server.texts(name) == []


def test_a_wrong_key_says_what_the_server_wants(server: Knot) -> None:
    for key, secret in ((KEY, b"x" * 32), ("other", b"x" * 32)):
        zone = UpdatedZone(("127.0.0.1", server.port), key, secret, "hmac-sha256")
        with pytest.raises(AcmeError, match="it must know the key by this name and algorithm"):
            asyncio.run(zone.add("_acme-challenge.example.com", "x"))
    assert server.texts("_acme-challenge.example.com") == []


def test_a_name_of_another_zone_is_an_error(server: Knot, secret: bytes) -> None:
    zone = UpdatedZone(("127.0.0.1", server.port), KEY, secret, "hmac-sha256")
    with pytest.raises(AcmeError, match=r"has no zone that _acme-challenge.example.org. could be in"):
        asyncio.run(zone.add("_acme-challenge.example.org", "x"))


def test_a_server_that_is_away_is_an_error(secret: bytes) -> None:
    with pytest.raises(AcmeError, match=r"the name server 127.0.0.1 does not do it"):
        asyncio.run(UpdatedZone(("127.0.0.1", 9), KEY, secret, "hmac-sha256").add("a.example.com", "x"))
