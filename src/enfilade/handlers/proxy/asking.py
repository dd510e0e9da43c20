"""Asking somebody else about a request: what is sent is a request of its own, which says of which other one it is."""

from __future__ import annotations

from enfilade.handlers.proxy.proxy import Proxy
from enfilade.http.ends import Ends
from enfilade.http.fields import Fields
from enfilade.http.request import Request
from enfilade.upstream.peer import Peer
from enfilade.upstream.upstream import Upstream

# Of the request itself: there is no body, and the answer is to be whole.
_NOT_ASKED = (
    b"content-encoding", b"content-length", b"expect", b"if-match", b"if-modified-since", b"if-none-match", b"if-range",
    b"if-unmodified-since", b"range", b"te", b"trailer",
)  # fmt: skip


class Question(Request):
    """What is asked about the request `about`, by GET."""

    __slots__ = ("about",)
    about: Request

    @classmethod
    def on(cls, about: Request, path: str, raw_path: bytes, query: bytes) -> Question:
        fields = about.fields.without(*_NOT_ASKED)
        made = cls("GET", about.scheme, about.authority, about.host, path, raw_path, query, fields, about.version)
        made.about = about
        return made


class AskingProxy(Proxy):
    """A `Proxy` for `Question`s. Its peers hear in X-Forwarded-Method and -Uri what they are about, as from other proxies."""

    def __init__(self, upstream: Upstream) -> None:
        super().__init__(upstream, host="")

    def _fields_for(self, asked: Request, ends: Ends, peer: Peer) -> Fields:
        assert isinstance(asked, Question)
        about = asked.about
        said = ((b"x-forwarded-method", about.method.encode()), (b"x-forwarded-uri", about.target.encode()))
        return super()._fields_for(asked, ends, peer).adding(*said)
