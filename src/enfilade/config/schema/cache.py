"""What is cached, and where."""

from typing import Annotated

from msgspec import Meta

from enfilade.config.schema.leaves import Duration, FilePath, Positive, RedisUrl, Size, Table, Text, Token


class CacheRules(Table, frozen=True):
    """How answers are cached (RFC 9111). A duration alone is short for `ttl`; `true` is short for a table with nothing in it."""

    ttl: Annotated[
        Duration | None,
        Text(
            "Answers that say nothing about it are fresh for so long, where the request had no cookies. Without it: a tenth of "
            "the time since Last-Modified, as RFC 9111 section 4.2.2 suggests, or not at all."
        ),
    ] = None
    negative: Annotated[
        Duration | None, Text("The same for answers such as 404 and 410; without it `ttl` is for these, too.")
    ] = None
    grace: Annotated[
        Duration,
        Text(
            "Stale answers are served for so long while the origin fails, where they do not say it (`stale-if-error`)."
        ),
    ] = 0.0
    refresh: Annotated[
        Duration,
        Text(
            "Stale answers are served for so long while a new one is fetched, where they do not say it "
            "(`stale-while-revalidate`)."
        ),
    ] = 0.0
    query: Annotated[
        list[str] | None,
        Text("Only these parameters of the query are part of the key; `*` and `?` stand for any characters, any one."),
    ] = None
    ignore_query: Annotated[list[str], Text('Parameters that are not part of the key, such as `"utm_*"`.')] = []
    sort_query: Annotated[bool, Text("The order of parameters does not matter.")] = False
    key: Annotated[list[str], Text("What else of a request is part of the key: `header NAME`, `cookie NAME`.")] = []
    ignore_cookies: Annotated[
        bool,
        Text(
            "Answers do not depend on cookies, but for those in `key`. Otherwise requests with cookies get only what says by "
            "itself how long it is fresh."
        ),
    ] = False
    min_uses: Annotated[Positive, Text("An answer is stored when it was asked for so often.")] = 1
    jitter: Annotated[
        float,
        Meta(ge=0, le=1),
        Text("By how much of itself the time for which answers are fresh is shortened at most, by chance."),
    ] = 0.0


class DiskStore(Table, frozen=True):
    """Answers in files. A path alone is short for `path`."""

    path: Annotated[FilePath, Text("Directory for them; made where it is missing.")]
    size: Annotated[Size, Text("Bytes that they take in all.")] = 10 * 1024 * 1024 * 1024


class Cache(Table, frozen=True):
    """Where answers are stored, for all routes with `cache`: in memory, and in what is named besides."""

    memory: Annotated[Size, Text("Memory that all workers share; 0: none. For what is used most.")] = 64 * 1024 * 1024
    disk: Annotated[
        FilePath | DiskStore | None,
        Text("A directory, or a table: for answers of any size, there again after a restart, with what was purged."),
    ] = None
    redis: Annotated[
        RedisUrl | None, Text("A Redis or Valkey that several servers share: answers, and what is purged.")
    ] = None
    memcached: Annotated[str | None, Text("A Memcached that several servers share: `host:port`, or `unix:/path`.")] = (
        None
    )
    purge_token: Annotated[
        Token | None,
        Text(
            "Who sends it as `Authorization: Bearer TOKEN` may purge by `PURGE` requests to any route that caches. Without it "
            "there are no such requests."
        ),
    ] = None
