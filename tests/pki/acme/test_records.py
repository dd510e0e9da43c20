"""What is remembered: whole or not at all, by all workers, and not for ever."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from enfilade.pki.acme.records import Record, Records, Transaction


class Thing(Record):
    text: str = ""


def thing(id: str, owner: str = "o", expires: float = 10.0) -> Thing:
    return Thing(id=id, owner=owner, expires=expires, text=f"text of {id}")


@pytest.fixture
def both(tmp_path: Path) -> tuple[Records, Records]:
    """Of two workers."""
    path = str(tmp_path / "records")
    return Records(path), Records(path)


def test_workers_see_what_others_wrote(both: tuple[Records, Records]) -> None:
    ours, theirs = both
    with ours.transaction(0.0) as tx:
        tx.put(thing("a"))
        tx.put(thing("b", "p"))
    with theirs.transaction(0.0) as tx:
        assert tx.get(Thing, "a") == thing("a")
        assert tx.get(Record, "a") is None, "of another kind"
        assert tx.owned(Thing, "p") == [thing("b", "p")]
        assert [one.id for one in tx.all(Thing)] == ["a", "b"]
        assert (tx.count(Thing), tx.count(Thing, "o"), tx.count(Record)) == (2, 1, 0)
        tx.put(thing("a", "p"))
    with ours.transaction(0.0) as tx:
        assert tx.count(Thing, "p") == 2


def test_what_is_not_finished_did_not_happen(both: tuple[Records, Records]) -> None:
    ours, theirs = both
    with pytest.raises(ZeroDivisionError), ours.transaction(0.0) as tx:
        _put_and_fail(tx)
    with theirs.transaction(0.0) as tx:
        assert tx.get(Thing, "a") is None


def _put_and_fail(tx: Transaction) -> None:
    tx.put(thing("a"))
    raise ZeroDivisionError


def test_what_has_expired_is_gone(both: tuple[Records, Records]) -> None:
    ours, _ = both
    with ours.transaction(0.0) as tx:
        tx.put(thing("a", expires=10.0))
    with ours.transaction(9.9) as tx:
        assert tx.get(Thing, "a") is not None
    with ours.transaction(10.0) as tx:
        assert tx.get(Thing, "a") is None


def test_a_file_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "records").write_bytes(b"something else, and long enough to be looked at" * 100)
    with pytest.raises(sqlite3.DatabaseError):
        Records(str(tmp_path / "records"))
