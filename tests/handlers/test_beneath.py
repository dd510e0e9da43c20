"""FAILURES 25: nothing outside of the root, nothing hidden, nothing special: the same 404 for all."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from enfilade.exchange.response import FileSlice, Response
from enfilade.handlers.beneath import MAX_LINKS, open_beneath, safe_parts
from enfilade.handlers.files import Files
from enfilade.testing.exchange import make_exchange


@pytest.fixture
def root(tmp_path: Path) -> Path:
    inside = tmp_path / "site"
    (inside / "sub").mkdir(parents=True)
    (inside / ".hidden").mkdir()
    (inside / ".well-known").mkdir()
    for name in ("a.txt", "sub/b.txt", ".env", ".hidden/c.txt", ".well-known/d.txt", ".well-known/.e"):
        (inside / name).write_bytes(b"inside")
    (tmp_path / "site-secret").mkdir()
    for name in ("site-secret/s.txt", "s.txt"):
        (tmp_path / name).write_bytes(b"outside")
    return inside


def ask(root: Path, path: str, **options: bool) -> Response:
    answer = Files(str(root), **options)(make_exchange(path=path))
    assert isinstance(answer, Response)
    return answer


PATHS = [
    "/../s.txt",
    "/sub/../../s.txt",
    "/..",
    "/./a.txt",
    "/../site-secret/s.txt",
    "/-secret/s.txt",
    "//etc/passwd",
    "/sub//b.txt",
    "/..\\s.txt",
    "/sub\\b.txt",
    "/a.txt\0.html",
    "/a.txt/",
    "/a.txt/..",
    "/%2e%2e/s.txt",
    "/.env",
    "/.hidden/c.txt",
    "/.hidden/",
    "/.well-known/.e",
    "/" + "x" * 5000,
    "/\ud800",
    "/nothing",
]


@pytest.mark.parametrize("path", PATHS)
def test_failures_25_the_same_404_for_all(root: Path, path: str) -> None:
    r = ask(root, path)
    assert (r.status, r.body) == (404, b"404 Not Found: There is nothing at this path.\n")
    assert ask(root, path) is r


def test_failures_25_devices_fifos_and_sockets(root: Path, tmp_path: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "null").symlink_to("/dev/null")
    os.chdir(root)  # a socket's own path may be too long for its address
    with socket.socket(socket.AF_UNIX) as s:
        s.bind("socket")
        for name in ("fifo", "null", "socket"):
            assert ask(root, f"/{name}").status == 404


@pytest.fixture(autouse=True)
def _stay_here() -> Iterator[None]:
    here = os.getcwd()
    yield
    os.chdir(here)


def test_failures_25_well_known_is_not_hidden(root: Path) -> None:
    assert ask(root, "/.well-known/d.txt").body == b"inside"


@pytest.mark.parametrize(
    "target",
    [
        "../s.txt",
        "/etc/passwd",
        "sub/../../s.txt",
        "../site-secret",
        "/",
        "..",
        "loop",
        "../site/../s.txt",
        "{root}-secret/s.txt",
    ],
)
def test_failures_25_symlinks_out_of_the_root(root: Path, target: str) -> None:
    (root / "loop").symlink_to("loop")
    (root / "link").symlink_to(target.format(root=root))
    for path in ("/link", "/link/s.txt", "/link/etc/passwd"):
        assert ask(root, path).status == 404


def test_symlinks_that_stay_inside_are_followed(root: Path) -> None:
    (root / "one").symlink_to("sub/b.txt")
    (root / "sub" / "two").symlink_to("../a.txt")
    (root / "three").symlink_to(root / "sub")
    (root / "four").symlink_to("./three/../.hidden/c.txt")
    for path in ("/one", "/sub/two", "/three/b.txt", "/four"):
        assert ask(root, path).body == b"inside", path


def test_the_root_itself_may_be_a_symlink_that_moves(root: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to("site")
    (root / "abs").symlink_to(root / "a.txt")
    handler = Files(str(tmp_path / "current"))
    x = make_exchange("GET", "/abs")
    answer = handler(x)
    assert isinstance(answer, Response) and answer.body == b"inside"
    (tmp_path / "current").unlink()
    (tmp_path / "current").symlink_to("site-secret")
    later = handler(make_exchange("GET", "/s.txt"))
    assert isinstance(later, Response) and later.body == b"outside"


def test_the_chain_of_symlinks_is_bounded(root: Path) -> None:
    (root / "l0").symlink_to("a.txt")
    for i in range(1, MAX_LINKS + 1):
        (root / f"l{i}").symlink_to(f"l{i - 1}")
    assert ask(root, f"/l{MAX_LINKS - 1}").body == b"inside"
    assert ask(root, f"/l{MAX_LINKS}").status == 404


def test_what_is_not_the_paths_fault_is_no_404(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(24, "too many open files")

    monkeypatch.setattr(os, "open", full)
    with pytest.raises(OSError, match="too many"):
        open_beneath(str(root), ["a.txt"])


WORD = st.sampled_from(
    [
        "..",
        ".",
        "",
        "a.txt",
        "sub",
        "b.txt",
        "out",
        "up",
        "s.txt",
        "site",
        "site-secret",
        "%2e%2e",
        "\\",
        "\0",
        ".env",
        "etc",
    ]
) | st.text(max_size=3)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(WORD, max_size=6), st.booleans())
def test_failures_25_no_path_reads_outside(root: Path, words: list[str], spa: bool) -> None:
    for name, target in (("out", "../site-secret"), ("up", "..")):
        if not (root / name).is_symlink():
            (root / name).symlink_to(target)
    r = ask(root, "/" + "/".join(words), spa=spa)
    assert not isinstance(r.body, FileSlice)
    assert r.status in (200, 301, 404) and (r.status != 200 or r.body == b"inside")


def test_safe_parts() -> None:
    assert safe_parts("") == []
    assert safe_parts("/") == [""]
    assert safe_parts("/a/b") == ["a", "b"]
    assert safe_parts("/a/") == ["a", ""]
    assert safe_parts("/...") is None
