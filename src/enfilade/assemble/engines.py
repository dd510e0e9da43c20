"""The engines of a configuration's connections, and their limits. Chosen in the supervisor before the fork, so that all workers
share what was imported for them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from enfilade.assemble.filters import engine_body_limit
from enfilade.config.schema import Config
from enfilade.wire.codec import DateStamp, ServerCodec
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http1.server import Http1Server

if TYPE_CHECKING:
    from enfilade.wire.http2 import Http2Limits

_Limits = TypeVar("_Limits", Http1Limits, "Http2Limits")
Http2Engine = Callable[[str, DateStamp, float], ServerCodec]


class Engines:
    """`http2`: whether a listener of `config` can be asked for HTTP/2."""

    def __init__(self, config: Config, *, http2: bool) -> None:
        self._http1 = engine_limits(Http1Limits, config)
        self._http2 = _http2_engine(config) if http2 else None

    def maker(self, scheme: str, date: DateStamp) -> Callable[[bool, float], ServerCodec]:
        """Makes the engine of a connection: `(is_http2, now)`."""
        http1, http2 = self._http1, self._http2

        def make(is_http2: bool, now: float) -> ServerCodec:
            if is_http2 and http2 is not None:
                return http2(scheme, date, now)
            return Http1Server(scheme, http1, date, now)

        return make


def _http2_engine(config: Config) -> Http2Engine:
    # The tables of HTTP/2 and HPACK cost 10 ms, which only those pay whose listeners speak it.
    from enfilade.wire.http2 import Http2Limits, Http2Server  # noqa: PLC0415

    limits = engine_limits(Http2Limits, config)
    return lambda scheme, date, now: Http2Server(scheme, limits, date, now)


def engine_limits(make: type[_Limits], config: Config) -> _Limits:
    """The limits of an engine: the names that it shares with the configuration; for the rest its own defaults."""
    said = msgspec.structs.asdict(config.server.limits) | {"body": engine_body_limit(config)}
    return make(**{name: said[name] for name in make.__slots__ if name in said})
