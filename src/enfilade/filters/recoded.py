"""Bodies that flow, on their way into a content coding or out of it: a Stream that is fed by another one.

Whatever is to be done is done a turn of the loop later, for all that has come by then: what an application writes in one turn
goes out together, and nothing is held back beyond it. Each turn does a bounded piece of work, whatever the ratio, so nobody
else waits, and where the reader does not take, the source is not taken from.
"""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from enfilade.exchange.bodies import HIGH_WATER, BodyAborted, Stream
from enfilade.filters.coders.coder import BadCoding, Decoder, Encoder
from enfilade.http.reasons import Reason, reason

log = logging.getLogger("enfilade.filters")

OFF_LOOP = 32 * 1024
"""Bytes beyond which a thread codes: the loop would be held up for half a millisecond and more (br, measured)."""
RATIO = 200
"""A body may be so many times as large as what was sent of it (Apache's DeflateInflateRatioLimit is the same) ..."""
FREE = 1024 * 1024
"""... beyond this size: smaller ones are no bombs."""

_BAD_CODING = reason("bad_coding")
_BOMB = reason("body_bomb")
_INTERNAL = reason("internal")


class Recoded(Stream):
    """What `source` has, recoded by `step`. It begins when its reader first asks: whoever waits for leave to send
    (100-continue) must not get it before."""

    __slots__ = ("_busy", "_planned", "_source")

    def __init__(self, source: Stream) -> None:
        super().__init__(on_taken=self._asked)
        self._source = source
        self._planned = False
        self._busy = False

    def step(self) -> None:
        """Take from `_source` what there is, up to some bound, and `write` what becomes of it. Raises BodyAborted if
        the source was cut."""
        raise NotImplementedError

    def cancel(self, reason: Reason) -> None:
        super().cancel(reason)
        self._leave(reason)

    def _asked(self, size: int) -> None:
        self._source.on_data = self._plan
        self._plan()

    def _plan(self) -> None:
        """Never at once: whoever asks is in the midst of taking."""
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._planned = False
        if self._busy or self.ended or self.failure is not None or self.size >= self.limit:
            return
        try:
            self.step()
        except BodyAborted as aborted:
            self._break(aborted.reason)

    def _finish(self) -> None:
        trailers = self._source.trailers
        self._let_go()
        self.end(trailers)

    def _break(self, why: Reason) -> None:
        """Tell both ends that the body cannot be completed."""
        self._leave(why)
        self.fail(why)

    def _leave(self, why: Reason) -> None:
        self._let_go()
        self._source.cancel(why)

    def _let_go(self) -> None:
        self._source.on_data = None
        self.on_taken = None


class Encoded(Recoded):
    """`source` as `encoder` makes it."""

    __slots__ = ("_encoder", "_unflushed")

    def __init__(self, source: Stream, encoder: Encoder) -> None:
        super().__init__(source)
        self._encoder = encoder
        self._unflushed = False

    def step(self) -> None:
        source = self._source
        pieces: list[bytes] = []
        size = 0
        cut: Reason | None = None
        chunk: bytes | None = b""
        try:
            while size < HIGH_WATER and (chunk := source.take()):
                pieces.append(chunk)
                size += len(chunk)
        except BodyAborted as aborted:  # what came before goes out before
            cut = aborted.reason
        if not pieces and chunk is None and not self._unflushed:
            return
        ended = chunk == b"" and cut is None
        drained = chunk is None or cut is not None
        self._unflushed = not drained
        data = b"".join(pieces)
        if size <= OFF_LOOP:
            self._hand_over(self._encode(data, ended, drained), ended, cut)
            return
        self._busy = True
        working = asyncio.get_running_loop().run_in_executor(None, self._encode, data, ended, drained)
        working.add_done_callback(partial(self._encoded, ended, cut))

    def _encode(self, data: bytes, ended: bool, drained: bool) -> bytes:
        encoder = self._encoder
        made = encoder.encode(data) if data else b""
        if ended:
            return made + encoder.finish()
        return made + encoder.flush() if drained else made

    def _encoded(self, ended: bool, cut: Reason | None, working: asyncio.Future[bytes]) -> None:
        self._busy = False
        if self.failure is not None:  # the reader has left meanwhile
            return
        try:
            made = working.result()
        except Exception as error:
            log.error("a body could not be coded", exc_info=error)
            self._break(_INTERNAL)
            return
        self._hand_over(made, ended, cut)

    def _hand_over(self, made: bytes, ended: bool, cut: Reason | None) -> None:
        self.write(made)  # bounded: where there is no room, there is no step
        if cut is not None:
            self._break(cut)
        elif ended:
            self._finish()
        else:
            self._plan()


class Decoded(Recoded):
    """`source` as it was before it was coded. Fails with `bad_coding` where it is not in this coding, or cut, and with
    `body_bomb` where it becomes more than RATIO times as large."""

    __slots__ = ("_decoder", "_got", "_made")

    def __init__(self, source: Stream, decoder: Decoder) -> None:
        super().__init__(source)
        self._decoder = decoder
        self._got = 0
        self._made = 0

    def step(self) -> None:
        try:
            self._decode()
        except BadCoding:
            self._break(_BAD_CODING)

    def _decode(self) -> None:
        coded = b""
        while self.size < self.limit and self.failure is None:
            piece = self._decoder.decode(coded, self.limit)
            coded = b""
            if piece:
                self._made += len(piece)
                if self._made > max(FREE, self._got * RATIO):
                    self._break(_BOMB)
                    return
                self.write(piece)
                continue
            chunk = self._source.take()
            if not chunk:
                if chunk is not None:
                    self._end()
                return
            self._got += len(chunk)
            coded = chunk
        if self.failure is not None:  # it became larger than it may be: `Stream.cap`
            self._leave(self.failure)

    def _end(self) -> None:
        if self._decoder.complete:
            self._finish()
        else:
            self._break(_BAD_CODING)
