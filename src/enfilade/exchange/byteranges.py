"""Parts of a file: 206 (RFC 9110 section 15.3.7), one part as it is, several as multipart/byteranges."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator

from enfilade.exchange.bodies import HIGH_WATER, BodyAborted, Stream
from enfilade.exchange.response import FileSlice, Response
from enfilade.http.fields import Fields
from enfilade.http.ranges import Span, content_range
from enfilade.http.reasons import reason

SMALL = 256 * 1024
"""Several parts of this size in all are read at once and sent as bytes."""

_FILE_CHANGED = reason("file_changed")


_tasks: set[asyncio.Task[None]] = set()  # the event loop itself holds its tasks only weakly


class FileChanged(Exception):
    """The file is no longer the one that was remembered."""


def slice_of_file(fd: int, span: Span) -> FileSlice:
    """A body that owns `fd`."""
    return FileSlice(fd, span[0], span[1] - span[0], lambda: os.close(fd))


def single_part(fields: Fields, span: Span, size: int, content: bytes | None, open_file: Callable[[], int]) -> Response:
    """206 with one part of a file of `size` bytes, which is `content`, or what `open_file` opens."""
    said = fields.adding((b"content-range", content_range(span, size)))
    if content is not None:
        return Response(206, said, content[span[0] : span[1]])
    said = said.adding((b"content-length", b"%d" % (span[1] - span[0])))
    return Response(206, said, slice_of_file(open_file(), span))


def several_parts(
    fields: Fields, spans: list[Span], size: int, content: bytes | None, open_file: Callable[[], int], at: int = 0
) -> Response:
    """206 with several parts, as multipart/byteranges (section 14.6); they are counted from the byte `at` of the file. Raises
    FileChanged if the file ended early."""
    boundary = os.urandom(12).hex().encode()
    kind = fields.get(b"content-type") or b"application/octet-stream"
    heads = [
        b"\r\n--%s\r\ncontent-type: %s\r\ncontent-range: %s\r\n\r\n" % (boundary, kind, content_range(span, size))
        for span in spans
    ]
    end = b"\r\n--%s--\r\n" % boundary
    said = fields.setting((b"content-type", b"multipart/byteranges; boundary=" + boundary))
    if content is not None:
        parts = [head + content[start:stop] for head, (start, stop) in zip(heads, spans, strict=True)]
        return Response(206, said, b"".join(parts) + end)
    length = sum(map(len, heads)) + sum(stop - start for start, stop in spans) + len(end)
    fd = open_file()
    pieces = _pieces(fd, heads, [(at + start, at + stop) for start, stop in spans], end)
    if length <= SMALL:
        try:
            return Response(206, said, b"".join(pieces))
        finally:
            os.close(fd)
    stream = Stream()
    task = asyncio.get_running_loop().create_task(_pump(fd, pieces, stream))
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)
    return Response(206, said.adding((b"content-length", b"%d" % length)), stream)


def _pieces(fd: int, heads: list[bytes], spans: list[Span], end: bytes) -> Iterator[bytes]:
    for head, (at, stop) in zip(heads, spans, strict=True):
        yield head
        while at < stop:
            piece = os.pread(fd, min(stop - at, HIGH_WATER), at)
            if not piece:
                raise FileChanged
            at += len(piece)
            yield piece
    yield end


async def _pump(fd: int, pieces: Iterator[bytes], stream: Stream) -> None:
    """Read in a thread, so that a slow disk holds up nobody else, as fast as the client takes it."""
    try:
        while piece := await asyncio.to_thread(next, pieces, b""):
            waiting = stream.write(piece)
            if waiting is not None:
                await waiting
        stream.end()
    except BodyAborted:
        pass  # the client is gone, and whoever found out has told
    except (FileChanged, OSError):
        stream.fail(_FILE_CHANGED)
    finally:
        os.close(fd)
