"""The head of a request to a peer that is told first whose connection is passed on."""

from __future__ import annotations

from enfilade.http.request import Request


class AnnouncedRequest(Request):
    """A `Request`, and the `announcement` (a header of the PROXY protocol) that must have begun the connection that it goes out
    on."""

    __slots__ = ("announcement",)
    announcement: bytes

    @classmethod
    def of(cls, request: Request, announcement: bytes) -> AnnouncedRequest:
        """`request`, which nothing is remembered on yet."""
        r = request
        made = cls(
            r.method, r.scheme, r.authority, r.host, r.path, r.raw_path, r.query, r.fields, r.version, r.protocol
        )  # fmt: skip
        made.announcement = announcement
        return made
