"""The directory of the authority: what is made in it, what is used again, and what refuses the start (FAILURES 31)."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from tests.pki.kit import DAY, NOW

from enfilade.pki.authority import INTERMEDIATE_LIFETIME, ROOT_LIFETIME, Authority, key_pem, new_root, pem
from enfilade.pki.kept import KeptError, keep, read_kept

HALF = INTERMEDIATE_LIFETIME / 2 + timedelta(hours=1)
FILES = ["intermediate.key", "intermediate.pem", "root.key", "root.pem"]


@pytest.fixture
def ca(tmp_path: Path) -> Path:
    keep(str(tmp_path / "ca"), ["a.example"], NOW)
    return tmp_path / "ca"


def root_of(ca: Path, now: datetime = NOW) -> bytes:
    kept = read_kept(str(ca), now)
    assert kept is not None
    return pem(kept.root)


def test_the_keys_are_for_their_owner_the_certificates_for_everybody(ca: Path) -> None:
    assert sorted(os.listdir(ca)) == FILES
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in ca.iterdir()}
    assert modes == {"intermediate.key": 0o600, "intermediate.pem": 0o644, "root.key": 0o600, "root.pem": 0o644}


def test_what_is_there_is_used_again(ca: Path) -> None:
    before = {file.name: file.read_bytes() for file in ca.iterdir()}
    keep(str(ca), ["a.example"], NOW + HALF - 2 * timedelta(hours=1))
    assert {file.name: file.read_bytes() for file in ca.iterdir()} == before


def later(ca: Path) -> Authority:
    return keep(str(ca), ["a.example"], NOW + HALF)


def expired(ca: Path) -> Authority:
    return keep(str(ca), ["a.example"], NOW + INTERMEDIATE_LIFETIME + DAY)


def for_others(ca: Path) -> Authority:
    return keep(str(ca), ["b.example"], NOW)


@pytest.mark.parametrize("ask", [later, expired, for_others])
def test_the_intermediate_is_made_anew_with_the_key_that_it_has(ca: Path, ask: Callable[[Path], Authority]) -> None:
    root, old = root_of(ca), keep(str(ca), ["a.example"], NOW)
    new = ask(ca)
    assert new.certificate != old.certificate
    assert new.certificate.public_key() == old.certificate.public_key()
    assert root_of(ca) == root
    assert (ca / "intermediate.pem").read_bytes() == pem(new.certificate)


@pytest.mark.parametrize("ask", [later, for_others])
def test_for_that_the_key_of_the_root_is_needed_and_for_nothing_else(
    ca: Path, ask: Callable[[Path], Authority]
) -> None:
    (ca / "root.key").unlink()
    keep(str(ca), ["a.example"], NOW)
    with pytest.raises(KeptError, match=r"root\.key is not there"):
        ask(ca)


def test_an_intermediate_that_was_lost_is_made_anew(ca: Path) -> None:
    root = root_of(ca)
    for name in ("intermediate.pem", "intermediate.key"):
        (ca / name).unlink()
        keep(str(ca), ["a.example"], NOW)
        assert sorted(os.listdir(ca)) == FILES and root_of(ca) == root


STRANGER = new_root("elsewhere", NOW)
LEAF = STRANGER.sign(STRANGER.key.public_key(), ["a.example"], NOW, DAY)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("root.pem", None, r"root\.pem is not there"),
        ("root.pem", b"", r"root\.pem is not a certificate"),
        ("root.pem", pem(LEAF), r"root\.pem is not the certificate of an authority"),
        ("root.pem", pem(STRANGER.certificate), r"root\.key does not belong to root\.pem"),
        ("root.key", b"", r"root\.key is not a private key"),
        ("root.key", key_pem(STRANGER.key), r"root\.key does not belong to root\.pem"),
        ("intermediate.pem", b"junk", r"intermediate\.pem is not a certificate"),
        ("intermediate.pem", pem(STRANGER.certificate), r"intermediate\.pem was not signed by root\.pem"),
        ("intermediate.key", key_pem(STRANGER.key), r"intermediate\.key does not belong to intermediate\.pem"),
    ],
)
def test_what_cannot_be_used_is_refused_and_not_replaced(ca: Path, name: str, content: bytes | None, says: str) -> None:
    if content is None:
        (ca / name).unlink()
    else:
        (ca / name).write_bytes(content)
    before = {file.name: file.read_bytes() for file in ca.iterdir()}
    with pytest.raises(KeptError, match=says):
        keep(str(ca), ["a.example"], NOW)
    assert {file.name: file.read_bytes() for file in ca.iterdir()} == before


@pytest.mark.parametrize("name", ["root.key", "intermediate.key"])
@pytest.mark.parametrize("mode", [0o640, 0o604])
def test_a_key_that_others_can_read_is_none(ca: Path, name: str, mode: int) -> None:
    (ca / name).chmod(mode)
    with pytest.raises(KeptError, match=f"{name} is open to others: chmod 600"):
        keep(str(ca), ["a.example"], NOW)


def test_a_root_that_has_expired_is_refused(ca: Path) -> None:
    with pytest.raises(KeptError, match=r"root\.pem is valid from"):
        keep(str(ca), ["a.example"], NOW + ROOT_LIFETIME + DAY)


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca").touch()
    with pytest.raises(NotADirectoryError):
        keep(str(tmp_path / "ca"), [], NOW)


def test_a_look_writes_nothing(tmp_path: Path) -> None:
    assert read_kept(str(tmp_path), NOW) is None
    assert not os.listdir(tmp_path)
