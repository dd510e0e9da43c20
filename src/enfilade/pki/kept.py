"""The directory in which an authority is kept: `root.pem`, `root.key`, `intermediate.pem`, `intermediate.key`.

`root.key` is only needed when the intermediate is made: at first, when half of its life is over, and when it is to sign for
other names. Between two of these it may be somewhere safe.
"""

from __future__ import annotations

import fcntl
import os
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from enfilade.atomic import replace_file
from enfilade.pki.authority import Authority, constraints_of, key_pem, new_root, pem

ROOT, INTERMEDIATE = "root", "intermediate"
MODE = 0o755
"""Of the directory: everybody may read the certificates, nobody else the keys."""


class KeptError(ValueError):
    """The text says which file cannot be used, and why."""


class Kept(NamedTuple):
    """What is in a directory."""

    root: x509.Certificate
    root_key: ec.EllipticCurvePrivateKey | None
    intermediate: Authority | None

    def signer(self, names: Sequence[str], now: datetime) -> Authority:
        """The intermediate for `names`: that which is there, if it is the right one, or else a new one. Raises KeptError."""
        there = self.intermediate
        if there is not None and _is_fresh(there.certificate, now) and _constraints(there) == constraints_of(names):
            return there
        if self.root_key is None:
            raise KeptError(f"{ROOT}.key is not there, and a new {INTERMEDIATE}.pem must be signed with it")
        return Authority(self.root, self.root_key, self.root).intermediate(
            names, now, None if there is None else there.key
        )


def keep(directory: str, names: Sequence[str], now: datetime) -> Authority:
    """The intermediate that is kept in `directory`, and may sign for `names`. What is not there is made, the directory too.
    Raises KeptError or OSError."""
    try:
        os.mkdir(directory, MODE)
    except FileExistsError:
        pass
    with _locked(directory):
        kept = read_kept(directory, now)
        if kept is None:
            made = new_root(socket.gethostname(), now)
            kept = Kept(made.certificate, made.key, None)
            _write_both(directory, ROOT, made)
        signer = kept.signer(names, now)
        if signer is not kept.intermediate:
            _write_both(directory, INTERMEDIATE, signer)
    return signer


def root_path(directory: str) -> str:
    """Where the root's certificate is."""
    return os.path.join(directory, f"{ROOT}.pem")


def read_kept(directory: str, now: datetime) -> Kept | None:
    """What is kept in `directory`; None: nothing yet. Raises KeptError or OSError."""
    there = {name: os.path.join(directory, name) for name in _NAMES if os.path.lexists(os.path.join(directory, name))}
    if not there:
        return None
    if f"{ROOT}.pem" not in there:
        raise KeptError(f"{ROOT}.pem is not there, but {' and '.join(there)}")
    root = _read_certificate(there[f"{ROOT}.pem"], now)
    _verify(root, root, f"{ROOT}.pem")
    root_key = _read_key(there[f"{ROOT}.key"], root) if f"{ROOT}.key" in there else None
    both = [there.get(f"{INTERMEDIATE}.{kind}") for kind in ("pem", "key")]
    intermediate = None
    if both[0] is not None and both[1] is not None:
        certificate = _read_certificate(both[0], None)  # one that has expired is made anew
        _verify(certificate, root, f"{INTERMEDIATE}.pem")
        intermediate = Authority(certificate, _read_key(both[1], certificate), root)
    return Kept(root, root_key, intermediate)


_NAMES = [f"{name}.{kind}" for name in (ROOT, INTERMEDIATE) for kind in ("pem", "key")]


def _is_fresh(certificate: x509.Certificate, now: datetime) -> bool:
    """Less than half of its life is over."""
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return now < since + (until - since) / 2


def _constraints(authority: Authority) -> x509.NameConstraints | None:
    try:
        return authority.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        return None


def _read_certificate(path: str, now: datetime | None) -> x509.Certificate:
    name = os.path.basename(path)
    with open(path, "rb") as file:
        text = file.read()
    try:
        found = x509.load_pem_x509_certificate(text)
        is_authority = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = False
    except ValueError:
        raise KeptError(f"{name} is not a certificate") from None
    if not is_authority:
        raise KeptError(f"{name} is not the certificate of an authority")
    if now is not None and not found.not_valid_before_utc <= now < found.not_valid_after_utc:
        raise KeptError(f"{name} is valid from {found.not_valid_before_utc} to {found.not_valid_after_utc} only")
    return found


def _verify(certificate: x509.Certificate, root: x509.Certificate, name: str) -> None:
    try:
        certificate.verify_directly_issued_by(root)
    except (InvalidSignature, ValueError, TypeError):
        raise KeptError(f"{name} was not signed by {ROOT}.pem") from None


def _read_key(path: str, certificate: x509.Certificate) -> ec.EllipticCurvePrivateKey:
    name = os.path.basename(path)
    with open(path, "rb") as file:
        if stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
            raise KeptError(f"{name} is open to others: chmod 600 {path}")
        text = file.read()
    try:
        key = serialization.load_pem_private_key(text, None)
    except (ValueError, TypeError):
        raise KeptError(f"{name} is not a private key without a passphrase") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise KeptError(f"{name} is not a key of an elliptic curve")
    if key.public_key() != certificate.public_key():
        raise KeptError(f"{name} does not belong to {name.removesuffix('.key')}.pem")
    return key


@contextmanager
def _locked(directory: str) -> Iterator[None]:
    """Of two servers that start at once, one makes the root."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _write_both(directory: str, name: str, authority: Authority) -> None:
    """The key first: a certificate without its key would be of no use."""
    replace_file(os.path.join(directory, f"{name}.key"), key_pem(authority.key))
    replace_file(os.path.join(directory, f"{name}.pem"), pem(authority.certificate), 0o644)
