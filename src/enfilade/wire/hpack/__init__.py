"""HPACK, the field compression of HTTP/2 (RFC 7541)."""

from enfilade.wire.hpack.decoder import Decoder, HpackError
from enfilade.wire.hpack.encoder import static_block, static_field
from enfilade.wire.hpack.tables import DEFAULT_TABLE_SIZE, ENTRY_OVERHEAD

__all__ = [
    "DEFAULT_TABLE_SIZE", "ENTRY_OVERHEAD", "Decoder", "HpackError", "static_block", "static_field",
]  # fmt: skip
