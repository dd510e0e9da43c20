"""HTTP dates (RFC 9110 section 5.6.7): one form is written, three are read. And moments, as people read them."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBER = {name.encode(): i for i, name in enumerate(_MONTHS, 1)}

_DAY, _MONTH, _TIME = "|".join(_DAYS), "|".join(_MONTHS), r"(?P<H>[0-9]{2}):(?P<M>[0-9]{2}):(?P<S>[0-9]{2})"
_FORMS = tuple(
    re.compile(form.encode())
    for form in (
        rf"(?:{_DAY}), (?P<d>[0-9]{{2}}) (?P<m>{_MONTH}) (?P<y>[0-9]{{4}}) {_TIME} GMT",
        rf"(?:{'|'.join(_LONG_DAYS)}), (?P<d>[0-9]{{2}})-(?P<m>{_MONTH})-(?P<y>[0-9]{{2}}) {_TIME} GMT",  # RFC 850
        rf"(?:{_DAY}) (?P<m>{_MONTH}) (?P<d>[0-9 ][0-9]) {_TIME} (?P<y>[0-9]{{4}})",  # asctime()
    )
)
_LATEST = 253_370_764_800
"""The beginning of the last year that a date can be in."""


def format_date(seconds: float) -> bytes:
    """The IMF-fixdate of a Unix time: `Sun, 06 Nov 1994 08:49:37 GMT`. Raises ValueError beyond the years 1 to 9999."""
    t = datetime.fromtimestamp(int(seconds), timezone.utc)
    return b"%s, %02d %s %04d %02d:%02d:%02d GMT" % (
        _DAYS[t.weekday()].encode(), t.day, _MONTHS[t.month - 1].encode(), t.year, t.hour, t.minute, t.second,
    )  # fmt: skip


def local_time(seconds: float) -> str:
    """A Unix time as people read it where we run: `1994-11-06 09:49:37`; later than the year 9998, the beginning of the next."""
    return datetime.fromtimestamp(min(seconds, _LATEST)).strftime("%Y-%m-%d %H:%M:%S")


@lru_cache(maxsize=1024)
def parse_date(value: bytes) -> int | None:
    """The Unix time that `value` means; None if it is no HTTP date. A day of the week that is wrong is overlooked."""
    for form in _FORMS:
        m = form.fullmatch(value)
        if m is not None:
            break
    else:
        return None
    year = int(m["y"])
    if len(m["y"]) == 2:
        year += 1900 if year >= 70 else 2000  # POSIX's pivot: the RFC's rule would need to know today's date
    second = min(int(m["S"]), 59) if m["S"] == b"60" else int(m["S"])  # a leap second has no Unix time of its own
    try:
        t = datetime(year, _MONTH_NUMBER[m["m"]], int(m["d"]), int(m["H"]), int(m["M"]), second, tzinfo=timezone.utc)
    except ValueError:
        return None
    return int(t.timestamp())
