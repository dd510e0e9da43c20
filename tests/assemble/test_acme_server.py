"""Our ACME server as it is put together: where it remembers, what refuses the start, and how much waits."""

from __future__ import annotations

import asyncio
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.assemble.kit import config_of
from tests.cli.kit import enfilade
from tests.pki.acme.client import AUTHORITY, BASE, Client

from enfilade.assemble import acme_server
from enfilade.assemble.acme_server import Desk, make_records, prepare_acme_server
from enfilade.assemble.explain import Step, explain
from enfilade.config import ConfigError
from enfilade.handlers.acme import MAX_BODY, AcmeHandler
from enfilade.pki.acme.problem import Problem
from enfilade.pki.acme.validation import Validator
from enfilade.pki.acme.words import Answer, Asked, Task
from enfilade.process.privileges import Identity
from enfilade.testing.exchange import make_exchange

TEXT = """
[server]
https = ":443"
workers = 1
[sites."ca.internal"]
tls = "internal"
"/acme/*" = { pki = "acme" }
[pki]
names = ["*.internal"]
"""


def desk(base: Path, lines: str = "") -> Desk:
    return Desk(prepare_acme_server(config_of(TEXT + lines, base), AUTHORITY, None))


def test_records_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = Path(make_records(str(tmp_path), None))
    assert [stat.S_IMODE(one.stat().st_mode) for one in (path.parent, path)] == [0o700, 0o600]
    assert make_records(str(tmp_path), None) == str(path), "again"


def test_they_are_given_to_whom_workers_run_as_who_makes_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root touches nothing in a directory that is somebody else's."""
    done: list[Any] = []

    @contextmanager
    def acting(identity: Identity | None) -> Iterator[None]:
        done.append(os.listdir(tmp_path / "acme"))
        yield
        done.append(os.listdir(tmp_path / "acme"))

    monkeypatch.setattr(acme_server, "acting_as", acting)
    monkeypatch.setattr(acme_server.os, "chown", lambda *what, **how: done.append(what))
    make_records(str(tmp_path), Identity(7, 8, ()))
    assert done == [(str(tmp_path / "acme"), 7, 8), [], ["records.sqlite"]]


def test_records_that_are_none_refuse_the_start(tmp_path: Path) -> None:
    """FAILURES 31."""
    path = Path(make_records(str(tmp_path), None))
    path.write_bytes(b"something else, and long enough to be looked at" * 100)
    with pytest.raises(ValueError, match=r"records\.sqlite cannot be used"):
        make_records(str(tmp_path), None)
    path.unlink()
    path.symlink_to("/etc/passwd")
    with pytest.raises(OSError, match="symbolic links"):
        make_records(str(tmp_path), None)


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ('external_accounts = "none"', "pki.external_accounts: .*No such file"),
        ('external_accounts = "empty"', "pki.external_accounts: .*has no accounts"),
        ('root = "old"', "pki.root: root.pem is not there"),
    ],
)
def test_what_cannot_be_read_is_told_by_check(tmp_path: Path, lines: str, says: str) -> None:
    (tmp_path / "empty").touch(0o600)
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "intermediate.pem").touch()
    with pytest.raises(ConfigError, match=says):
        config_of(TEXT + lines, tmp_path)


@pytest.mark.parametrize("name", ["https://a", "*"])
def test_names_that_are_none_are_told_by_check(name: str) -> None:
    """The intermediate is bound to them, whether there are routes or not."""
    for text in (TEXT, TEXT.replace('"/acme/*" = { pki = "acme" }', '"/" = { respond = 200 }')):
        with pytest.raises(ConfigError, match=rf'pki\.names: "{re.escape(name)}" is neither'):
            config_of(text.replace("*.internal", name))


def test_several_workers_need_a_directory(tmp_path: Path) -> None:
    text = TEXT.replace("workers = 1", "workers = 2")
    with pytest.raises(ConfigError, match="several workers cannot remember one account in memory"):
        config_of(text)
    config_of(text + 'root = "ca"', tmp_path)


def test_what_is_served_is_told(tmp_path: Path) -> None:
    (tmp_path / "enfilade.toml").write_text(TEXT)
    told = enfilade("check", "-c", str(tmp_path / "enfilade.toml"))
    assert told.exit_code == 0 and "/acme/*  certificates for *.internal" in told.output
    steps = explain(config_of(TEXT), "POST", "https://ca.internal/acme/new-order")
    assert steps[-1] == Step("handler", "AcmeHandler", "certificates for *.internal")


class Slow:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    async def __call__(self, what: Any) -> Answer:
        await self.free.wait()
        return Answer(200)


def test_so_many_requests_wait_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acme_server, "WAITING", 2)

    async def main() -> list[int]:
        made = desk(tmp_path)
        slow = Slow()
        monkeypatch.setattr(made, "_threaded", slow)
        handler = AcmeHandler(made.answer)
        asked = [asyncio.ensure_future(handler(make_exchange("GET", "/acme/directory"))) for _ in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        slow.free.set()
        return [(await one).status for one in asked]

    assert asyncio.run(main()) == [200, 200, 503]


def test_a_request_has_a_bounded_body(tmp_path: Path) -> None:
    async def main() -> tuple[int, int]:
        handler = AcmeHandler(desk(tmp_path).answer)
        long, right = (
            make_exchange("POST", "/acme/new-account", body=b"x" * size) for size in (MAX_BODY + 1, MAX_BODY)
        )
        return (await handler(long)).status, (await handler(right)).status

    assert asyncio.run(main()) == (413, 404)


async def break_down(validator: Validator, task: Task) -> Problem:
    raise ZeroDivisionError


async def refuse(validator: Validator, task: Task) -> Problem:
    return Problem("connection", f"{task.identifier.value} is not there")


class Counter:
    """What the client asks, but for challenges, which go through the whole desk."""

    def __init__(self, made: Desk) -> None:
        self._made = made

    def ask(self, asked: Asked) -> Answer:
        return self._made._server.answer(asked, self._made._clock())


@pytest.mark.parametrize(
    ("validate", "said"), [(refuse, "a.internal is not there"), (break_down, "something went wrong in the server")]
)
def test_a_desk_looks_at_challenges_and_remembers_what_it_saw(
    validate: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through threads, and records in a file. Who waits has an answer, whatever happens."""
    monkeypatch.setattr(Validator, "validate", validate)

    async def main() -> str:
        made = desk(tmp_path, 'root = "ca"')
        client = Client(Counter(made))  # type: ignore[arg-type]
        client.register()
        order = client.order("a.internal")
        url = client.post(order.json["authorizations"][0]).json["challenges"][0]["url"]
        asked = Asked("POST", BASE, url.removeprefix(BASE), "application/jose+json", client.signed(url, {}))
        answer = await made.answer(asked)
        assert answer is not None and answer.status == 200
        await asyncio.gather(*made._looking)
        return str(client.post(order.fields["location"]).json["error"]["detail"])

    (tmp_path / "ca").mkdir()
    assert asyncio.run(main()) == said
    assert os.listdir(tmp_path / "ca" / "acme") == ["records.sqlite"]
