"""Giving up root: in each worker, after the supervisor bound the sockets."""

from __future__ import annotations

import grp
import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from ctypes import CDLL

_PR_SET_NO_NEW_PRIVS = 38


class Identity(NamedTuple):
    """Whom to run as: found once, in the supervisor, so that a worker needs no user database (and no root) for it."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def find_identity(user: str | None, group: str | None) -> Identity | None:
    """The identity called so, by name or number; None if neither is given.

    Raises LookupError for an unknown name, PermissionError if this process may not become it: both must refuse the start.
    """
    if user is None and group is None:
        return None
    uid, gid, groups = os.geteuid(), os.getegid(), tuple(os.getgroups())
    if user is not None:
        entry = _find_user(user)
        uid, gid = entry.pw_uid, entry.pw_gid
        groups = tuple(os.getgrouplist(entry.pw_name, gid))
    if group is not None:
        gid = _find_group(group)
        groups = tuple({*groups, gid}) if user is not None else (gid,)
    if os.geteuid() != 0 and (uid, gid) != (os.geteuid(), os.getegid()):
        raise PermissionError(f"only root can run workers as {user or uid}:{group or gid}")
    return Identity(uid, gid, groups)


def _find_user(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        raise LookupError(f"there is no user {user!r}") from None


def _find_group(group: str) -> int:
    try:
        return int(group) if group.isdecimal() else grp.getgrnam(group).gr_gid
    except KeyError:
        raise LookupError(f"there is no group {group!r}") from None


def drop_privileges(identity: Identity) -> None:
    """Become `identity`, for good. Raises OSError, or RuntimeError where the way back is still open."""
    # Only who drops them needs it, and must load it before that: whoever we become may not be able to read it.
    from ctypes import CDLL  # noqa: PLC0415

    if os.geteuid() == 0:
        os.setgroups(identity.groups)
        os.setresgid(identity.gid, identity.gid, identity.gid)
        os.setresuid(identity.uid, identity.uid, identity.uid)
    if os.getresuid() != (identity.uid,) * 3 or os.getresgid() != (identity.gid,) * 3:
        raise RuntimeError("the privileges were not dropped")
    if identity.uid != 0:
        _no_way_back(CDLL(None, use_errno=True))


@contextmanager
def acting_as(identity: Identity | None) -> Iterator[None]:
    """For what the supervisor makes for its workers: files are the workers' own. Raises OSError where they may not."""
    if identity is None or os.geteuid() != 0:
        yield
        return
    group = os.getegid()
    os.setegid(identity.gid)
    os.seteuid(identity.uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


def _no_way_back(libc: CDLL) -> None:
    try:
        os.setuid(0)
    except PermissionError:
        pass
    else:
        raise RuntimeError("root can be regained: the privileges were not dropped")
    if sys.platform == "linux":  # set-user-ID programs started from here gain nothing
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
