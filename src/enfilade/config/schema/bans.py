"""Who is kept out for what they did."""

from typing import Annotated

import msgspec
from msgspec import Meta

from enfilade.config.schema.leaves import Duration, FilePath, Positive, RedisUrl, Table, Text

Factor = Annotated[float, Meta(ge=1, extra={"says": "a number of at least 1"})]


class Bans(Table, frozen=True):
    """Clients that do too much of what they should not are refused for a while, as those are whom the firewall denies."""

    on: Annotated[
        dict[str, Positive],
        Text(
            "What counts, and for how many offences one does: a status such as `401`, or the name of a reason such as "
            "`password_wanted`, which goes before its status. Without it: 401, 403, 404 and 429, for one each."
        ),
    ] = msgspec.field(default_factory=lambda: {"401": 1, "403": 1, "404": 1, "429": 1})
    limit: Annotated[Positive, Text("Who has more offences than this in a `window` is banned.")] = 20
    window: Annotated[Duration, Text("The time that is looked back.")] = 600.0
    duration: Annotated[Duration, Text("How long a first ban lasts.")] = 600.0
    grow: Annotated[
        Factor, Text("Each further ban is so many times as long as the one before; it is forgotten after `longest`.")
    ] = 2.0
    longest: Annotated[Duration, Text("No ban lasts longer.")] = 86400.0
    never: Annotated[
        list[str],
        Text(
            'Who is never banned: networks such as `"10.0.0.0/8"`, and addresses. Without it: this machine, `127.0.0.0/8` and '
            "`::1`. Those in `trusted_proxies` and `proxy_protocol` never are."
        ),
    ] = msgspec.field(default_factory=lambda: ["127.0.0.0/8", "::1"])
    dry_run: Annotated[bool, Text("Bans are listed, counted and logged, but nobody is refused.")] = False
    file: Annotated[FilePath | None, Text("Where bans are written, so that they survive a restart.")] = None
    nftables: Annotated[
        bool,
        Text(
            "The kernel refuses who is banned, too, before the server hears of them. Needs the program `nft`, and root: see "
            "docs/firewall.md."
        ),
    ] = False
    redis: Annotated[
        RedisUrl | None,
        Text(
            "A Redis or Valkey in which several servers have their bans in common: `redis://`, `rediss://` or `unix://`."
        ),
    ] = None
