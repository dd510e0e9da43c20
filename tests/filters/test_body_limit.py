"""A route's body limit (FAILURES: counted, whatever Content-Length does not say)."""

from __future__ import annotations

import asyncio

import pytest
from tests.filters.kit import exchange

from enfilade.exchange.bodies import BodyAborted, Stream
from enfilade.filters.body_limit import BodyLimit


def test_a_length_is_judged_at_once() -> None:
    f = BodyLimit(10)
    refused = f.on_request(exchange((b"content-length", b"11"), body=Stream()))
    assert refused is not None and refused.status == 413
    assert refused.reason is not None and refused.reason.name == "body_too_large"
    assert f.on_request(exchange((b"content-length", b"10"), body=Stream())) is None
    assert f.on_request(exchange()) is None


def test_what_is_here_already_is_judged_at_once() -> None:
    body = Stream()
    body.write(b"x" * 11)
    assert BodyLimit(10).on_request(exchange(body=body)) is not None
    body.end()
    assert BodyLimit(10).on_request(exchange(body=body)) is not None
    assert BodyLimit(11).on_request(exchange(body=body)) is None


@pytest.mark.parametrize("early", [0, 4])
def test_what_comes_later_is_counted(early: int) -> None:
    async def main() -> None:
        body = Stream()
        body.write(b"x" * early)
        assert BodyLimit(10).on_request(exchange(body=body)) is None
        body.write(b"x" * (10 - early))
        assert body.failure is None
        body.write(b"x")
        body.end()
        with pytest.raises(BodyAborted) as aborted:
            await body.read_all()
        assert aborted.value.reason.name == "body_too_large"
        with pytest.raises(BodyAborted):
            body.write(b"x")

    asyncio.run(main())


def test_a_body_of_just_the_limit_comes_through() -> None:
    async def main() -> None:
        body = Stream()
        BodyLimit(10).on_request(exchange(body=body))
        body.write(b"x" * 10)
        body.end()
        assert await body.read_all() == b"x" * 10

    asyncio.run(main())
