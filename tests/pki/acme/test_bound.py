"""The file of external accounts; whatever is wrong with it refuses the start (FAILURES 31)."""

from __future__ import annotations

from pathlib import Path

import pytest

from enfilade.pki.acme.bound import read_bound

KEY = "MDEyMzQ1Njc4OWFiY2RlZg"


def written(tmp_path: Path, text: str, mode: int = 0o600) -> str:
    path = tmp_path / "accounts"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def test_a_line_is_an_account(tmp_path: Path) -> None:
    path = written(tmp_path, f"# ours\nteam:{KEY}\n\nother:{KEY}\n")
    assert read_bound(path) == {"team": b"0123456789abcdef", "other": b"0123456789abcdef"}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no accounts"),
        ("# none\n", "has no accounts"),
        ("team\n", "line 1: write NAME:KEY"),
        (f":{KEY}\n", "line 1"),
        (f"team:{KEY}\nteam:{KEY}\n", "line 2"),
        (f"team:{KEY[:-2]}\n", "16 bytes"),
        (f"team:{KEY}==\n", "base64url"),
    ],
)
def test_others_are_refused_without_the_key_in_the_message(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says) as caught:
        read_bound(written(tmp_path, text))
    assert KEY[:8] not in str(caught.value)


def test_a_file_that_others_can_read_is_no_secret(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="is open to others: chmod 600"):
        read_bound(written(tmp_path, f"team:{KEY}\n", 0o640))
    with pytest.raises(FileNotFoundError):
        read_bound(str(tmp_path / "none"))
