"""Where machines and browsers keep the roots that they trust. Each store adds and removes one, and says what it did."""

from __future__ import annotations

import glob
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

SYSTEM = {
    "/usr/local/share/ca-certificates": "update-ca-certificates",  # Debian, Ubuntu, Alpine
    "/etc/pki/ca-trust/source/anchors": "update-ca-trust",  # Fedora, Red Hat
    "/etc/ca-certificates/trust-source/anchors": "update-ca-trust",  # Arch
    "/etc/pki/trust/anchors": "update-ca-certificates",  # openSUSE
}
"""A directory of roots that are trusted besides the system's own, and what takes them over."""
KEYCHAIN = "/Library/Keychains/System.keychain"
CHROMIUM = ".pki/nssdb"
CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "brave-browser", "microsoft-edge")
PROFILES = ("snap/chromium/current/.pki/nssdb", ".mozilla/firefox/*", "snap/firefox/common/.mozilla/firefox/*")
"""Beneath a home: where browsers may have databases of their own."""
TIMEOUT = 60.0


class TrustError(Exception):
    """The text says what could not be done, and what would help."""


class Root(NamedTuple):
    """A root to be trusted. `name`: which no other one has."""

    pem: bytes
    name: str
    path: str

    @property
    def file(self) -> str:
        return "enfilade-" + self.name.rpartition(" ")[2] + ".crt"


class Store(Protocol):
    """`where`: for people. `add` and `remove` return what was done, as people read it; [] where nothing was to be done."""

    @property
    def where(self) -> str: ...
    def add(self, root: Root) -> list[str]: ...
    def remove(self, root: Root) -> list[str]: ...


def read_root(path: str) -> Root:
    """The root in a PEM file. Raises OSError, or TrustError where it holds anything else."""
    with open(path, "rb") as file:
        text = file.read()
    try:
        (found,) = x509.load_pem_x509_certificates(text)
        found.verify_directly_issued_by(found)
        is_authority = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        is_authority = False
    if not is_authority:
        raise TrustError(f"{path} is not the certificate of a root")
    fingerprint = found.fingerprint(SHA256()).hex()[:16]
    names = found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    title = str(names[0].value) if names else "root"
    return Root(found.public_bytes(Encoding.PEM), f"{title} {fingerprint}", os.path.abspath(path))


class Anchors:
    """The system's store, where it is a directory and a `command` that takes over what is in it."""

    def __init__(self, directory: str, command: Sequence[str]) -> None:
        self.where = f"the system's store ({directory})"
        self._directory = directory
        self._command = command

    def add(self, root: Root) -> list[str]:
        path = os.path.join(self._directory, root.file)
        if os.path.exists(path):
            return []
        with open(path, "wb") as file:
            os.fchmod(file.fileno(), 0o644)
            file.write(root.pem)
        try:
            return [f"wrote {path}", run(self._command)]
        except TrustError:
            os.unlink(path)
            raise

    def remove(self, root: Root) -> list[str]:
        path = os.path.join(self._directory, root.file)
        if not os.path.exists(path):
            return []
        os.unlink(path)
        return [f"removed {path}", run(self._command)]


class Keychain:
    """That of macOS."""

    where = f"the system's keychain ({KEYCHAIN})"

    def add(self, root: Root) -> list[str]:
        return [run(["security", "add-trusted-cert", "-d", "-r", "trustRoot", "-k", KEYCHAIN, root.path])]

    def remove(self, root: Root) -> list[str]:
        return [run(["security", "remove-trusted-cert", "-d", root.path])]


class Nss:
    """The database of a browser, in `directory`; made where there is none."""

    def __init__(self, directory: str) -> None:
        self.where = f"browsers ({directory})"
        self._directory = directory

    def add(self, root: Root) -> list[str]:
        done = []
        if not os.path.exists(os.path.join(self._directory, "cert9.db")):
            os.makedirs(self._directory, 0o700, exist_ok=True)
            done.append(run([*self._certutil("-N"), "--empty-password"]))
        elif self._has(root):
            return []
        return [*done, run([*self._certutil("-A"), "-t", "C,,", "-n", root.name, "-i", root.path])]

    def remove(self, root: Root) -> list[str]:
        if not os.path.exists(os.path.join(self._directory, "cert9.db")) or not self._has(root):
            return []
        return [run([*self._certutil("-D"), "-n", root.name])]

    def _has(self, root: Root) -> bool:
        asked = [*self._certutil("-L"), "-n", root.name]
        return subprocess.run(asked, capture_output=True, timeout=TIMEOUT, check=False).returncode == 0

    def _certutil(self, what: str) -> list[str]:
        if shutil.which("certutil") is None:
            raise TrustError("certutil is not there; on Debian: apt-get install libnss3-tools")
        return ["certutil", what, "-d", f"sql:{self._directory}"]


def system_stores() -> list[Store]:
    """That of this machine; [] where none is known."""
    if sys.platform == "darwin":
        return [Keychain()]
    for directory, program in SYSTEM.items():
        # The last two are not on every user's path.
        command = shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
        if command is not None and os.path.isdir(directory):
            return [Anchors(directory, [command])]
    return []


def browser_stores(home: str) -> list[Store]:
    """Those of the browsers of whose home it is."""
    found = [path for pattern in PROFILES for path in glob.glob(os.path.join(glob.escape(home), pattern))]
    found = [path for path in found if os.path.exists(os.path.join(path, "cert9.db"))]
    chromium = os.path.join(home, CHROMIUM)
    if os.path.isdir(chromium) or any(map(shutil.which, CHROMIUMS)):
        found.insert(0, chromium)
    return [Nss(path) for path in found]


def run(command: Sequence[str]) -> str:
    """Run it; what was done. Raises TrustError with its last word."""
    text = shlex.join(command)
    try:
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise TrustError(f"{text}: {error}") from None
    if ran.returncode:
        last = (ran.stderr or ran.stdout).strip().rpartition("\n")[2]
        raise TrustError(f"{text}: {last or f'exit code {ran.returncode}'}")
    return f"ran {text}"
