"""The head of a request, as every room behind the engines sees it, whatever protocol version it came in."""

from __future__ import annotations

from typing import Any

from enfilade.http.fields import Fields


class Request:
    """The head of one request (RFC 9110 section 3.4). Immutable, so engines hand out the same object for the same bytes.

    - `method`: as sent, case kept: `"GET"`.
    - `scheme`: `"http"` or `"https"`, from the connection that it came in on.
    - `authority`: the host and port asked for, lower case, as RFC 3986 section 3.2 allows, no userinfo: `"example.com:8443"`.
      Empty only for HTTP/1.0 without a Host field.
    - `host`: the authority without its port; an IPv6 address without its brackets.
    - `path`: THE normalised path: percent-decoded once, dot segments removed, starts with `/` (or is `"*"`).
      Match, auth, files and applications use this one and no other.
    - `raw_path`: the same path, still percent-encoded; for forwarding and cache keys. Decoding it gives `path`.
    - `query`: what stands behind the first `?`, as sent; `b""` where there is none.
    - `fields`: as received, names in lower case, pseudo-fields left out; HTTP/2 has a `host` field made from `:authority`.
    - `version`: `"1.0"`, `"1.1"` or `"2"`.
    - `protocol`: what a valid upgrade (RFC 9110 section 7.8) or extended CONNECT (RFC 8441) asks for, lower case:
      `"websocket"`; None otherwise.
    - `route`: belongs to the router, which remembers here what it found for this request.
    - `scope`: belongs to the handler of applications, which remembers here what it tells them of this request.
    - `forwarded`: belongs to the proxy, which remembers here what it sends in its place; on a request of a trusted proxy in front
      of us, which no room sees, to `net/trusted.py`, which remembers what it is.
    - `cached`: belongs to the cache, which remembers here what it reads from it.
    - `clean`: belongs to the request rules: those that have found nothing in it.
    - `encoded`: belongs to the engines, which remember here how they sent it.
    """

    __slots__ = (
        "authority", "cached", "clean", "encoded", "fields", "forwarded", "host", "method", "path", "protocol", "query",
        "raw_path", "route", "scheme", "scope", "version",
    )  # fmt: skip

    def __init__(
        self,
        method: str,
        scheme: str,
        authority: str,
        host: str,
        path: str,
        raw_path: bytes,
        query: bytes,
        fields: Fields,
        version: str,
        protocol: str | None = None,
    ) -> None:
        self.method = method
        self.scheme = scheme
        self.authority = authority
        self.host = host
        self.path = path
        self.raw_path = raw_path
        self.query = query
        self.fields = fields
        self.version = version
        self.protocol = protocol
        self.route: Any = None
        self.scope: dict[str, object] | None = None
        self.forwarded: Any = None
        self.cached: Any = None
        self.clean: object = None
        self.encoded: object = None

    def with_fields(self, fields: Fields) -> Request:
        """The same request with other fields, for what a filter tells the rooms behind it; its route goes with it."""
        r = Request(
            self.method, self.scheme, self.authority, self.host, self.path, self.raw_path, self.query, fields,
            self.version, self.protocol,
        )  # fmt: skip
        r.route = self.route
        return r

    def with_method(self, method: str) -> Request:
        """The same request with another method."""
        r = self.with_fields(self.fields)
        r.method = method
        return r

    @property
    def target(self) -> str:
        """Path and query as one string, percent-encoded: for logs and redirects."""
        return (self.raw_path + b"?" + self.query if self.query else self.raw_path).decode("ascii", "backslashreplace")

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.scheme}://{self.authority}{self.target} HTTP/{self.version}>"
