"""What must hold between the keys of limits."""

from __future__ import annotations

from collections.abc import Iterator

from enfilade.config import units
from enfilade.config.errors import Path, dotted
from enfilade.config.in_force import in_force
from enfilade.config.report import Report
from enfilade.config.schema import Auth, Concurrency, Policies, RateLimit, Site


def check_limits(table: Policies, path: Path, report: Report) -> None:
    """Of the site or route at `path`."""
    for limit, where in limits_in(table, path):
        rate, at = (limit, where) if isinstance(limit, str) else (limit.rate, (*where, "rate"))
        try:
            units.rate(rate)
        except ValueError as error:
            report(at, False, f"{dotted(at)}: {error}")
        if isinstance(limit, RateLimit) and limit.burst is not None and limit.algorithm == "sliding_window":
            text = (
                f"{dotted(where)} is a sliding window, which has no burst: as many as the rate names may come at once"
            )
            report((*where, "burst"), True, text, "leave burst out")
    if isinstance(table.concurrency, Concurrency):
        _check_concurrency(table.concurrency, (*path, "concurrency"), report)


def _check_concurrency(table: Concurrency, path: Path, report: Report) -> None:
    for key, words in (("by", table.by), ("fair", table.fair)):
        if counts_users(words):
            text = f"{dotted((*path, key))}: requests are counted before anybody is asked for who they are"
            report((*path, key), False, text, "count by something else")


def check_priorities(site: Site, path: Path, report: Report) -> None:
    """A priority says nothing where nobody waits."""
    for pattern, route in site.routes.items():
        said = in_force(site, route, lambda table: table.concurrency).value
        if route.priority is not None and not (isinstance(said, Concurrency) and said.queue):
            where = (*path, pattern, "priority")
            text = f"{dotted(where)}: nobody waits here for whom it would count"
            report(where, False, text, "give the site concurrency = { limit = 100, queue = 100 }")


def counts_users(by: str | list[str]) -> bool:
    """Whether that is who a request comes from, so that what counts by it can only stand behind what finds that out."""
    return _names_users(by) or _names_claims(by)


def _names_users(by: str | list[str]) -> bool:
    return "user" in units.texts(by)


def _names_claims(by: str | list[str]) -> bool:
    return any(word.startswith("claim ") for word in units.texts(by))


def check_users(site: Site, path: Path, report: Report) -> None:
    """A limit by user on a route where nobody is asked for who they are counts all together: nobody wants that. Nor one by claim
    where nobody vouches for claims."""
    limits = [*limits_in(site, path)]
    for pattern, route in site.routes.items():
        auth = in_force(site, route, lambda table: table.auth).value
        for limit, where in limits if route.limit is None else limits_in(route, (*path, pattern)):
            if isinstance(limit, str):
                continue
            vouched = isinstance(auth, Auth) and (auth.jwt or auth.forward)
            for what, wrong, give in (
                ("user", _names_users(limit.by) and not auth, "auth"),
                ("claim", _names_claims(limit.by) and not vouched, "auth with jwt or forward"),
            ):
                if wrong:
                    text = f"{dotted((*where, 'by'))} counts by {what}, but nothing asks for one at {dotted((*path, pattern))}"
                    report((*where, "by"), False, text, f"give it {give}, or count by something else")


def limits_in(table: Policies, path: Path) -> Iterator[tuple[str | RateLimit, Path]]:
    """The limits of a site or route at `path`, each with its own place."""
    said = table.limit
    if isinstance(said, list):
        yield from ((one, (*path, "limit", i)) for i, one in enumerate(said))
    elif said is not None:
        yield said, (*path, "limit")
