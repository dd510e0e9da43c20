"""The rules of an HTTP/1 connection, as tables. `docs/states/http1.md` is drawn from them.

A connection has two halves, each in one state: what it reads and what it writes. The tables say which state follows on
which input; where there is none, the input is illegal there: for what we write that is a `LocalError`.

- Nothing is parsed behind a request until its response is complete (reading: DONE), so requests are handed out one by one.
- A half in TUNNEL never becomes HTTP again; a half that is CLOSED stays so.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum


class Role(IntEnum):
    SERVER = 0
    CLIENT = 1


class Reading(IntEnum):
    IDLE = 0  # client: no request is out, so no byte may come
    HEAD = 1
    BODY = 2
    DONE = 3
    TUNNEL = 4
    CLOSED = 5


class Heard(IntEnum):
    """Inputs of the reading half."""

    ASKED = 0  # client: our request went out
    HEAD = 1  # a head with a body behind it
    WHOLE = 2  # a head without a body
    INTERIM = 3  # client: a 1xx response
    END = 4  # of the body
    SWITCH = 5  # the upgrade is accepted
    NEXT = 6  # both messages of the exchange are complete
    CLOSE = 7  # end of stream, a malformed message, a time-out, or our own reset


class Writing(IntEnum):
    IDLE = 0  # server: no request yet
    READY = 1  # a head may be sent
    BODY = 2
    DONE = 3
    TUNNEL = 4
    CLOSED = 5


class Said(IntEnum):
    """Inputs of the writing half."""

    OPEN = 0  # server: a request came, or was refused: an answer is due
    INFORM = 1
    HEAD = 2
    WHOLE = 3
    DATA = 4
    END = 5
    SWITCH = 6
    NEXT = 7
    CLOSE = 8


_R, _H, _W, _S = Reading, Heard, Writing, Said

READING_RULES: dict[Role, dict[Reading, dict[Heard, Reading]]] = {
    Role.SERVER: {
        _R.IDLE: {},
        _R.HEAD: {_H.HEAD: _R.BODY, _H.WHOLE: _R.DONE, _H.CLOSE: _R.CLOSED},
        _R.BODY: {_H.END: _R.DONE, _H.CLOSE: _R.CLOSED},
        _R.DONE: {_H.NEXT: _R.HEAD, _H.SWITCH: _R.TUNNEL, _H.CLOSE: _R.CLOSED},
        _R.TUNNEL: {_H.END: _R.CLOSED, _H.CLOSE: _R.CLOSED},
        _R.CLOSED: {_H.CLOSE: _R.CLOSED},
    },
    Role.CLIENT: {
        _R.IDLE: {_H.ASKED: _R.HEAD, _H.CLOSE: _R.CLOSED},
        _R.HEAD: {
            _H.HEAD: _R.BODY, _H.WHOLE: _R.DONE, _H.INTERIM: _R.HEAD, _H.SWITCH: _R.TUNNEL, _H.CLOSE: _R.CLOSED,
        },
        _R.BODY: {_H.END: _R.DONE, _H.CLOSE: _R.CLOSED},
        _R.DONE: {_H.NEXT: _R.IDLE, _H.CLOSE: _R.CLOSED},
        _R.TUNNEL: {_H.END: _R.CLOSED, _H.CLOSE: _R.CLOSED},
        _R.CLOSED: {_H.CLOSE: _R.CLOSED},
    },
}  # fmt: skip

WRITING_RULES: dict[Role, dict[Writing, dict[Said, Writing]]] = {
    Role.SERVER: {
        _W.IDLE: {_S.OPEN: _W.READY, _S.CLOSE: _W.CLOSED},
        _W.READY: {
            _S.INFORM: _W.READY, _S.HEAD: _W.BODY, _S.WHOLE: _W.DONE, _S.SWITCH: _W.TUNNEL, _S.CLOSE: _W.CLOSED,
        },
        _W.BODY: {_S.DATA: _W.BODY, _S.END: _W.DONE, _S.CLOSE: _W.CLOSED},
        _W.DONE: {_S.NEXT: _W.IDLE, _S.CLOSE: _W.CLOSED},
        _W.TUNNEL: {_S.DATA: _W.TUNNEL, _S.END: _W.CLOSED, _S.CLOSE: _W.CLOSED},
        _W.CLOSED: {_S.CLOSE: _W.CLOSED},
    },
    Role.CLIENT: {
        _W.IDLE: {},
        _W.READY: {_S.HEAD: _W.BODY, _S.WHOLE: _W.DONE, _S.CLOSE: _W.CLOSED},
        _W.BODY: {_S.DATA: _W.BODY, _S.END: _W.DONE, _S.CLOSE: _W.CLOSED},
        _W.DONE: {_S.NEXT: _W.READY, _S.SWITCH: _W.TUNNEL, _S.CLOSE: _W.CLOSED},
        _W.TUNNEL: {_S.DATA: _W.TUNNEL, _S.END: _W.CLOSED, _S.CLOSE: _W.CLOSED},
        _W.CLOSED: {_S.CLOSE: _W.CLOSED},
    },
}  # fmt: skip

ReadingTable = tuple[tuple[Reading | None, ...], ...]
WritingTable = tuple[tuple[Writing | None, ...], ...]


def _reading(rules: Mapping[Reading, Mapping[Heard, Reading]]) -> ReadingTable:
    return tuple(tuple(rules[state].get(heard) for heard in Heard) for state in Reading)


def _writing(rules: Mapping[Writing, Mapping[Said, Writing]]) -> WritingTable:
    return tuple(tuple(rules[state].get(said) for said in Said) for state in Writing)


READING: dict[Role, ReadingTable] = {role: _reading(rules) for role, rules in READING_RULES.items()}
"""`READING[role][state][heard]`: the next state, None where the input is illegal. Flat, as the engines look it up."""
WRITING: dict[Role, WritingTable] = {role: _writing(rules) for role, rules in WRITING_RULES.items()}
