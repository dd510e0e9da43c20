"""Whether bans can be handed to nftables at all: looked at before anything is started."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

from enfilade.process.nft import ENVIRONMENT, TIMEOUT

_CAP_NET_ADMIN = 12
"""capabilities(7)."""
_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def find_nft() -> str:
    """The program. Raises ValueError where there is none, or this process may not change the kernel's rules."""
    program = shutil.which("nft", path=f"{os.environ.get('PATH', '')}:{_PATH}")
    if program is None:
        raise ValueError("there is no program nft; on Debian: apt-get install nftables")
    root = os.geteuid() == 0
    if not _capabilities("CapEff" if root else "CapAmb") >> _CAP_NET_ADMIN & 1:
        if root:
            raise ValueError("root has no CAP_NET_ADMIN here; give it to the container")
        raise ValueError(
            "only root may change the kernel's rules, or who has CAP_NET_ADMIN as an ambient capability; "
            "start the server as root, and name server.user for its workers"
        )
    return os.path.abspath(program)


def try_nft(script: str) -> None:
    """Whether the kernel would take `script`, without carrying it out. Raises ValueError, as `find_nft` does, and OSError."""
    command = [find_nft(), "--check", "-f", "-"]
    try:
        done = subprocess.run(
            command, input=script, env=ENVIRONMENT, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"nft does not end within {TIMEOUT:g} s") from None
    if done.returncode:
        raise ValueError(f"nft cannot be used: {done.stderr.partition(chr(10))[0]}")


def _capabilities(which: str) -> int:
    """A set of them, as bits; 0 where the system does not say."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    found = re.search(rf"^{which}:\s*([0-9a-f]+)$", text, re.MULTILINE)
    return int(found[1], 16) if found else 0
