"""One order, from the wish to the certificate (RFC 8555 section 7.1.6)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from ipaddress import ip_address
from typing import Protocol

from enfilade.acme.client import AcmeError, Client, Refused
from enfilade.acme.documents import Authorization, Challenge
from enfilade.acme.problem import Identifier, Problem
from enfilade.acme.x509 import Chain, new_key, read_chain, signing_request


class Solver(Protocol):
    """Shows an authority that a name is ours, by challenges of the type `kind`. `settle`: seconds until everybody who may be
    asked knows what was shown."""

    @property
    def kind(self) -> str: ...
    @property
    def settle(self) -> float: ...

    async def show(self, name: str, token: str, authorization: str) -> None:
        """Answer the challenge for `name` with this `token` and key authorization. Raises AcmeError."""

    async def withdraw(self, name: str, token: str) -> None:
        """It is not asked for any more. Fails at nothing."""


def identifier(name: str) -> Identifier:
    """Of a host, as a site is called."""
    try:
        return Identifier("ip", str(ip_address(name.strip("[]"))))
    except ValueError:
        return Identifier("dns", name.lower().removesuffix("."))


async def obtain(
    client: Client,
    name: str,
    solvers: Sequence[Solver],
    sleep: Callable[[float], Awaitable[object]],
    profile: str | None = None,
    replaces: str = "",
) -> tuple[bytes, Chain]:
    """A new key for `name`, and its certificate. `solvers`: the best first; `replaces`: see `Client.order`. Raises AcmeError."""
    wanted = identifier(name)
    url, order = await client.order(wanted, profile, replaces)
    async with AsyncExitStack() as shown:
        waiting = []
        for place in order.authorizations:
            found = await client.authorization(place)
            if found.status != "valid":  # of an earlier order
                solver, challenge = _choose(found, solvers)
                host = found.identifier.value
                shown.push_async_callback(solver.withdraw, host, challenge.token)
                await solver.show(host, challenge.token, client.key.authorization(challenge.token))
                waiting.append((place, solver, challenge))
        await sleep(max((solver.settle for _, solver, _ in waiting), default=0.0))
        for _, _, challenge in waiting:
            await client.ready(challenge)
        for place, _, _ in waiting:
            _require(await client.validated(place))
    key = new_key()
    pem = await client.finalize(url, order, signing_request(wanted.value, key))
    try:
        return key, read_chain(pem, key)
    except ValueError as error:
        raise AcmeError(f"the authority sent something else than what was ordered: {error}") from None


def _choose(found: Authorization, solvers: Sequence[Solver]) -> tuple[Solver, Challenge]:
    for solver in solvers:
        for challenge in found.challenges:
            if challenge.type == solver.kind and challenge.token:
                return solver, challenge
    offered = ", ".join(challenge.type for challenge in found.challenges) or "none"
    ours = ", ".join(solver.kind for solver in solvers)
    raise AcmeError(
        f"{found.identifier.value}: the authority offers the challenges {offered}, and we can answer {ours}"
    )


def _require(found: Authorization) -> None:
    if found.status != "valid":
        problem = next((one.error for one in found.challenges if one.error is not None), None)
        problem = problem or Problem(detail=f"the authorization became {found.status}")
        raise Refused(Problem(problem.type, problem.detail, found.identifier, problem.subproblems))
