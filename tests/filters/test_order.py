"""The order of filters is fixed: never that of the lines in a file."""

from __future__ import annotations

import itertools
from pathlib import Path

from enfilade.assemble.caching import cache_filter
from enfilade.assemble.stores import nowhere
from enfilade.assemble.trial import NoMeter
from enfilade.config.schema import CacheRules
from enfilade.exchange.exchange import Filter
from enfilade.filters import ORDER, AccessLog, BodyLimit, Compress, Decompress, Headers, RequestId, Timing, in_order
from enfilade.http.field_rules import FieldRules
from enfilade.observe.log import LogSink

DOCS = Path(__file__).parents[2] / "docs" / "filters.md"


def test_any_order_gives_the_one_order() -> None:
    filters: list[Filter] = [
        Timing(),
        RequestId(),
        AccessLog(LogSink("/dev/null")),
        Headers(FieldRules()),
        Decompress(),
        BodyLimit(1),
        cache_filter(CacheRules(), nowhere(), NoMeter()),
        Compress(),
    ]
    assert tuple(map(type, filters)) == ORDER
    assert all(in_order(some) == filters for some in itertools.permutations(filters))


def test_the_docs_name_them_in_this_order() -> None:
    headings = [
        line.rpartition("`")[0].rpartition("`")[2] for line in DOCS.read_text().splitlines() if line.startswith("## `")
    ]
    assert headings == [f.__name__ for f in ORDER]
