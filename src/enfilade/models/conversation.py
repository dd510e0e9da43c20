"""One client's messages to a handler of requests: bytes in, bytes out. No I/O, no clock."""

from __future__ import annotations

from enfilade.http.reasons import Reason, reason
from enfilade.models.handler import Handler

HANDLER_FAILED = reason("handler_failed")
MESSAGE_TOO_LONG = reason("message_too_long")


ENOUGH = 64 * 1024
"""Bytes of answers that are made at once: further messages wait until these are on their way."""


class Conversation:
    """`waiting`: messages that are to be answered by `received(None)`, when what was said before has been sent; the last comes
    first. `over`: whatever else comes is not answered, because the handler has ended it or, then `why` says so, something went
    wrong; `error` is what the handler raised. `heard` and `said`: bytes so far; `requests`: messages that were answered."""

    __slots__ = (
        "_cut",
        "_ends",
        "_handle",
        "_held",
        "_is_too_long",
        "_limit",
        "_wrap",
        "error",
        "heard",
        "over",
        "requests",
        "said",
        "waiting",
        "why",
    )

    def __init__(self, handler: Handler, limit: int) -> None:
        assert handler.framing is not None, "sessions see to it themselves"
        self._cut = handler.framing.cut
        self._ends = handler.framing.ends
        self._wrap = handler.framing.wrap
        self._handle = handler.function
        self._limit = limit
        self.heard = self.said = self.requests = 0
        self.begin()

    def begin(self) -> None:
        """What was said so far was another's."""
        self._held: bytearray | None = None
        self._is_too_long = self.over = False
        self.waiting: list[bytes] = []
        self.why: Reason | None = None
        self.error: BaseException | None = None

    def received(self, data: bytes | None) -> bytes:
        """What to answer to `data`, which continues what came before; None: to what is `waiting`."""
        answers: list[bytes] = []
        room = ENOUGH
        try:
            messages = self._messages(data)
            while messages and room > 0:
                answer = self._handle(messages.pop())
                if answer is None:
                    self._end(None)
                    break
                answer = b"" + self._wrap(answer)  # what is no bytes raises here
                answers.append(answer)
                room -= len(answer)
        except (Exception, SystemExit) as error:
            self.fail(error)
        return self._said(answers)

    async def answers(self, data: bytes | None) -> bytes:
        """`received`, for handlers that are to be awaited, one message after the other."""
        answers: list[bytes] = []
        room = ENOUGH
        try:
            messages = self._messages(data)
            while messages and room > 0:
                answer = await self._handle(messages.pop())
                if answer is None:
                    self._end(None)
                    break
                answer = b"" + self._wrap(answer)  # what is no bytes raises here
                answers.append(answer)
                room -= len(answer)
        except (Exception, SystemExit) as error:
            self.fail(error)
        return self._said(answers)

    def ended(self) -> bytes:
        """The client sends nothing more: what is still to be said."""
        self.over = True
        return b""

    def fail(self, error: BaseException) -> None:
        """The handler raised `error`."""
        self._end(HANDLER_FAILED)
        self.error = error

    def _messages(self, data: bytes | None) -> list[bytes]:
        """Those to be answered, the last first."""
        if data is not None and not self.over and not self._is_too_long:
            self.heard += len(data)
            if self._held is not None:
                seen = len(self._held)
                self._held += data
                if not self._ends(self._held, seen, self._limit):
                    return self.waiting
                data = bytes(self._held)
            messages, rest = self._cut(data, self._limit)
            self._is_too_long = rest is None
            self._held = bytearray(rest) if rest else None
            messages.reverse()
            self.waiting = messages + self.waiting if self.waiting else messages
        return self.waiting

    def _said(self, answers: list[bytes]) -> bytes:
        answer = b"".join(answers)
        self.requests += len(answers)
        self.said += len(answer)
        if self._is_too_long and not self.waiting and not self.over:
            self._end(MESSAGE_TOO_LONG)
        return answer

    def _end(self, why: Reason | None) -> None:
        self.over, self.why, self.waiting = True, why, []
