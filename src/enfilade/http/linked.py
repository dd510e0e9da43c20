"""The head of a request with what an application is told besides."""

from __future__ import annotations

from enfilade.http.ends import Ends
from enfilade.http.fields import Fields
from enfilade.http.request import Request


class LinkedRequest(Request):
    """A `Request`, the `ends` of the client's connection that it came on (without `tls`, when it has come over a link), and
    `mount`: the part of its path that the application is mounted at, `""` for none. The same bytes give the same object."""

    __slots__ = ("ends", "mount")

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
        protocol: str | None,
        ends: Ends,
        mount: str,
    ) -> None:
        super().__init__(method, scheme, authority, host, path, raw_path, query, fields, version, protocol)
        self.ends = ends
        self.mount = mount

    @classmethod
    def of(cls, request: Request, ends: Ends, mount: str) -> LinkedRequest:
        """`request` to be sent over a link."""
        r = request
        return cls(
            r.method, r.scheme, r.authority, r.host, r.path, r.raw_path, r.query, r.fields, r.version, r.protocol, ends, mount
        )  # fmt: skip
