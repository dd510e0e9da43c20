"""Files of users: each mistake with its line, and no hash in any message."""

from __future__ import annotations

from pathlib import Path

import pytest

from enfilade.config.users import line_of, read_users

HASH = "$scrypt$ln=14,r=8,p=1$c2FsdHNhbHRzYWx0c2FsdA$" + "A" * 43


def test_users_comments_and_empty_lines(tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(f"# ours\n\nada:{HASH}\n  grüße:{HASH}\n")
    assert list(read_users(str(file))) == ["ada", "grüße"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ada\n", "line 1: write USER:HASH"),
        (f"# x\n:{HASH}\n", "line 2: write USER:HASH"),
        (f"ada:{HASH}\nada:{HASH}\n", 'line 2: "ada" stands there already'),
        ("ada:hunter2\n", "line 1: it is no scrypt hash"),
        (f"ada:{HASH}:x\n", "line 1: it is no scrypt hash"),
        ("# nobody\n", "lists no users"),
    ],
)
def test_mistakes(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "users"
    file.write_text(text)
    with pytest.raises(ValueError, match=says) as raised:
        read_users(str(file))
    said = str(raised.value).replace(str(file), "")
    assert "hunter2" not in said and HASH not in said


@pytest.mark.parametrize(
    ("user", "password"), [("", "x"), ("a:b", "x"), ("#a", "x"), (" a", "x"), ("a\n", "x"), ("a", ""), ("a", "x\x7f")]
)
def test_no_line_is_made_that_could_not_be_read(user: str, password: str) -> None:
    with pytest.raises(ValueError, match=r"name|password"):
        line_of(user, password)
