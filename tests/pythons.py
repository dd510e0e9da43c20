"""The Python interpreters that an application may have: what runs in its process is tried with each that there is here."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest

OLDEST = "3.9"
VERSIONS = (OLDEST, "3.10", "3.11", "3.12", "3.13", "3.14")
SRC = Path(__file__).parent.parent / "src"


@lru_cache
def interpreter(version: str) -> str:
    """The path of Python `version`, from PATH or of pyenv. Skips the test where there is none; the oldest must be there."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    on_path = shutil.which(f"python{version}")
    candidates = [on_path] if on_path else []
    for found in [*candidates, *sorted(map(str, pyenv.glob(f"{version}.*/bin/python{version}")))]:
        # A shim of pyenv's is there for every version, and fails for those that are not switched on.
        if subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    if version == OLDEST:
        pytest.fail(f"Python {OLDEST} is needed, on PATH or installed by pyenv: applications may run on it")
    pytest.skip(f"no Python {version} here")


def run(version: str, program: str) -> str:
    """What `program` prints when it runs on Python `version` with nothing but the standard library and our sources."""
    flags = ["-I", "-S", "-B", "-W", "error"]  # no site-packages, no bytecode among the sources
    program = f"import sys; sys.path.insert(0, {str(SRC)!r})\n{program}"
    command = [interpreter(version), *flags, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


assert sys.version_info >= (3, 11), "the suite itself runs on what the server does"
