"""Cache-Status (RFC 9211): how an answer came about, for whoever receives it."""

from __future__ import annotations

from enfilade.cache.reasons import CacheReason

NAME = b"enfilade"


def cache_status(
    reason: CacheReason,
    *,
    ttl: int | None = None,
    fwd_status: int | None = None,
    stored: bool = False,
    collapsed: bool = False,
    detail: str | None = None,
) -> bytes:
    """The value that says that an answer came about by `reason` (sections 2.1 to 2.8).

    `ttl`: seconds for which it stays fresh, negative if it is stale. `fwd_status`: of the origin's answer, where it is another
    than ours. `detail`: a name of the table of reasons; by default that of `reason`, if its token says less.
    """
    token = reason.token
    parts = [NAME]
    if token:
        parts.append(b"hit" if token == b"hit" else b"fwd=" + token)
    if fwd_status is not None:
        parts.append(b"fwd-status=%d" % fwd_status)
    if ttl is not None:
        parts.append(b"ttl=%d" % ttl)
    if stored:
        parts.append(b"stored")
    if collapsed:
        parts.append(b"collapsed")
    said = detail or (reason.name if reason.name.encode().replace(b"_", b"-") != token else None)
    if said is not None:
        parts.append(b"detail=" + said.encode())
    return b"; ".join(parts)
