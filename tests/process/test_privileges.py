"""Giving up root, checked in a forked child."""

from __future__ import annotations

import grp
import os
import pwd
from pathlib import Path

import pytest

from enfilade.process.privileges import Identity, drop_privileges, find_identity

root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to drop")


def test_no_names_mean_nothing_to_do() -> None:
    assert find_identity(None, None) is None


@pytest.mark.parametrize(("user", "group"), [("no-such-user", None), ("4294967294", None), (None, "no-such-group")])
def test_r31_an_unknown_name_refuses_the_start(user: str | None, group: str | None) -> None:
    with pytest.raises(LookupError, match="there is no"):
        find_identity(user, group)


@root
def test_a_user_brings_its_groups() -> None:
    nobody = pwd.getpwnam("nobody")
    identity = find_identity("nobody", None)
    assert identity == Identity(nobody.pw_uid, nobody.pw_gid, tuple(os.getgrouplist("nobody", nobody.pw_gid)))
    assert find_identity(str(nobody.pw_uid), None) == identity


@root
def test_a_group_takes_the_place_of_the_users_own() -> None:
    identity = find_identity("nobody", "daemon")
    assert identity is not None
    assert identity.gid == grp.getgrnam("daemon").gr_gid
    assert identity.gid in identity.groups


@root
def test_after_the_drop_nothing_of_root_is_left() -> None:
    identity = find_identity("nobody", None)
    assert identity is not None
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            drop_privileges(identity)
            status = Path("/proc/self/status").read_text()
            os.write(
                writer, repr((os.getresuid(), os.getresgid(), os.getgroups(), "NoNewPrivs:\t1" in status)).encode()
            )
            try:
                os.setuid(0)
            except PermissionError:
                os.write(writer, b"|refused")
        except BaseException as error:
            os.write(writer, repr(error).encode())
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    os.close(writer)
    with open(reader, "rb") as said:
        uid, gid, groups = identity
        assert said.read().decode() == f"{((uid,) * 3, (gid,) * 3, sorted(groups), True)!r}|refused"
