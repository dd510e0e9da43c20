"""Origins (RFC 6454): which pages a request may come from."""

from __future__ import annotations

import re
from collections.abc import Iterable

from enfilade.http.request import Request

DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_NONE = "(?!)"  # matches nothing
_ORIGIN = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?:\*\.)?(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])(?P<port>:\d{1,5})?"
)


def origin_pattern(text: str) -> str:
    """`text`, if it is an origin as browsers write it, `scheme://*.host` for all hosts below one, or `null`; else ValueError."""
    if text == "null":
        return text
    found = _ORIGIN.fullmatch(text)
    if found is None:
        raise ValueError(
            f'"{text}" is no origin: write "https://host", "https://host:port" or "https://*.host", in lower case'
        )
    if found["port"] is not None and found["port"] == DEFAULT_PORTS.get(found["scheme"]):
        raise ValueError(f'"{text}": browsers leave out the port "{found["port"]}", which is the default')
    return text


class Origins:
    """A list of origins, `https://*.host` for all hosts below one. `null` matches only where it is named. ValueError for what
    is none."""

    def __init__(self, patterns: Iterable[str]) -> None:
        expressions = [_expression(origin_pattern(text)) for text in patterns]
        self._pattern = re.compile(("|".join(expressions) or _NONE).encode())

    def __contains__(self, origin: bytes) -> bool:
        """Whether the field value `origin` is one of them."""
        return self._pattern.fullmatch(origin) is not None


def _expression(pattern: str) -> str:
    scheme, _, rest = pattern.partition("://*.")
    return rf"{re.escape(scheme)}://(?:[a-z0-9_-]+\.)+{re.escape(rest)}" if rest else re.escape(pattern)


def own_origin(request: Request) -> bytes:
    """The origin that `request` was sent to, as a browser writes it: without the port that its scheme has anyway."""
    authority, port = request.authority, DEFAULT_PORTS[request.scheme]
    host = authority[: -len(port)] if authority.endswith(port) else authority
    return f"{request.scheme}://{host}".encode()
