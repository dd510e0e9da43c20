"""For applications: what of their answers is kept, and until when.

    from enfilade.app import purge, tag

    tag("user:7")        # the answer that is being made can be purged by this
    purge("user:7")      # no answer with this tag is used again, in no worker, once the call returns

Both may be called from any task or thread of the application. Under another server, and where nothing is cached, they do
nothing; so does `tag` where no answer is being made.
"""

from __future__ import annotations

from enfilade.cache.invalidate import MAX_TAGS
from enfilade.cache.purge_text import purge_name, tag_value
from enfilade.cache.purges import Purges
from enfilade.handlers.app.tagging import TAGS

__all__ = ["purge", "tag"]

_purges: Purges | None = None


def tag(*names: str) -> None:
    """Give the answer to the request in whose course this is called these tags. An answer that has begun to be sent has the tags
    of before. ValueError: an empty name, one of more than 256 bytes, or one with a blank, a comma or `*` in it."""
    values = [tag_value(name) for name in names]
    tags = TAGS.get(None)
    if tags is not None:
        # One more than are kept is enough: such an answer is not stored.
        tags += [value for value in dict.fromkeys(values) if value not in tags][: MAX_TAGS + 1 - len(tags)]


def purge(*names: str, soft: bool = False) -> None:
    """See to it that no answer which is stored now under one of `names` is used again. What is fetched meanwhile counts as stored
    before.

    A name is a tag; `https://host/path`, with `?query` or for all queries; `https://host/dir/*` for all below; `*` for all.
    `soft`: they become stale instead, and may be served as stale answers may be: while they are refreshed, or while the
    application fails. ValueError: nothing can have such a name; then nothing is purged.
    """
    meant = [purge_name(name) for name in names]
    if _purges is not None:
        for name in meant:
            _purges.purge(name, soft=soft)


def connect(purges: Purges) -> None:
    """The server calls this, before it imports the application."""
    global _purges
    _purges = purges
