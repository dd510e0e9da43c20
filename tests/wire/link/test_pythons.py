"""The link, and all that it imports, runs on every Python that an application may have, with the standard library alone."""

from __future__ import annotations

import pytest
from tests.pythons import VERSIONS, run

PROGRAM = """
import importlib, pkgutil
import enfilade.http
for module in pkgutil.iter_modules(enfilade.http.__path__):
    importlib.import_module("enfilade.http." + module.name)

from enfilade.http.ends import Ends
from enfilade.http.fields import Fields
from enfilade.http.request import Request
from enfilade.wire.link import LinkClient, LinkedRequest, LinkServer

edge, app = LinkClient(10), LinkServer()
request = Request("POST", "http", "a.example", "a.example", "/x", b"/x", b"", Fields([(b"host", b"a.example")]), "1.1")
linked = LinkedRequest.of(request, Ends(("192.0.2.7", 1), ("192.0.2.1", 80)), "/m")
for _ in range(2):
    stream = edge.request(linked, end=False)
    edge.data(stream, b"up", end=True)
    head, data, ended = app.feed(b"".join(edge.pending()), 0.0)
    app.consumed(stream, data.cost)
    app.start(stream, 200, Fields([(b"x-mount", head.request.mount.encode())]))
    app.data(stream, data.data + b" and down")
    app.end(stream, Fields([(b"x-sum", b"1")]))
    head, data, ended = edge.feed(b"".join(app.pending()), 0.0)
    print(head.status, head.fields.get(b"x-mount"), data.data, ended.trailers.get(b"x-sum"))
    stream = edge.request(linked, end=True)
    app.feed(b"".join(edge.pending()), 0.0)
    app.respond(stream, 404, Fields([(b"x", b"y")]), b"no")
    print(edge.feed(b"".join(app.pending()), 0.0))
print(edge.feed(b"\\xff" * 50, 0.0), app.feed(b"", 0.0))
"""

PRINTED = """\
200 b'/m' b'up and down' b'1'
[ResponseReceived({}, 404, Fields([(b'x', b'y'), (b'content-length', b'2')]), ended=True, b'no')]
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_an_exchange(version: str) -> None:
    end = "[ConnectionClosed(<Reason bad_response 502>)] [ConnectionClosed(None)]\n"
    assert run(version, PROGRAM) == PRINTED.format(2) + PRINTED.format(4) + end
