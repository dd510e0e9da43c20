"""HTTP/2 (RFC 9113), both roles, without I/O."""

from enfilade.wire.http2.client import Http2Client
from enfilade.wire.http2.limits import Http2Limits
from enfilade.wire.http2.server import Http2Server

__all__ = ["Http2Client", "Http2Limits", "Http2Server"]
