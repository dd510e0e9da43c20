"""What the rules on requests must hold. What they are made of is imported only where there are some."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.util import find_spec

from enfilade.config.errors import Path, did_you_mean, dotted
from enfilade.config.report import Report, check_text
from enfilade.config.schema import Condition, Config, OwnRule, RequestRules
from enfilade.config.units import texts

NO_RE2 = 'needs a library that is not there: pip install "enfilade[rules]"'
TESTS = ("equals", "contains", "matches", "longer_than")
_WORD = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def check_rules(config: Config, report: Report) -> None:
    """Report what is wrong with `[rules]`, and with what sites and routes say of rules."""
    said = [(rules, path) for rules, path in _rules_in(config) if rules]
    places: list[Path] = [path for _, path in said] + [("rules", id) for id in config.rules]
    if not places:
        return
    if find_spec("re2") is None:
        for path in places:
            report(path, False, f"{dotted(path)} {NO_RE2}")
        return
    for id, rule in config.rules.items():
        _check_rule(id, rule, ("rules", id), report)
    if not said and report.complete(()) and report.complete(("sites",)):
        report(("rules",), True, "rules: no site has them looked at", "write rules = true")
    known = _known(config)
    for rules, path in said:
        for i, entry in enumerate(rules.exclude if isinstance(rules, RequestRules) else ()):
            prefix = entry.removesuffix("*")
            if entry not in known and (prefix == entry or not any(word.startswith(prefix) for word in known)):
                where = (*path, "exclude", i)
                report(
                    where, False, f'{dotted(where)}: no rule and no tag is called "{entry}"', did_you_mean(entry, known)
                )


def _rules_in(config: Config) -> Iterator[tuple[bool | RequestRules | None, Path]]:
    for name, site in config.sites.items():
        yield site.rules, ("sites", name, "rules")
        yield from ((route.rules, ("sites", name, pattern, "rules")) for pattern, route in site.routes.items())


def _known(config: Config) -> list[str]:
    """Every id and tag."""
    from enfilade.rules.shipped import RULES  # noqa: PLC0415

    shipped = [word for rule in RULES for word in (rule.id, *rule.tags)]
    return list(dict.fromkeys(shipped + [word for id, rule in config.rules.items() for word in (id, *rule.tags)]))


def _check_rule(id: str, rule: OwnRule, path: Path, report: Report) -> None:
    from enfilade.rules.shipped import RULES  # noqa: PLC0415

    if any(id in (shipped.id, *shipped.tags) for shipped in RULES):
        report(path, True, f'{dotted(path)}: "{id}" is a shipped rule, or a tag of some', "take another name")
    check_text(_word, id, path, report, at_key=True)
    for i, tag in enumerate(rule.tags):
        check_text(_word, tag, (*path, "tags", i), report)
    if not rule.when and report.complete(path):
        report((*path, "when"), False, f"{dotted((*path, 'when'))}: a rule without conditions would hit every request")
    for i, condition in enumerate(rule.when):
        _check_condition(condition, (*path, "when", i), report)


def _check_condition(condition: Condition, path: Path, report: Report) -> None:
    from enfilade.rules.rule import SIZE, parse_part  # noqa: PLC0415
    from enfilade.rules.scanner import check_expression  # noqa: PLC0415
    from enfilade.rules.transform import TRANSFORMS  # noqa: PLC0415

    for i, text in enumerate(texts(condition.at)):
        check_text(parse_part, text, (*path, "at") if isinstance(condition.at, str) else (*path, "at", i), report)
    if not condition.at:
        report((*path, "at"), False, f"{dotted((*path, 'at'))}: nothing is looked at")
    given = [test for test in TESTS if getattr(condition, test) is not None]
    if len(given) != 1 and report.complete(path):
        found = " and ".join(given) if given else "none of them"
        report(path, False, f"{dotted(path)} needs one of {', '.join(TESTS)}, but has {found}")
    elif SIZE in texts(condition.at) and given != ["longer_than"]:
        report(path, False, f'{dotted(path)}: "{SIZE}" can be compared by longer_than alone')
    for i, word in enumerate(condition.transform):
        if word not in TRANSFORMS:
            where = (*path, "transform", i)
            text = f'{dotted(where)}: "{word}" is none of {", ".join(TRANSFORMS)}'
            report(where, False, text, did_you_mean(word, TRANSFORMS))
    if condition.matches is not None:
        check_text(check_expression, condition.matches, (*path, "matches"), report)


def _word(text: str) -> None:
    if _WORD.fullmatch(text) is None:
        raise ValueError(f'"{text}" is no name: write small letters and digits, with "-" between them')
