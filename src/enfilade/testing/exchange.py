"""Exchanges without a network: for tests of filters and handlers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from enfilade.exchange.bodies import Stream, empty_body
from enfilade.exchange.exchange import Exchange, Match, Route
from enfilade.exchange.response import Response
from enfilade.http.ends import Ends
from enfilade.http.fields import Fields, Pair
from enfilade.http.request import Request


class FakeCarrier:
    """A connection that only remembers. `time` is its clock, in seconds: tests set it."""

    def __init__(self, time: float = 1000.0) -> None:
        self.time = time
        self.informed: list[tuple[int, int, Fields]] = []

    def inform(self, stream: int, status: int, fields: Fields) -> None:
        self.informed.append((stream, status, fields))

    def now(self) -> float:
        return self.time


def make_request(
    method: str = "GET",
    target: str = "/",
    fields: Iterable[Pair] = (),
    *,
    path: str | None = None,
    authority: str = "example.com",
    scheme: str = "http",
    version: str = "1.1",
    protocol: str | None = None,
) -> Request:
    """The request `method target`; `path` is the percent-decoded part of `target` before the `?`, where not given."""
    raw_path, _, query = target.partition("?")
    host = authority.rpartition(":")[0] if authority.rpartition(":")[2].isdigit() else authority
    return Request(
        method,
        scheme,
        authority,
        host.strip("[]"),
        unquote(raw_path) if path is None else path,
        raw_path.encode("ascii"),
        query.encode("ascii"),
        Fields(fields),
        version,
        protocol,
    )


def make_exchange(
    method: str = "GET",
    target: str = "/",
    fields: Iterable[Pair] = (),
    *,
    body: bytes = b"",
    mount: str = "",
    params: Mapping[str, str] | None = None,
    route: Route | None = None,
    client: tuple[str, int | None] = ("192.0.2.1", 50000),
    carrier: FakeCarrier | None = None,
    path: str | None = None,
    authority: str = "example.com",
    scheme: str = "http",
    version: str = "1.1",
    protocol: str | None = None,
) -> Exchange:
    """One exchange with its whole request body there, started at the carrier's time."""
    carrier = FakeCarrier() if carrier is None else carrier
    request = make_request(method, target, fields, path=path, authority=authority, scheme=scheme, version=version,
                           protocol=protocol)  # fmt: skip
    content = empty_body()
    if body:
        content = Stream(len(body) + 1)
        content.write(body)
        content.end()
    match = Match(route or Route("", "", lambda x: Response(404)), params or {}, mount)
    return Exchange(request, content, Ends(client, ("127.0.0.1", 80), scheme), carrier, 1, carrier.now(), match)
