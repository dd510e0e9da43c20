"""Installing a root where the real tools keep them, in directories of our own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.pki.kit import DAY, NOW, leaf_of

from enfilade.pki import trust
from enfilade.pki.authority import key_pem, new_root, pem
from enfilade.pki.trust import Anchors, Keychain, Nss, Root, TrustError, browser_stores, read_root, system_stores

SNAP = "snap/firefox/common/.mozilla/firefox"
AUTHORITY = new_root("here", NOW)


@pytest.fixture
def root(tmp_path: Path) -> Root:
    (tmp_path / "root.pem").write_bytes(pem(AUTHORITY.certificate))
    return read_root(str(tmp_path / "root.pem"))


def verified(bundle: Path, tmp_path: Path) -> bool:
    """Whether OpenSSL accepts a certificate of the authority with what is in `bundle`."""
    signer = AUTHORITY.intermediate(["example"], NOW)
    (tmp_path / "chain.pem").write_bytes(leaf_of(signer, "a.example").chain)
    command = ["openssl", "verify", "-CAfile", str(bundle), "-untrusted", "chain.pem", "chain.pem"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0


def test_the_systems_store(tmp_path: Path, root: Root) -> None:
    for name in ("local", "etc", "hooks"):
        (tmp_path / name).mkdir()
    (tmp_path / "conf").touch()
    (tmp_path / "local" / "another.crt").write_bytes(pem(new_root("there", NOW).certificate))
    options = ["--localcertsdir", "local", "--etccertsdir", "etc", "--certsconf", "conf", "--hooksdir", "hooks"]
    absolute = [option if option.startswith("--") else str(tmp_path / option) for option in options]
    store = Anchors(str(tmp_path / "local"), ["/usr/sbin/update-ca-certificates", *absolute])
    bundle = tmp_path / "etc" / "ca-certificates.crt"
    wrote, ran = store.add(root)
    assert wrote.startswith("wrote ") and "update-ca-certificates" in ran
    assert verified(bundle, tmp_path)
    assert store.add(root) == [], "once"
    assert len(store.remove(root)) == 2
    assert not verified(bundle, tmp_path)
    assert os.listdir(tmp_path / "local") == ["another.crt"]
    assert store.remove(root) == []


def test_a_root_that_was_not_taken_over_does_not_stay(tmp_path: Path, root: Root) -> None:
    store = Anchors(str(tmp_path / "local"), ["sh", "-c", "echo no such luck >&2; exit 3"])
    (tmp_path / "local").mkdir()
    with pytest.raises(TrustError, match="no such luck"):
        store.add(root)
    assert not os.listdir(tmp_path / "local")


def test_browsers(tmp_path: Path, root: Root) -> None:
    database = tmp_path / ".pki" / "nssdb"
    database.parent.mkdir()
    database.mkdir()
    (store,) = browser_stores(str(tmp_path))
    made, ran = store.add(root)
    assert "certutil -N" in made and "certutil -A" in ran
    signer = AUTHORITY.intermediate(["example"], NOW)
    for name, trusted in (("intermediate", pem(signer.certificate)), ("leaf", leaf_of(signer, "a.example").chain)):
        (tmp_path / name).write_bytes(trusted)
        subprocess.run(
            ["certutil", "-A", "-d", f"sql:{database}", "-t", ",,", "-n", name, "-i", tmp_path / name], check=True
        )

    def accepts() -> bool:
        asked = ["certutil", "-V", "-u", "V", "-d", f"sql:{database}", "-n", "leaf"]
        return subprocess.run(asked, capture_output=True, check=False).returncode == 0

    assert accepts()
    assert store.add(root) == [], "once"
    assert len(store.remove(root)) == 1
    assert not accepts()
    assert store.remove(root) == []


def test_every_profile_of_firefox_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (".mozilla/firefox/a.default", f"{SNAP}/b", ".mozilla/firefox/empty"):
        (tmp_path / name).mkdir(parents=True)
        if not name.endswith("empty"):
            (tmp_path / name / "cert9.db").touch()
    monkeypatch.setattr(trust, "CHROMIUMS", ())
    found = [store.where.replace(str(tmp_path), "HOME") for store in browser_stores(str(tmp_path))]
    assert found == ["browsers (HOME/.mozilla/firefox/a.default)", f"browsers (HOME/{SNAP}/b)"]
    monkeypatch.setattr(trust, "CHROMIUMS", ("sh",))
    assert len(browser_stores(str(tmp_path))) == 3, "a browser that was never started has its database made"


def test_without_its_tool_a_browser_is_told_what_to_install(
    tmp_path: Path, root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(TrustError, match="apt-get install libnss3-tools"):
        Nss(str(tmp_path / "nssdb")).add(root)


def test_the_keychain_of_macos(tmp_path: Path, root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    """As its manual has it: there is none here."""
    (tmp_path / "security").write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\n')
    (tmp_path / "security").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    monkeypatch.setattr(trust.sys, "platform", "darwin")
    (store,) = system_stores()
    assert isinstance(store, Keychain)
    store.add(root)
    store.remove(root)
    assert (tmp_path / "log").read_text().splitlines() == [
        f"add-trusted-cert -d -r trustRoot -k /Library/Keychains/System.keychain {root.path}",
        f"remove-trusted-cert -d {root.path}",
    ]


SIGNER = AUTHORITY.intermediate(["example"], NOW)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        key_pem(AUTHORITY.key),
        pem(SIGNER.certificate),
        pem(AUTHORITY.sign(AUTHORITY.key.public_key(), ["a.example"], NOW, DAY)),
        pem(AUTHORITY.certificate, SIGNER.certificate),
    ],
)
def test_only_a_root_can_be_trusted(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pem").write_bytes(content)
    with pytest.raises(TrustError, match="is not the certificate of a root"):
        read_root(str(tmp_path / "x.pem"))
