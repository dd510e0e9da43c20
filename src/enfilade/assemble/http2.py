"""HTTP/2 for listeners: the engine with a configuration's limits. Imported only where a listener speaks it."""

from __future__ import annotations

from collections.abc import Callable

from enfilade.assemble.sites import engine_body_limit
from enfilade.config.schema import Config
from enfilade.wire.codec import DateStamp, ServerCodec
from enfilade.wire.http2 import Http2Limits, Http2Server


def http2_engine(config: Config) -> Callable[[str, DateStamp, float], ServerCodec]:
    """Makes the engine of a connection: `(scheme, date, now)`."""
    limits = http2_limits(config)
    return lambda scheme, date, now: Http2Server(scheme, limits, date, now)


def http2_limits(config: Config) -> Http2Limits:
    limits = config.server.limits
    return Http2Limits(
        request_line=limits.request_line,
        head=limits.head,
        fields=limits.fields,
        body=engine_body_limit(config),
        streams=limits.streams,
        head_timeout=limits.head_timeout,
        body_timeout=limits.body_timeout,
        idle_timeout=limits.idle_timeout,
        write_timeout=limits.write_timeout,
        min_rate=limits.min_rate,
    )
