"""Rules on requests."""

from typing import Annotated, Literal

from msgspec import Meta

from enfilade.config.schema.leaves import Positive, Size, Table, Text

Paranoia = Annotated[int, Meta(ge=1, le=4, extra={"says": "a level from 1 to 4"})]


class Condition(Table, frozen=True):
    """Something that holds for a request or not. One of `equals`, `contains`, `matches` and `longer_than` says what."""

    at: Annotated[
        str | list[str],
        Text(
            "What is looked at, or a list of it: `method`, `host`, `path`, `query`, `argument NAME`, `argument names`, "
            "`field NAME`, `cookie NAME` (`*` for any name), `content-type`, `body size`."
        ),
    ]
    equals: Annotated[str | list[str] | None, Text("It is this text, or one of a list.")] = None
    contains: Annotated[str | list[str] | None, Text("It has this text in it, or one of a list.")] = None
    matches: Annotated[str | None, Text("It has this regular expression in it, in the syntax of RE2.")] = None
    longer_than: Annotated[Size | None, Text("It has more bytes than this.")] = None
    negate: Annotated[bool, Text("None of what is looked at is so; also where nothing is there.")] = False
    transform: Annotated[
        list[str],
        Text(
            "What is done to a value first, in this order: `decode` (percent-encoding, once more than applications do), "
            "`entities` (of HTML), `no_nul`, `no_comments`, `no_quotes`, `squeeze` (white space to one space), `lowercase`."
        ),
    ] = []


class OwnRule(Table, frozen=True):
    """A rule beside the shipped ones; its key is its id. It holds where `rules` is on, unless it is excluded there."""

    when: Annotated[list[Condition], Text("What must hold, all of it.")]
    action: Annotated[
        Literal["deny", "score", "challenge", "tag", "log"],
        Text(
            "`deny` (403); `score`: add to the request's score; `challenge`: let a browser in that works for a "
            "moment; `tag`: tell whoever answers, in the field `Rule-Tags`; `log`."
        ),
    ] = "deny"
    severity: Annotated[Literal["critical", "error", "warning", "notice"], Text("What `score` adds: 5, 4, 3 or 2.")] = (
        "critical"
    )
    paranoia: Annotated[Paranoia, Text("The level from which on it is looked at.")] = 1
    tags: Annotated[list[str], Text("Words by which it can be excluded together with others.")] = []
    why: Annotated[str, Text("What it is there for; `enfilade explain` shows it.")] = ""


class RequestRules(Table, frozen=True):
    """Rules on requests: the shipped ones and those of `[rules]`. `true` is short for this table as it is."""

    paranoia: Annotated[
        Paranoia, Text("How much is suspicious: 2 also finds what honest people may write, and needs exclusions.")
    ] = 1
    threshold: Annotated[Positive, Text("The score at which a request is refused; one critical hit scores 5.")] = 5
    detect: Annotated[bool, Text("Refuse nothing; only count and log what would be refused.")] = False
    exclude: Annotated[
        list[str], Text('Rules that do not hold here: ids, `"sql-*"` for all that begin so, or tags.')
    ] = []
    exclude_arguments: Annotated[
        list[str], Text("Arguments of the query that are passed over, but by rules that name them.")
    ] = []
