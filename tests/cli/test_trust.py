"""`enfilade trust`: which root, for whom, and what it says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.cli.kit import enfilade
from tests.pki.kit import NOW

from enfilade.cli import trust
from enfilade.pki.kept import keep
from enfilade.pki.trust import Anchors

CONFIG = '[sites."a.internal"]\ntls = "internal"\n"/" = { respond = 200 }\n[pki]\nroot = "ca"\n'


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "enfilade.toml").write_text(CONFIG)
    keep(str(tmp_path / "ca"), ["a.internal"], NOW)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".pki" / "nssdb").mkdir(parents=True)
    return str(tmp_path / "enfilade.toml")


def test_print_writes_the_root_and_changes_nothing(file: str, tmp_path: Path) -> None:
    printed = enfilade("trust", "-c", file, "--print")
    assert printed.output == (tmp_path / "ca" / "root.pem").read_text()
    assert not os.listdir(tmp_path / ".pki" / "nssdb")


def test_it_says_what_it_did(file: str, tmp_path: Path) -> None:
    done = enfilade("trust", "-c", file, "--only", "browsers")
    assert done.exit_code == 0
    first, *commands = done.output.splitlines()
    assert first == f"browsers ({tmp_path}/.pki/nssdb): trusts it"
    assert [command.split()[:3] for command in commands] == [["ran", "certutil", "-N"], ["ran", "certutil", "-A"]]
    again = enfilade("trust", str(tmp_path / "ca" / "root.pem"), "--only", "browsers")
    assert again.output == f"browsers ({tmp_path}/.pki/nssdb): nothing to do: trusts it\n"
    removed = enfilade("trust", "-c", file, "--only", "browsers", "--remove")
    assert "certutil -D" in removed.output and "trusts it no more" in removed.output


class NoRights(Anchors):
    def add(self, root: object) -> list[str]:
        raise PermissionError


def test_who_has_no_rights_is_told_the_command(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "system_stores", lambda: [NoRights("/anchors", [])])
    told = enfilade("trust", "-c", file)
    assert told.exit_code == 1
    assert "the system's store (/anchors): only root may: sudo " in told.output
    assert f"enfilade trust --only system {tmp_path}/ca/root.pem" in told.output
    assert "nssdb): trusts it" in told.output, "what can be done is done"


def test_what_cannot_be_trusted(file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text, says in (
        ("none.toml", CONFIG.replace('root = "ca"', ""), "no root is kept"),
        ("new.toml", CONFIG.replace('"ca"', '"new"'), "the first start of the server makes it"),
    ):
        (tmp_path / name).write_text(text)
        refused = enfilade("trust", "-c", str(tmp_path / name))
        assert refused.exit_code == 1 and says in refused.output
    assert "No such file" in enfilade("trust", str(tmp_path / "nothing.pem")).output
    assert "is not the certificate of a root" in enfilade("trust", file).output
    monkeypatch.setattr(trust, "system_stores", list)
    told = enfilade("trust", "-c", file, "--only", "system")
    assert told.exit_code == 1 and "enfilade trust --print prints the root" in told.output
