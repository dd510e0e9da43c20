"""Who leaves what to whom: methods, credentials, cookies and ranges in one table, each row through a real server."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from tests.e2e.conftest import Server, Start
from tests.e2e.origins import Origin, ask, pattern

pytest_plugins = ["tests.e2e.origin_fixtures"]

CONFIG = """
[server]
http = "127.0.0.1:0"
workers = 1
[sites."*"]
"/*" = {{ proxy = "{origin}", cache = true }}
"""
SIZE = 1000
REQUEST = {"auth": ("authorization", "Basic eDp5"), "cookie": ("cookie", "a=1")}

# One asks with a method and such fields; the answer has such a Cache-Control, and sets a cookie; what Cache-Status says to him,
# and then to a stranger who simply asks for the same; "; stored" and "; ttl=" left out.
TABLE = """
GET     |              | max-age=9                        |     | 200 fwd=uri-miss                               | hit
GET     |              | max-age=9                        | set | 200 fwd=uri-miss; detail=set_cookie            | fwd=bypass; detail=hit_for_miss
GET     |              | public, max-age=9                | set | 200 fwd=uri-miss; detail=set_cookie            | fwd=bypass; detail=hit_for_miss
GET     |              | max-age=9, no-cache="set-cookie" | set | 200 fwd=uri-miss                               | hit
GET     |              | max-age=9, private               |     | 200 fwd=uri-miss; detail=private               | fwd=bypass; detail=hit_for_miss
GET     |              | max-age=9, no-store              |     | 200 fwd=uri-miss; detail=no_store              | fwd=bypass; detail=hit_for_miss
GET     |              | no-cache                         |     | 200 fwd=uri-miss                               | fwd=stale; fwd-status=304; detail=revalidated
GET     |              |                                  |     | 200 fwd=uri-miss; detail=no_freshness          | fwd=bypass; detail=hit_for_miss
GET     | cookie       | max-age=9                        |     | 200 fwd=uri-miss                               | hit
GET     | cookie       | max-age=9                        | set | 200 fwd=uri-miss; detail=set_cookie            | fwd=bypass; detail=hit_for_miss
GET     | cookie       | max-age=9, private               |     | 200 fwd=uri-miss; detail=private               | fwd=bypass; detail=hit_for_miss
GET     | cookie       | no-cache                         |     | 200 fwd=uri-miss; detail=request_cookie        | fwd=uri-miss
GET     | auth         | max-age=9                        |     | 200 fwd=uri-miss; detail=request_authorization | fwd=uri-miss
GET     | auth         | max-age=9                        | set | 200 fwd=uri-miss; detail=request_authorization | fwd=uri-miss; detail=set_cookie
GET     | auth         | max-age=9, public                |     | 200 fwd=uri-miss                               | hit
GET     | auth         | max-age=9, public                | set | 200 fwd=uri-miss; detail=set_cookie            | fwd=bypass; detail=hit_for_miss
GET     | auth         | max-age=9, must-revalidate       |     | 200 fwd=uri-miss                               | hit
GET     | auth         | s-maxage=9                       |     | 200 fwd=uri-miss                               | hit
GET     | auth         | s-maxage=9, private              |     | 200 fwd=uri-miss; detail=private               | fwd=bypass; detail=hit_for_miss
GET     | auth, cookie | max-age=9                        |     | 200 fwd=uri-miss; detail=request_authorization | fwd=uri-miss
GET     | auth, cookie | max-age=9, public                |     | 200 fwd=uri-miss                               | hit
GET     | 0-9          | max-age=9                        |     | 206 fwd=uri-miss                               | hit
GET     | 0-9          | max-age=9, no-cache="set-cookie" | set | 206 fwd=uri-miss                               | hit
GET     | 0-9          | max-age=9                        | set | 206 fwd=uri-miss; detail=set_cookie            | fwd=bypass; detail=hit_for_miss
GET     | 0-9          | max-age=9, no-store              |     | 206 fwd=uri-miss; detail=no_store              | fwd=bypass; detail=hit_for_miss
GET     | 0-9, auth    | max-age=9                        |     | 206 fwd=uri-miss; detail=request_authorization | fwd=uri-miss
GET     | 0-9, auth    | max-age=9, public                |     | 206 fwd=uri-miss                               | hit
GET     | 500-         | max-age=9                        |     | 206 fwd=uri-miss                               | fwd=partial
GET     | 500-         | max-age=9                        | set | 206 fwd=uri-miss                               | fwd=uri-miss; detail=set_cookie
GET     | 500-         | max-age=9, private               |     | 206 fwd=uri-miss                               | fwd=uri-miss; detail=private
GET     | 500-         | max-age=9, no-store              |     | 206 fwd=uri-miss                               | fwd=uri-miss; detail=no_store
GET     | 500-, auth   | max-age=9                        |     | 206 fwd=uri-miss                               | fwd=uri-miss
GET     | 500-, auth   | max-age=9, public                |     | 206 fwd=uri-miss                               | fwd=partial
GET     | 500-, cookie | max-age=9                        |     | 206 fwd=uri-miss                               | fwd=partial
HEAD    |              | max-age=9                        |     | 200 fwd=uri-miss                               | fwd=uri-miss
HEAD    | auth         | max-age=9, public                |     | 200 fwd=uri-miss                               | fwd=uri-miss
OPTIONS |              | max-age=9                        |     | 200 fwd=method                                 | fwd=uri-miss
POST    |              | max-age=9                        |     | 200 fwd=method                                 | fwd=uri-miss
POST    | auth         | max-age=9, public                | set | 200 fwd=method                                 | fwd=uri-miss; detail=set_cookie
PUT     |              | max-age=9                        |     | 200 fwd=method                                 | fwd=uri-miss
DELETE  |              | max-age=9                        |     | 200 fwd=method                                 | fwd=uri-miss
"""  # noqa: E501
ROWS = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip().splitlines()]


@pytest.fixture(scope="module")
def server(start_once: Start, origin: Origin) -> Server:
    return start_once(CONFIG.format(origin=origin.url))


def said(fields: dict[str, str]) -> str:
    """Cache-Status. What is stored says so, or for how long it is fresh: that depends on whether its body came in one piece."""
    return re.sub(r"; (ttl=-?\d+|stored)", "", fields["cache-status"].removeprefix("enfilade; "))


@pytest.mark.parametrize("row", ROWS, ids=[" ".join(filter(None, row[:4])) for row in ROWS])
def test_who_leaves_what_to_whom(server: Server, name: str, row: list[str]) -> None:
    method, request, stated, sets, first, then = row
    target = f"/{name}?cc={quote(stated)}&size={SIZE}&ranges=1&etag=v1" + ("&h=set-cookie:secret=1" if sets else "")
    words = request.split(", ") if request else []
    fields = dict(REQUEST.get(word, ("range", f"bytes={word}")) for word in words)
    status, got, _ = ask(server, target, method, **fields)
    assert f"{status} {said(got)}" == first
    assert ("set-cookie" in got) is bool(sets)

    status, got, body = ask(server, target)
    assert (status, said(got), body) == (200, then, pattern(0, SIZE))
    assert "set-cookie" not in got or not then.startswith(("hit", "fwd=partial", "fwd=stale")), "another's session"
