"""What must hold within the policies of a site or route."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec

from enfilade.config.auth_checks import check_auth
from enfilade.config.errors import Path, did_you_mean, dotted
from enfilade.config.limit_checks import check_limits
from enfilade.config.report import Report, check_text
from enfilade.config.schema import Compression, Cors, Csrf, HeaderRules, Policies, SecurityHeaders
from enfilade.http.codings import CODINGS, media_pattern
from enfilade.http.field_texts import field_name, field_value
from enfilade.http.grammar import is_token
from enfilade.http.origins import origin_pattern
from enfilade.http.security_fields import PRESETS

NO_CODING = 'needs a library that is not there: pip install "enfilade[compress]"'


def check_policies(table: Policies, path: Path, report: Report) -> None:
    """What a site or a route at `path` says for the filters in front of it."""
    if isinstance(table.request_id, str):
        check_text(field_name, table.request_id, (*path, "request_id"), report)
    if table.headers is not None:
        check_header_rules(table.headers, (*path, "headers"), report)
    if isinstance(table.security_headers, SecurityHeaders):
        _check_security_headers(table.security_headers, (*path, "security_headers"), report)
    if table.cors is True:
        text = f"{dotted((*path, 'cors'))} does not say whose scripts may read the answers"
        report((*path, "cors"), False, text, 'write cors = { origins = ["https://app.example.com"] }')
    if isinstance(table.cors, Cors):
        _check_cors(table.cors, (*path, "cors"), report)
    check_auth(table, path, report)
    if isinstance(table.csrf, Csrf):
        _check_csrf(table.csrf, (*path, "csrf"), report)
    if isinstance(table.compress, Compression):
        _check_compression(table.compress, (*path, "compress"), report)
    check_limits(table, path, report)


def check_header_rules(rules: HeaderRules, path: Path, report: Report) -> None:
    _check_fields(rules.set, (*path, "set"), report)
    _check_fields(rules.add, (*path, "add"), report)
    for i, name in enumerate(rules.remove):
        check_text(field_name, name, (*path, "remove", i), report)


def _check_compression(compression: Compression, path: Path, report: Report) -> None:
    for i, coding in enumerate(compression.codings or ()):
        where = (*path, "codings", i)
        if coding not in CODINGS:
            text = (
                f'{dotted(where)}: "{coding}" is no content coding that is known here; there are {", ".join(CODINGS)}'
            )
            report(where, False, text, did_you_mean(coding, CODINGS))
        elif (module := CODINGS[coding]) is not None and find_spec(module) is None:
            report(where, False, f'{dotted(where)}: "{coding}" {NO_CODING}', "")
    for i, text in enumerate(compression.types or ()):
        check_text(media_pattern, text, (*path, "types", i), report)


def _check_security_headers(table: SecurityHeaders, path: Path, report: Report) -> None:
    _check_fields(table.set, (*path, "set"), report)
    preset = PRESETS[table.preset]
    for i, name in enumerate(table.leave_out):
        if name.lower() not in preset:
            text = f'{dotted((*path, "leave_out", i))}: the preset "{table.preset}" has no field "{name}"'
            report((*path, "leave_out", i), False, text, did_you_mean(name.lower(), preset))


def _check_cors(cors: Cors, path: Path, report: Report) -> None:
    everybody = cors.origins == ["*"]
    if not cors.origins and report.complete(path):
        report(path, True, f"{dotted(path)} has no origins", 'write origins = ["https://app.example.com"]')
    for i, text in enumerate(() if everybody else cors.origins):
        if text == "*":
            where = (*path, "origins", i)
            report(where, False, f'{dotted(where)}: "*" is everybody, so it stands alone')
        else:
            check_text(origin_pattern, text, (*path, "origins", i), report)
    for key, parse in (("methods", _method), ("headers", field_name), ("expose", field_name)):
        for i, text in enumerate(getattr(cors, key)):
            where = (*path, key, i)
            if text != "*":
                check_text(parse, text, where, report)
            elif cors.credentials:
                report(where, False, f'{dotted(where)}: with credentials, "*" is not any to browsers; name each')
    if cors.credentials and (everybody or "null" in cors.origins):
        where = (*path, "credentials")
        who = '"*" is everybody' if everybody else 'anybody can be "null"'
        report(where, False, f"{dotted(where)}: {who}, and would read what is for one user", "name the origins")


def _check_csrf(csrf: Csrf, path: Path, report: Report) -> None:
    for i, text in enumerate(csrf.origins):
        where = (*path, "origins", i)
        if text == "null":
            report(where, False, f'{dotted(where)}: any page can be "null"', "csrf = false where that is meant")
        else:
            check_text(origin_pattern, text, where, report)


def _method(text: str) -> None:
    if not (is_token(text.encode("utf-8", "replace")) and text == text.upper()):
        raise ValueError(f'"{text}" is not a method; methods are written in capitals')


def _check_fields(fields: Mapping[str, str], path: Path, report: Report) -> None:
    for name, value in fields.items():
        check_text(field_name, name, (*path, name), report, at_key=True)
        check_text(field_value, value, (*path, name), report)
