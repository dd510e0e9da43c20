"""The order of filters is fixed: never that of the lines in a file."""

from __future__ import annotations

import random
from pathlib import Path

from tests.limits.test_bans import nobody

from enfilade.assemble.concurrency import SaidConcurrency
from enfilade.assemble.limiting import Said
from enfilade.assemble.stores import cache_filter, nowhere
from enfilade.assemble.trial import NoMeter, NoWorker
from enfilade.config.schema import CacheRules, RateLimit, RequestRules
from enfilade.config.schema import Concurrency as Table
from enfilade.exchange.exchange import Filter
from enfilade.exchange.response import Response
from enfilade.filters import ORDER, rank
from enfilade.filters.access_log import AccessLog
from enfilade.filters.basic_auth import BasicAuth, Users
from enfilade.filters.body_limit import BodyLimit
from enfilade.filters.client_certificate import ClientCertificate
from enfilade.filters.compress import Compress
from enfilade.filters.cors import Cors
from enfilade.filters.csrf import Csrf
from enfilade.filters.decompress import Decompress
from enfilade.filters.firewall import Firewall
from enfilade.filters.headers import Headers
from enfilade.filters.request_id import RequestId
from enfilade.filters.security_headers import SecurityHeaders
from enfilade.filters.timing import Timing
from enfilade.http.addresses import Networks
from enfilade.http.field_rules import FieldRules
from enfilade.http.origins import Origins
from enfilade.http.passwords import Password
from enfilade.identity.forward import ForwardAuth
from enfilade.identity.jwt import Jwt, bearer
from enfilade.identity.keys import FixedKeys
from enfilade.identity.token import Terms
from enfilade.limits.bulkhead import Concurrency
from enfilade.limits.offences import Offences
from enfilade.limits.table import Windows, table_size
from enfilade.limits.window import Window
from enfilade.net.firewall import Guard
from enfilade.observe.log import LogSink

DOCS = Path(__file__).parents[2] / "docs" / "filters.md"


def windows() -> Windows:
    return Windows(memoryview(bytearray(table_size(1, 1))).cast("q"), 1, 0)


def test_any_order_gives_the_one_order() -> None:
    limits = NoWorker().limits(Said([RateLimit(rate="1/s"), RateLimit(rate="1/s", by="user")], own=True), "", "")
    filters: list[Filter] = [
        Timing(),
        RequestId(),
        AccessLog(LogSink("/dev/null")),
        Headers(FieldRules()),
        Firewall(Guard(None)),
        Offences({}, Window(1, 1), windows(), nobody(), Networks(()), lambda ban: None),
        SecurityHeaders({}),
        ClientCertificate(),
        NoWorker().rules(RequestRules(), {}),
        limits[0],
        Concurrency(NoWorker().bulkhead(SaidConcurrency(Table(limit=1), True, 1), "", ""), 1),
        Cors(None),
        Csrf(Origins(())),
        BasicAuth(Users({"a": Password(15, 8, 1, b"", b"")}), ""),
        Jwt(bearer, FixedKeys(()), Terms(frozenset(), frozenset(), frozenset(), {}, 0.0)),
        ForwardAuth(lambda x: Response(200), lambda request: request, []),
        limits[1],
        Decompress(),
        BodyLimit(1),
        cache_filter(CacheRules(), nowhere(), NoMeter()),
        Compress(),
    ]
    assert tuple(type(f).__name__ for f in filters) == ORDER
    dice = random.Random(1)
    assert all(sorted(dice.sample(filters, len(filters)), key=rank) == filters for _ in range(1000))


def test_the_docs_name_them_in_this_order() -> None:
    headings = [
        line.rpartition("`")[0].rpartition("`")[2] for line in DOCS.read_text().splitlines() if line.startswith("## `")
    ]
    assert headings == list(ORDER)
