"""The table of cache reasons: each row is given somewhere."""

from __future__ import annotations

import re
from pathlib import Path

from enfilade.cache import reasons
from enfilade.cache.reasons import CACHE_REASONS
from enfilade.observe.metrics import CACHE_RESULTS

ROOM = Path(reasons.__file__).parent


def test_every_row_is_used() -> None:
    sources = "".join(p.read_text() for p in ROOM.rglob("*.py") if p.name != "reasons.py")
    used = set(re.findall(r'"([a-z_]+)"', sources))
    assert set(CACHE_REASONS) <= used


def test_results_are_counted_by_their_kind() -> None:
    assert [kind.name.lower() for kind in list(reasons.Kind)[:4]] == list(CACHE_RESULTS)
