"""A transport and counters that only remember."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.wrote = b""
        self.writes = 0
        self.backlog = 0
        self.closed = self.aborted = self.half_closed = False
        self.reading = True
        self.options: list[tuple[object, ...]] = []
        self.protocol = asyncio.Protocol()

    def get_extra_info(self, name: str, default: object = None) -> object:
        return {"peername": ("192.0.2.1", 5), "sockname": ("192.0.2.2", 80), "socket": self}.get(name, default)

    def setsockopt(self, *option: object) -> None:
        self.options.append(option)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert not self.half_closed, "nothing is written behind the end"
        self.wrote += bytes(data)
        self.writes += 1

    def writelines(self, list_of_data: Iterable[bytes | bytearray | memoryview]) -> None:
        self.write(b"".join(list_of_data))

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def get_write_buffer_size(self) -> int:
        return self.backlog

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.half_closed = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed


class Meter:
    """Remembers the names of reasons."""

    def __init__(self) -> None:
        self.reasons: list[str] = []

    def rejected(self, why: object) -> None:
        self.reasons.append(why.name)  # type: ignore[attr-defined]

    def _count(self, _: int) -> None: ...

    opened = closed = received = sent = _count
