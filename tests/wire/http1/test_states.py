"""The tables themselves, all states x all inputs."""

from __future__ import annotations

from itertools import product

import pytest
from tests.wire.http1.kit import client, server
from tests.wire.outgoing import outgoing

from enfilade.http.fields import NO_FIELDS
from enfilade.http.reasons import reason
from enfilade.wire.codec import LocalError
from enfilade.wire.http1.states import (
    READING,
    READING_RULES,
    WRITING,
    WRITING_RULES,
    Heard,
    Reading,
    Role,
    Said,
    Writing,
)


@pytest.mark.parametrize(("role", "state", "heard"), list(product(Role, Reading, Heard)))
def test_flat_reading_table_says_what_the_rules_say(role: Role, state: Reading, heard: Heard) -> None:
    after = READING[role][state][heard]
    assert after is READING_RULES[role][state].get(heard)
    if state in (Reading.CLOSED, Reading.TUNNEL):
        assert after in (None, Reading.CLOSED), "a tunnel and an end are never HTTP again"


@pytest.mark.parametrize(("role", "state", "said"), list(product(Role, Writing, Said)))
def test_flat_writing_table_says_what_the_rules_say(role: Role, state: Writing, said: Said) -> None:
    after = WRITING[role][state][said]
    assert after is WRITING_RULES[role][state].get(said)
    if state is Writing.CLOSED:
        assert after in (None, Writing.CLOSED)


@pytest.mark.parametrize("role", Role)
def test_every_state_that_can_be_entered_can_be_closed(role: Role) -> None:
    for rules, start, close in (
        (READING_RULES[role], {Role.SERVER: Reading.HEAD, Role.CLIENT: Reading.IDLE}[role], Heard.CLOSE),
        (WRITING_RULES[role], {Role.SERVER: Writing.IDLE, Role.CLIENT: Writing.READY}[role], Said.CLOSE),
    ):
        seen, todo = {start}, [start]
        while todo:
            row = rules[todo.pop()]  # type: ignore[index]
            assert row[close].name == "CLOSED"  # type: ignore[index]
            todo += [after for after in row.values() if after not in seen]
            seen |= set(row.values())
        assert all(not row for state, row in rules.items() if state not in seen), "rules that are never used"


CALLS = {
    Said.INFORM: lambda e: e.inform(1, 103, NO_FIELDS),
    Said.HEAD: lambda e: e.start(1, 200, NO_FIELDS),
    Said.WHOLE: lambda e: e.respond(1, 200, NO_FIELDS, b""),
    Said.DATA: lambda e: e.data(1, b"x"),
    Said.SWITCH: lambda e: e.accept(1, NO_FIELDS),
}
UPGRADE = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


UNFINISHED = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"


@pytest.mark.parametrize(("state", "said"), list(product(Writing, CALLS)))
def test_a_server_does_what_its_table_allows_and_nothing_else(state: Writing, said: Said) -> None:
    engine = server()
    if state is not Writing.IDLE:
        engine.feed(UNFINISHED if state is Writing.DONE else UPGRADE, 0.0)
    if state is Writing.BODY:
        engine.start(1, 200, NO_FIELDS)
    elif state is Writing.DONE:
        engine.respond(1, 200, NO_FIELDS, b"")
    elif state is Writing.TUNNEL:
        engine.accept(1, NO_FIELDS)
    elif state is Writing.CLOSED:
        engine.reset(1, reason("internal"))
    assert f"writes {state.name}" in repr(engine)
    after = WRITING[Role.SERVER][state][said]
    if after is None:
        with pytest.raises(LocalError):
            CALLS[said](engine)
        after = state
    else:
        CALLS[said](engine)
    if after is Writing.DONE and state is not Writing.DONE:
        after = Writing.IDLE  # the request is complete too: NEXT
    assert f"writes {after.name}" in repr(engine)


@pytest.mark.parametrize("state", [Writing.BODY, Writing.DONE, Writing.CLOSED])
def test_a_client_sends_one_request_at_a_time(state: Writing) -> None:
    engine = client()
    engine.request(outgoing("GET", "http", "a", b"/"), end=state is not Writing.BODY)
    if state is Writing.CLOSED:
        engine.reset(1, reason("internal"))
    assert f"writes {state.name}" in repr(engine)
    with pytest.raises(LocalError):
        engine.request(outgoing("GET", "http", "a", b"/"), end=True)
