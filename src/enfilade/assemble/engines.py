"""The engines of a configuration's connections, and their limits. Chosen in the supervisor before the fork, so that all workers
share what was imported for them."""

from __future__ import annotations

from collections.abc import Callable

from enfilade.assemble.sites import engine_body_limit
from enfilade.config.schema import Config
from enfilade.wire.codec import DateStamp, ServerCodec
from enfilade.wire.http1.limits import Http1Limits
from enfilade.wire.http1.server import Http1Server

Http2Engine = Callable[[str, DateStamp, float], ServerCodec]


class Engines:
    """`http2`: whether a listener of `config` can be asked for HTTP/2."""

    def __init__(self, config: Config, *, http2: bool) -> None:
        self._http1 = http1_limits(config)
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
    from enfilade.assemble.http2 import http2_engine  # noqa: PLC0415

    return http2_engine(config)


def http1_limits(config: Config) -> Http1Limits:
    limits = config.server.limits
    return Http1Limits(
        request_line=limits.request_line,
        head=limits.head,
        fields=limits.fields,
        body=engine_body_limit(config),
        head_timeout=limits.head_timeout,
        body_timeout=limits.body_timeout,
        idle_timeout=limits.idle_timeout,
        min_rate=limits.min_rate,
    )
