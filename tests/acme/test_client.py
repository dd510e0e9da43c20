"""The conversation with an authority, and what is made of its complaints."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from tests.acme.authority import HOST, Clock, FakeAuthority

from enfilade.acme.client import NONCES, AcmeError, Client, Refused, Terms
from enfilade.acme.jose import AccountKey, ExternalAccount
from enfilade.acme.order import Solver, identifier, obtain
from enfilade.acme.x509 import Chain, read_chain

SECRET = b"secret-secret-secret-secret-secret"
TERMS = Terms("me@example.com", None)


class Shown:
    """Shows by remembering."""

    settle = 2.5

    def __init__(self, kind: str = "http-01") -> None:
        self.kind = kind
        self.answers: dict[tuple[str, str], str] = {}
        self.withdrawn: list[tuple[str, str]] = []

    async def show(self, name: str, token: str, authorization: str) -> None:
        self.answers[name, token] = authorization

    async def withdraw(self, name: str, token: str) -> None:
        self.withdrawn.append((name, token))

    def look(self, name: str, token: str) -> str | None:
        return self.answers.get((name, token))


class Scene:
    def __init__(self, terms: Terms = TERMS) -> None:
        self.clock = Clock()
        self.shown = Shown()
        self.ca = FakeAuthority(self.clock, self.shown.look)
        self.client = self.new_client(terms)

    def new_client(self, terms: Terms) -> Client:
        return Client(self.ca, f"{HOST}/dir", AccountKey.new(), terms, clock=self.clock, sleep=self.clock.sleep)

    def obtain(self, name: str = "a.example.com", solvers: Sequence[Solver] = (), **how: Any) -> tuple[bytes, Chain]:
        return asyncio.run(obtain(self.client, name, solvers or [self.shown], self.clock.sleep, **how))

    def refused(self, name: str = "a.example.com", solvers: Sequence[Solver] = ()) -> AcmeError:
        with pytest.raises(AcmeError) as caught:
            self.obtain(name, solvers)
        return caught.value


def test_a_certificate_is_had() -> None:
    scene = Scene()
    key, chain = scene.obtain()
    assert chain.names == ("a.example.com",)
    assert read_chain(chain.pem, key) == chain
    (account,) = scene.ca.accounts.values()
    assert account["contact"] == ["mailto:me@example.com"] and account["termsOfServiceAgreed"] is True


def test_the_authority_is_told_only_when_everybody_knows_and_the_answer_is_taken_back() -> None:
    scene = Scene()
    scene.obtain()
    assert scene.clock.slept[0] == scene.shown.settle
    assert scene.shown.withdrawn == [("a.example.com", "token0")]


def test_an_answer_is_taken_back_where_it_was_refused() -> None:
    scene = Scene()
    scene.ca.validate = lambda name, token: "something else"
    scene.refused()
    assert scene.shown.withdrawn == [("a.example.com", "token0")]


def test_an_address_is_another_kind_of_name() -> None:
    scene = Scene()
    _, chain = scene.obtain("192.0.2.1")
    assert chain.names == ("192.0.2.1",)
    assert scene.ca.wishes == [{"identifiers": [{"type": "ip", "value": "192.0.2.1"}]}]
    assert identifier("[2001:DB8::1]").value == "2001:db8::1"


def test_a_profile_is_asked_for() -> None:
    scene = Scene()
    scene.obtain(profile="shortlived")
    assert scene.ca.wishes[0]["profile"] == "shortlived"


def test_addresses_are_asked_for_by_the_profile_that_has_them() -> None:
    scene = Scene()
    scene.ca.meta = {"profiles": {"classic": "usual", "shortlived": "six days"}}
    scene.obtain("192.0.2.1")
    scene.obtain("a.example.com")
    assert [wish.get("profile") for wish in scene.ca.wishes] == ["shortlived", None]


def test_one_account_serves_many_orders() -> None:
    scene = Scene()
    scene.obtain()
    scene.obtain("b.example.com")
    assert scene.ca.asked.count("/account") == 1 and scene.ca.asked.count("/dir") == 1


def test_nonces_that_are_refused_are_replaced() -> None:
    scene = Scene()
    scene.ca.nonces_refused = 5
    scene.obtain()


def test_an_authority_that_refuses_every_nonce_is_given_up() -> None:
    scene = Scene()
    scene.ca.nonces_refused = 1000
    error = scene.refused()
    assert isinstance(error, Refused) and error.problem.kind == "badNonce"
    assert scene.ca.asked.count("/account") == NONCES


def test_one_that_takes_long_is_asked_as_often_as_it_says() -> None:
    scene = Scene()
    scene.ca.polls = 3
    scene.obtain()
    assert scene.clock.slept[1:] == [7.0, 7.0, 7.0]


def test_one_that_takes_for_ever_is_given_up() -> None:
    scene = Scene()
    scene.ca.polls = 10_000
    assert "did not decide within 300 seconds" in str(scene.refused())


def test_what_is_refused_says_what_to_do() -> None:
    scene = Scene()
    scene.ca.validate = lambda name, token: None
    text = str(scene.refused())
    assert text.startswith("a.example.com: found None (incorrectResponse); something else answered")


def test_a_limit_says_how_long_to_wait() -> None:
    scene = Scene()
    problem = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many certificates"}
    scene.ca.problems["order"] = [(429, problem, "3600")]
    error = scene.refused()
    assert error.retry_after == 3600
    assert "too many certificates (rateLimited)" in str(error) and "wait" in str(error)


def test_a_date_may_say_it_too() -> None:
    scene = Scene()
    scene.ca.problems["order"] = [(503, {}, "Fri, 15 Jan 2027 09:00:00 GMT")]  # the clock stands at 08:00
    assert scene.refused().retry_after == 3600


def test_an_authority_that_is_away_is_named() -> None:
    scene = Scene()
    scene.ca.away = True
    assert str(scene.refused()) == "the authority cannot be reached: https://ca.test/dir: it is away"


def test_an_account_made_elsewhere_is_bound() -> None:
    scene = Scene(Terms(None, ExternalAccount("kid-1", SECRET)))
    scene.ca.external = {"kid-1": SECRET}
    scene.obtain()


def test_a_wrong_key_of_an_account_made_elsewhere_is_refused() -> None:
    scene = Scene(Terms(None, ExternalAccount("kid-1", SECRET[::-1])))
    scene.ca.external = {"kid-1": SECRET}
    assert "the binding is not good" in str(scene.refused())


def test_an_authority_that_wants_one_is_not_bothered_without() -> None:
    scene = Scene()
    scene.ca.meta = {"externalAccountRequired": True}
    assert "account_key_id" in str(scene.refused())
    assert scene.ca.asked == ["/dir"]


def test_a_challenge_that_nobody_can_answer_is_an_error_that_names_both_sides() -> None:
    scene = Scene()
    scene.ca.offers = ["dns-01"]
    text = str(scene.refused())
    assert text == "a.example.com: the authority offers the challenges dns-01, and we can answer http-01"


def test_the_first_challenge_that_is_offered_is_taken() -> None:
    scene = Scene()
    dns = Shown("dns-01")
    scene.ca.validate = dns.look
    scene.obtain(solvers=[Shown("tls-alpn-01"), dns, scene.shown])
    assert dns.answers and not scene.shown.answers


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"newNonce": 1}', b'{"newNonce": "https://ca.test/nonce"}'])
def test_what_is_no_directory_is_an_error(body: bytes) -> None:
    scene = Scene()
    scene.ca._answer = lambda *_, **__: type(scene.ca)._answer(scene.ca, 200, None, body=body or b" ")  # type: ignore[method-assign]
    assert "none of RFC 8555" in str(scene.refused())


def test_urls_without_tls_are_not_asked() -> None:
    clock = Clock()
    client = Client(
        FakeAuthority(clock), "http://ca.test/dir", AccountKey.new(), Terms(None, None), clock=clock, sleep=clock.sleep
    )
    with pytest.raises(AcmeError, match="not an https URL"):
        asyncio.run(client.order(identifier("a"), None))


def test_a_certificate_for_another_key_is_not_taken() -> None:
    scene = Scene()
    other = Scene()
    other.obtain()
    scene.ca.sign = lambda request: other.ca.orders[0]["pem"]  # type: ignore[method-assign]
    assert "something else than what was ordered" in str(scene.refused())
