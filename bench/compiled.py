"""The programs in C, of which no package has any: an echo server to compare with, and what asks echo servers."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SOURCES = Path(__file__).parent / "c"
COMPILE = ("cc", "-O2", "-Wall", "-Wextra", "-Werror")


class BuildError(Exception):
    """There is no compiler, or it complained."""


def build(folder: Path) -> None:
    """Compile every program into `folder`, which is made."""
    if not shutil.which(COMPILE[0]):
        raise BuildError(f"{COMPILE[0]} is missing. On Debian: apt-get install gcc libc6-dev")
    folder.mkdir()
    for source in SOURCES.glob("*.c"):
        command = [*COMPILE, "-o", str(folder / source.stem), str(source)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise BuildError(f"{source.name}:\n{done.stderr}")
