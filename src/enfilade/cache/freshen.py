"""The fields of stored answers: which are stored (RFC 9111 section 3.1), how they validate (section 4.3), how they are updated
(section 3.2)."""

from __future__ import annotations

from enfilade.cache.decide import Asked, Rules, policy, store, unshared_names
from enfilade.cache.reasons import CacheReason
from enfilade.cache.stored import Terms
from enfilade.http.conditionals import CONDITIONAL, Verdict, evaluate
from enfilade.http.dates import parse_date
from enfilade.http.fields import Fields
from enfilade.http.grammar import CONNECTION_FIELDS, list_members
from enfilade.http.request import Request

UNSTORED = CONNECTION_FIELDS | {
    b"age", b"content-length", b"proxy-authenticate", b"proxy-authentication-info", b"proxy-authorization", b"set-cookie",
    b"te", b"trailer",
}  # fmt: skip
"""What concerns one connection, one proxy or one client (section 3.1), and what is said anew with each answer: Age and
Content-Length."""
OF_THE_BODY = frozenset((b"content-digest", b"content-encoding", b"content-md5", b"content-range"))
"""Fields that describe the body as it is stored, which comes with no update (section 3.2)."""


def stored_fields(fields: Fields, rules: Rules) -> Fields:
    """What is stored of an answer's fields."""
    named = unshared_names(policy(fields, rules.targets))
    connection = fields.get(b"connection")
    if connection is not None:
        named += list_members(connection)
    return Fields([pair for pair in fields if pair[0] not in UNSTORED and pair[0] not in named])


def fetching_fields(fields: Fields) -> Fields:
    """A request's fields less its conditions and its range, so that the answer can be stored whole."""
    return fields if CONDITIONAL.isdisjoint(fields.names) else fields.without(*CONDITIONAL)


def validating_fields(fields: Fields, stored: Fields) -> Fields | None:
    """A request's fields with the stored answer's validators for its conditions (section 4.3.1); None: it has none."""
    etag, modified = stored.values((b"etag", b"last-modified"))
    pairs = [(b"if-none-match", etag)] if etag else []
    if modified and parse_date(modified) is not None:
        pairs.append((b"if-modified-since", modified))
    return fetching_fields(fields).adding(*pairs) if pairs else None


def is_same(stored: Fields, new: Fields) -> bool:
    """Whether a 304 with the fields `new` is about the stored answer (section 4.3.4). One that names no validator is: it answers
    the question that named ours."""
    tag, modified = new.values((b"etag", b"last-modified"))
    ours, our_modified = stored.values((b"etag", b"last-modified"))
    if tag is not None and ours is not None:
        return tag == ours or (tag.startswith(b"W/") and tag[2:] == ours.removeprefix(b"W/"))
    if modified is not None:
        return our_modified is not None and parse_date(modified) == parse_date(our_modified)
    return tag is None


def is_head_of(stored: Fields, size: int, head: Fields) -> bool:
    """Whether the answer to a HEAD is that of the stored answer with a body of `size` bytes (section 4.3.5): each validator, and
    the length, if it is said."""
    tag, modified, length = head.values((b"etag", b"last-modified", b"content-length"))
    return (
        (tag is None or tag == stored.get(b"etag"))
        and (modified is None or modified == stored.get(b"last-modified"))
        and (length is None or length == b"%d" % size)
    )


def freshened(stored: Fields, new: Fields, rules: Rules) -> Fields:
    """The stored fields, updated from those of a 304, or of the answer to a HEAD (section 3.2)."""
    update = [pair for pair in stored_fields(new, rules) if pair[0] not in OF_THE_BODY]
    names = {name for name, _ in update}
    return Fields([pair for pair in stored if pair[0] not in names] + update)


def renewed(
    request: Request,
    asked: Asked,
    status: int,
    stored: Fields,
    new: Fields,
    sent_at: float,
    came_at: float,
    rules: Rules,
) -> tuple[Fields, Terms | CacheReason]:
    """The stored answer of `status` as the 304 with the fields `new` leaves it: its fields and its terms; or why it may not be
    stored any longer. Its age is the 304's: one without a Date is no older than its coming."""
    fields = freshened(stored, new, rules)
    dated = fields.without(b"date").adding(*[pair for pair in new if pair[0] in (b"age", b"date")])
    return fields, store(request, asked, status, dated, sent_at, came_at, rules)


def answer_precondition(request: Request, status: int, stored: Fields, terms: Terms) -> Verdict:
    """What a request's conditions make of the stored answer that it is given (section 4.3.2).

    If-Match and If-Unmodified-Since are not for caches. If-Modified-Since is held against Last-Modified, or else Date, or else
    the time at which the answer was made.
    """
    if status != 200:
        return Verdict.IGNORE_RANGE
    fields = request.fields
    if b"if-match" in fields or b"if-unmodified-since" in fields:
        fields = fields.without(b"if-match", b"if-unmodified-since")
    etag, modified_field, date = stored.values((b"etag", b"last-modified", b"date"))
    modified = parse_date(modified_field or b"")
    since = modified if modified is not None else parse_date(date or b"")
    verdict = evaluate(request.method, fields, etag, int(terms.born) if since is None else since)
    if verdict is Verdict.PROCEED and modified is None and not (fields.get(b"if-range") or b'"').endswith(b'"'):
        return Verdict.IGNORE_RANGE  # a Date is no validator
    return verdict
