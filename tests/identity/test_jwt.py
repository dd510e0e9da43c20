"""The filter: who comes in, what others are told, and what whoever answers is told of who came in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.filters.kit import exchange
from tests.identity.kit import EC, GOOD, NOW, OTHER_RSA, RSA, jwk, keys, sign, terms

from enfilade.exchange.exchange import Exchange
from enfilade.exchange.identity import Identity
from enfilade.exchange.response import Response
from enfilade.http.cookies import cookie_reader
from enfilade.http.fields import Fields
from enfilade.identity.jwt import LONGEST, Jwt, bearer
from enfilade.identity.keys import FixedKeys
from enfilade.identity.token import SigningKey, Terms

GOOD_TOKEN = sign(kid="r")
Told = dict[str, bytes]


class Ring(FixedKeys):
    """Keys that become others when somebody waits for them."""

    def __init__(self, *later: tuple[SigningKey, ...]) -> None:
        super().__init__(later[0])
        self.later = list(later[1:])

    def more(self) -> Awaitable[None] | None:  # type: ignore[override]
        return self._come() if self.later else None

    async def _come(self) -> None:
        self.now = self.later.pop(0)
        self.generation += 1


class Case:
    def __init__(
        self, ring: FixedKeys | None = None, read: Callable[[Fields], bytes | None] = bearer, forward: Told | None = None,
        **changed: Any,
    ) -> None:  # fmt: skip
        self.ring = ring or Ring(keys(jwk(RSA, kid="r")))
        self.time = NOW
        wanted: Terms = terms(**changed)
        self.filter = Jwt(read, self.ring, wanted, forward or {}, lambda: self.time)

    def ask(self, *fields: tuple[bytes, bytes]) -> tuple[Response | None, Exchange]:
        x = exchange(*fields)
        early = self.filter.on_request(x)
        return (early if early is None or isinstance(early, Response) else asyncio.run(_await(early))), x

    def status(self, token: bytes | None, scheme: bytes = b"Bearer ") -> int:
        answer, x = self.ask(*([] if token is None else [(b"authorization", scheme + token)]))
        assert (x.kept(Identity) is None) is (answer is not None)
        return 200 if answer is None else answer.status


async def _await(early: Awaitable[Response | None]) -> Response | None:
    return await early


def said(answer: Response | None) -> tuple[str, bytes | None]:
    assert answer is not None and answer.reason is not None
    return answer.reason.name, answer.fields.get(b"www-authenticate")


def test_a_good_token_comes_in_and_is_known_from_then_on() -> None:
    case = Case()
    answer, x = case.ask((b"authorization", b"bearer " + GOOD_TOKEN))
    assert answer is None and x.kept(Identity).name == "ada"
    case.ring.now = ()  # nobody looks again
    assert case.status(GOOD_TOKEN) == 200
    case.ring.generation += 1
    assert case.status(GOOD_TOKEN) == 503, "until the keys have changed"


def test_one_that_is_known_ends_when_it_ends() -> None:
    case = Case()
    assert case.status(GOOD_TOKEN) == 200
    case.time = GOOD["exp"] + 4.9
    assert case.status(GOOD_TOKEN) == 200
    case.time = GOOD["exp"] + 5
    assert case.status(GOOD_TOKEN) == 401


@pytest.mark.parametrize(
    ("field", "name", "challenge"),
    [
        (None, "token_wanted", b"Bearer"),
        (b"Basic YTpi", "token_wanted", b"Bearer"),
        (GOOD_TOKEN, "token_wanted", b"Bearer"),
        (b"Bearer x", "token_refused", b'Bearer error="invalid_token", error_description="The token is malformed."'),
        (b"Bearer ", "token_refused", b'Bearer error="invalid_token", error_description="The token is malformed."'),
        (b"Bearer " + GOOD_TOKEN + b", Bearer " + GOOD_TOKEN, "token_refused", None),
        (b"Bearer " + sign(key=OTHER_RSA, kid="r"), "token_refused", None),
        (b"Bearer " + sign({**GOOD, "aud": "x"}), "token_refused", None),
        (b"Bearer " + sign({**GOOD, "exp": NOW - 9}), "token_refused", None),
        (b"Bearer " + sign({**GOOD, "x": "y" * LONGEST}), "token_refused", None),
        (b"Bearer " + sign(key=EC, alg="ES256", kid="e"), "token_refused", None),
    ],
)
def test_others_are_told_why(field: bytes | None, name: str, challenge: bytes | None) -> None:
    """RFC 6750 section 3."""
    answer, x = Case().ask(*([] if field is None else [(b"authorization", field)]))
    found, value = said(answer)
    assert (found, answer is not None and answer.status) == (name, 401) and x.kept(Identity) is None
    assert value is not None and value.startswith(b"Bearer") and (challenge is None or value == challenge)


def test_a_good_one_for_something_else_is_403() -> None:
    answer, x = Case(claims={"role": frozenset(["admin"])}).ask((b"authorization", b"Bearer " + GOOD_TOKEN))
    assert said(answer) == (
        "token_insufficient", b'Bearer error="insufficient_scope", error_description="The token does not allow this."'
    )  # fmt: skip
    assert answer is not None and answer.status == 403 and x.kept(Identity) is None


def test_a_new_key_is_waited_for() -> None:
    case = Case(Ring((), keys(jwk(RSA, kid="r")), keys(jwk(RSA, kid="r"), jwk(EC, kid="e"))))
    assert case.status(GOOD_TOKEN) == 200
    assert case.status(sign(key=EC, alg="ES256", kid="e")) == 200
    assert case.status(sign(key=EC, alg="ES256", kid="f")) == 401


def test_without_any_key_nobody_comes_in() -> None:
    for ring in (Ring(()), Ring((), ())):
        answer, _ = Case(ring).ask((b"authorization", b"Bearer " + GOOD_TOKEN))
        assert said(answer)[0] == "no_token_keys" and answer is not None and answer.status == 503


def test_it_may_stand_elsewhere() -> None:
    case = Case(read=cookie_reader("session"))
    assert case.ask((b"cookie", b"a=b; session=" + GOOD_TOKEN))[0] is None
    assert case.status(GOOD_TOKEN) == 401


def test_whoever_answers_is_told_claims_and_only_by_us() -> None:
    forward = {"sub": b"x-user", "roles": b"x-roles", "n": b"x-n", "ok": b"x-ok", "bad": b"x-bad", "none": b"x-none"}
    case = Case(forward=forward)
    told = {**GOOD, "roles": ["a", "b"], "n": 7, "ok": True, "bad": "a\r\nb"}
    claimed = [
        (b"x-user", b"root"),
        (b"x_user", b"root"),
        (b"x-none", b"root"),
        (b"x_roles", b"root"),
        (b"x-other", b"1"),
    ]
    for _ in range(2):  # also where the token is known
        answer, x = case.ask(*claimed, (b"authorization", b"Bearer " + sign(told)))
        assert answer is None
        assert [pair for pair in x.request.fields if pair[0] != b"authorization"] == [
            (b"x-other", b"1"), (b"x-user", b"ada"), (b"x-roles", b"a,b"), (b"x-n", b"7"), (b"x-ok", b"true")
        ]  # fmt: skip


def test_no_client_keeps_claims_from_whoever_answers() -> None:
    """A proxy takes off what Connection names."""
    case = Case(forward={"sub": b"x-user"})
    _, x = case.ask((b"connection", b"X-User"), (b"authorization", b"Bearer " + GOOD_TOKEN))
    assert x.request.fields.get(b"connection") == b"" and x.request.fields.get(b"x-user") == b"ada"


def test_a_list_whose_members_could_be_more_is_not_told() -> None:
    case = Case(forward={"roles": b"x-roles"})
    _, x = case.ask((b"authorization", b"Bearer " + sign({**GOOD, "roles": ["a,admin"]})))
    assert b"x-roles" not in x.request.fields


def test_a_request_that_is_told_nothing_stays_the_same() -> None:
    case = Case(forward={"nobody": b"x-nobody"})
    x = exchange((b"authorization", b"Bearer " + GOOD_TOKEN))
    before = x.request
    assert case.filter.on_request(x) is None and x.request is before
