"""One client's messages to a handler of requests: bytes in, bytes out. No I/O, no clock."""

from __future__ import annotations

from enfilade.http.reasons import Reason, reason
from enfilade.models.handler import Handler

HANDLER_FAILED = reason("handler_failed")
MESSAGE_TOO_LONG = reason("message_too_long")


class Conversation:
    """`over`: whatever else comes is not answered, because the handler has ended it or, then `why` says so, something went wrong;
    `error` is what the handler raised. `heard` and `said`: bytes so far; `requests`: messages that were answered."""

    __slots__ = ("_cut", "_handle", "_held", "_limit", "_wrap", "error", "heard", "over", "requests", "said", "why")

    def __init__(self, handler: Handler, limit: int) -> None:
        assert handler.framing is not None, "sessions see to it themselves"
        self._cut = handler.framing.cut
        self._wrap = handler.framing.wrap
        self._handle = handler.function
        self._limit = limit
        self._held = b""
        self.over = False
        self.heard = self.said = self.requests = 0
        self.why: Reason | None = None
        self.error: BaseException | None = None

    def received(self, data: bytes) -> bytes:
        """What to answer to `data`, which continues what came before."""
        answers: list[bytes] = []
        try:
            for message in self._messages(data):
                answer = self._handle(message)
                if answer is None:
                    self._end(None)
                    break
                answers.append(self._wrap(answer))
                self.requests += 1
        except (Exception, SystemExit) as error:
            self.fail(error)
        answer = answers[0] if len(answers) == 1 else b"".join(answers)
        self.said += len(answer)
        return answer

    async def answers(self, data: bytes) -> bytes:
        """`received`, for handlers that are to be awaited, one message after the other."""
        answers: list[bytes] = []
        try:
            for message in self._messages(data):
                answer = await self._handle(message)
                if answer is None:
                    self._end(None)
                    break
                answers.append(self._wrap(answer))
                self.requests += 1
        except (Exception, SystemExit) as error:
            self.fail(error)
        answer = b"".join(answers)
        self.said += len(answer)
        return answer

    def ended(self) -> bytes:
        """The client sends nothing more: what is still to be said."""
        self.over = True
        return b""

    def fail(self, error: BaseException) -> None:
        """The handler raised `error`."""
        self._end(HANDLER_FAILED)
        self.error = error

    def _messages(self, data: bytes) -> list[bytes]:
        """The messages that are whole with `data`. If the next is too long, the conversation is over, unless the handler ends
        it before."""
        if self.over:
            return []
        self.heard += len(data)
        messages, rest = self._cut(self._held + data if self._held else data, self._limit)
        if rest is None:
            self._held = b""
            self._end(MESSAGE_TOO_LONG)
        else:
            self._held = rest
        return messages

    def _end(self, why: Reason | None) -> None:
        self.over, self.why = True, why
