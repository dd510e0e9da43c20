"""The link between an edge worker and a process of an application: many exchanges on one Unix socket, both ends ours.

`LinkClient` is the edge's end, `LinkServer` the application's. It runs wherever the application does: Python 3.9 and later,
the standard library alone.
"""

from enfilade.http.linked import LinkedRequest
from enfilade.wire.link.client import LinkClient
from enfilade.wire.link.server import LinkServer

__all__ = ["LinkClient", "LinkServer", "LinkedRequest"]
