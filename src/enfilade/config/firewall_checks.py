"""What the firewall's table must hold beyond the types of its values. Reads the lists that it names."""

from __future__ import annotations

import os
from functools import partial
from importlib.util import find_spec

from enfilade.config.countries import Countries
from enfilade.config.errors import NO_REDIS, did_you_mean, dotted
from enfilade.config.networks import check_entry, is_url, list_urls
from enfilade.config.report import Report, check_text
from enfilade.config.schema import Bans, Firewall
from enfilade.config.schema import Countries as Table
from enfilade.config.units import rate
from enfilade.http.addresses import Networks
from enfilade.http.reasons import REASONS
from enfilade.http.uri import parse_url

NO_LIBRARY = 'needs a library that is not there: pip install "enfilade[countries]"'


def check_firewall(firewall: Firewall, report: Report) -> None:
    """Report what cannot work in `firewall`."""
    lists = firewall.lists
    for key in ("allow", "deny"):
        for i, text in enumerate(getattr(firewall, key)):
            parse = partial(_check_url, lists is not None and bool(lists.allow)) if is_url(text) else check_entry
            check_text(parse, text, ("firewall", key, i), report)
    _check_lists(firewall, report)
    if firewall.default == "deny" and not firewall.allow and report.complete(("firewall",)):
        report(("firewall", "default"), False, "firewall.default: nobody is let in", "name networks in allow")
    if firewall.countries is not None:
        _check_countries(firewall.countries, report)
    for key in ("new_connections", "new_connections_per_address"):
        text = getattr(firewall, key)
        if text is not None:
            check_text(rate, text, ("firewall", key), report)


def _check_url(plain: bool, text: str) -> None:
    if parse_url(text).scheme == "http" and not plain:
        raise ValueError("over plain http, whoever is on the way can write a list of their own")


def _check_lists(firewall: Firewall, report: Report) -> None:
    lists, path = firewall.lists, ("firewall", "lists")
    urls = list_urls(firewall)
    if lists is None:
        if urls and report.complete(("firewall",)):
            where, hint = _place(firewall, urls[0]), 'write lists = { keep = "lists" }'
            report(where, False, f"{dotted(where)}: a list at a URL is kept in a directory, which must be named", hint)
        return
    for i, text in enumerate(lists.allow):
        check_text(lambda text: Networks([text]), text, (*path, "allow", i), report)
    for key in ("every", "wait"):
        if not getattr(lists, key):
            report((*path, key), False, f"firewall.lists.{key}: 0 is no time")
    if os.path.exists(lists.keep) and not os.path.isdir(lists.keep):
        report((*path, "keep"), False, f'firewall.lists.keep: "{lists.keep}" is no directory')
    if not urls and report.complete(("firewall",)):
        report(path, True, "firewall.lists goes only with lists at URLs", 'write deny = ["https://..."]')


def _place(firewall: Firewall, entry: str) -> tuple[str, str, int]:
    key = "allow" if entry in firewall.allow else "deny"
    return "firewall", key, getattr(firewall, key).index(entry)


def _check_countries(countries: Table, report: Report) -> None:
    path = ("firewall", "countries")
    if bool(countries.allow) is bool(countries.deny) and report.complete(path):
        report(path, True, "firewall.countries needs either allow or deny", 'write deny = ["XX"]')
    for key in ("allow", "deny"):
        for i, code in enumerate(getattr(countries, key)):
            if not (len(code) == 2 and code.isascii() and code.isalpha() and code.isupper()):
                where = (*path, key, i)
                report(where, False, f'{dotted(where)}: "{code}" is no country; write two letters, as in "DE"')
    if find_spec("maxminddb") is None:
        report(path, True, f"firewall.countries {NO_LIBRARY}")
    elif report.complete(path):
        check_text(lambda _: Countries(countries), countries.file, (*path, "file"), report)


def check_bans(bans: Bans, report: Report) -> None:
    """Report what cannot work in `bans`."""
    for what in bans.on:
        if not (what in REASONS or (what.isdecimal() and 100 <= int(what) < 600)):
            text = f'bans.on: "{what}" is neither a status nor the name of a reason (docs/security.md lists them)'
            report(("bans", "on", what), True, text, did_you_mean(what, REASONS))
    if not bans.on and report.complete(("bans",)):
        report(("bans", "on"), False, "bans.on: nothing counts", "name a status, as in { 401 = 1 }")
    for i, one in enumerate(bans.never):
        check_text(lambda text: Networks([text]), one, ("bans", "never", i), report)
    for key in ("window", "duration"):
        if not getattr(bans, key):
            report(("bans", key), False, f"bans.{key}: 0 is no time")
    if bans.longest < bans.duration:
        report(("bans", "longest"), False, "bans.longest is shorter than bans.duration, the first ban")
    if bans.redis is not None and find_spec("redis") is None:
        report(("bans", "redis"), True, f"bans.redis {NO_REDIS}")
