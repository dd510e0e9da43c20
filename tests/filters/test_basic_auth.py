"""Basic authentication: who comes in, how often a password is checked, and what a stranger learns."""

from __future__ import annotations

import asyncio
import threading
from base64 import b64encode

import pytest
from tests.filters.kit import exchange

from enfilade.exchange.exchange import Exchange
from enfilade.exchange.identity import Identity
from enfilade.exchange.response import Response
from enfilade.filters.basic_auth import REMEMBERED, WAITING, BasicAuth, Users, credentials_of
from enfilade.http.passwords import Password


class Plain(Password):
    """Checked at once, and counted; `gate` holds a check up."""

    def __init__(self, password: bytes, lanes: int = 1) -> None:
        super().__init__(14, 8, lanes, b"", password)
        self.checked: list[bytes] = []
        self.gate = threading.Event()
        self.gate.set()

    def is_it(self, password: bytes) -> bool:
        self.gate.wait(30)
        self.checked.append(password)
        return password == self.digest


class Clock:
    time = 100.0

    def now(self) -> float:
        return self.time


def asking(credentials: bytes, clock: Clock | None = None) -> Exchange:
    x = exchange((b"authorization", b"Basic " + b64encode(credentials)))
    x.carrier = clock or Clock()  # type: ignore[assignment]
    return x


async def answer(auth: BasicAuth, x: Exchange) -> Response | None:
    found = auth.on_request(x)
    return found if found is None or isinstance(found, Response) else await found


def test_who_has_the_password_comes_in() -> None:
    auth = BasicAuth(Users({"ada": Plain(b"pass:word")}), "the house")

    async def main() -> None:
        for _ in range(2):  # checked, and remembered
            x = asking(b"ada:pass:word")
            assert await answer(auth, x) is None
            assert x.kept(Identity) == Identity("ada")
        for wrong in (b"ada:pass", b"ada:", b":pass:word", b"bob:pass:word", b"\xff:x"):
            x = asking(wrong)
            refused = await answer(auth, x)
            assert (
                refused is not None
                and refused.status == 401
                and x.kept(Identity) is None
                and refused.reason is not None
            )
            assert refused.reason.name == "password_wanted"
            assert refused.fields.get(b"www-authenticate") == b'Basic realm="the house", charset="UTF-8"'

    asyncio.run(main())


@pytest.mark.parametrize(
    "said", [None, b"", b"Basic", b"Bearer YTpi", b"Basic !", b"Basic YWRh", b"Basic YTpi, Basic YTpi"]
)
def test_what_says_nobody_is_refused_without_a_check(said: bytes | None) -> None:
    """RFC 7617 section 2."""
    assert credentials_of(said) is None
    refused = BasicAuth(Users({"a": Plain(b"b")}), "x").on_request(
        exchange(*([] if said is None else [(b"authorization", said)]))
    )
    assert isinstance(refused, Response) and refused.status == 401


def test_the_name_of_the_scheme_has_no_case() -> None:
    assert credentials_of(b"bAsIc YTpi") == b"a:b"


def test_an_unknown_user_costs_what_the_dearest_known_one_does() -> None:
    cheap, dear = Plain(b"x"), Plain(b"y", lanes=3)
    auth = BasicAuth(Users({"a": cheap, "b": dear}), "x")
    assert asyncio.run(answer(auth, asking(b"nobody:y"))) is not None, "not even with that one's password"
    assert (cheap.checked, dear.checked) == ([], [b"y"])


def test_a_right_password_is_checked_once_a_minute_and_a_wrong_one_each_time() -> None:
    ada, clock = Plain(b"x"), Clock()
    auth = BasicAuth(Users({"ada": ada}), "x")

    async def main() -> None:
        for _ in range(3):
            assert await answer(auth, asking(b"ada:x", clock)) is None
        assert ada.checked == [b"x"]
        for _ in range(2):
            assert await answer(auth, asking(b"ada:y", clock)) is not None
        assert ada.checked == [b"x", b"y", b"y"]
        clock.time += REMEMBERED
        assert await answer(auth, asking(b"ada:x", clock)) is None
        assert ada.checked == [b"x", b"y", b"y", b"x"]

    asyncio.run(main())


def test_the_same_password_at_once_is_checked_once_though_one_goes_away() -> None:
    ada = Plain(b"x")
    auth = BasicAuth(Users({"ada": ada}), "x")

    async def main() -> None:
        ada.gate.clear()
        tasks = [asyncio.ensure_future(answer(auth, asking(b"ada:x"))) for _ in range(3)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        ada.gate.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError) and found[1:] == [None, None]

    asyncio.run(main())
    assert ada.checked == [b"x"]


def test_no_more_than_so_many_wait() -> None:
    ada = Plain(b"x")
    auth = BasicAuth(Users({"ada": ada}), "x")

    async def main() -> None:
        ada.gate.clear()
        tasks = [asyncio.ensure_future(answer(auth, asking(b"ada:%d" % i))) for i in range(WAITING)]
        await asyncio.sleep(0)
        refused = await answer(auth, asking(b"ada:one more"))
        assert refused is not None and refused.status == 503 and refused.reason is not None
        assert refused.reason.name == "passwords_busy"
        ada.gate.set()
        assert all(one is not None and one.status == 401 for one in await asyncio.gather(*tasks))
        assert await answer(auth, asking(b"ada:x")) is None

    asyncio.run(main())


def test_a_check_that_fails_lets_nobody_in() -> None:
    class Broken(Plain):
        def is_it(self, password: bytes) -> bool:
            raise MemoryError

    refused = asyncio.run(answer(BasicAuth(Users({"a": Broken(b"b")}), "x"), asking(b"a:b")))
    assert refused is not None and refused.status == 401


@pytest.mark.parametrize("realm", ['a"b', "a\\b", "a\nb", "ä"])
def test_a_realm_that_cannot_be_said_is_refused(realm: str) -> None:
    with pytest.raises(ValueError, match=r"realm|header field"):
        BasicAuth(Users({"a": Plain(b"b")}), realm)
