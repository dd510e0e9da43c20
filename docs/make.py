"""Makes the pages that are drawn from the code: `make docs`. A test holds each of them to it.

docs/configuration.md from the schema; docs/states/ from the tables of the engines; tables of docs/security.md, docs/proxy.md and
docs/cache.md; those of docs/blocking.md and docs/concurrency.md from what was measured (docs/measured/).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from enum import IntEnum
from pathlib import Path
from typing import Any

from enfilade.cache.reasons import CACHE_REASONS, Kind
from enfilade.config.jsonschema import json_schema
from enfilade.http.reasons import REASONS, Source
from enfilade.http.security_fields import ROWS as SECURITY_FIELDS
from enfilade.measure import app_reading, app_report, app_rows
from enfilade.measure.app_rows import Mode, Result
from enfilade.measure.reading import reading
from enfilade.measure.report import page
from enfilade.measure.samples import read as read_measurement
from enfilade.models.handler import Kind as HandlerKind
from enfilade.models.table import MODELS
from enfilade.rules.shipped import RULES
from enfilade.wire.http1.states import READING_RULES, WRITING_RULES
from enfilade.wire.http2.states import DRAIN_MOVES, FRAME_RULES, MOVES, VERDICTS, Drain, Frame, State, Step, Verdict
from enfilade.wire.link import states as link_states

DOCS = Path(__file__).parent

# -- configuration.md

TITLES = {
    "Config": "The file",
    "Server": "[server]",
    "Limits": "[server.limits]",
    "ServerLog": "[server.log]",
    "Firewall": "[firewall]",
    "Lists": "lists = {...}",
    "Countries": "countries = {...}",
    "Outbound": "[firewall.outbound]",
    "Acme": "[acme]",
    "DnsUpdate": "dns = {...} of [acme]",
    "OnDemand": "on_demand = {...}",
    "Bans": "[bans]",
    "Site": '[sites."HOST"]',
    "Tls": "tls = {...}",
    "ClientCertificates": "clients = {...}",
    "Route": '"PATTERN" = {...}',
    "Redirect": "redirect = {...}",
    "Fixed": "respond = {...}",
    "Log": "log = {...}",
    "HeaderRules": "headers = {...}",
    "RequestRules": "rules = {...}",
    "OwnRule": "[rules.NAME]",
    "Condition": "when = [{...}]",
    "RateLimit": "limit = {...}",
    "SharedLimits": "[limits]",
    "Concurrency": "concurrency = {...}",
    "SecurityHeaders": "security_headers = {...}",
    "Cors": "cors = {...}",
    "Csrf": "csrf = {...}",
    "BasicAuth": "basic = {...}",
    "Auth": "auth = {...}",
    "Jwt": "jwt = {...}",
    "ForwardAuth": "forward = {...}",
    "CacheRules": "cache = {...} of sites and routes",
    "Compression": "compress = {...}",
    "Proxy": "proxy = {...}",
    "Branch": "split = [{...}]",
    "MirrorTo": "mirror = {...}",
    "Upstream": "[upstreams.NAME]",
    "Peer": "peers = [{...}]",
    "Discover": "[upstreams.NAME.discover]",
    "Dns": "dns = {...}",
    "Redis": "redis = {...}",
    "PeerTls": "tls = {...} of an upstream",
    "Check": "check = {...}",
    "Ejection": "eject = {...}",
    "Breaker": "breaker = {...}",
    "StickyCookie": "sticky = {...}",
    "App": "[apps.NAME]",
    "AppLimits": "limits = {...}",
    "WorkerRange": "workers = {...}",
    "Cache": "[cache]",
    "DiskStore": "disk = {...}",
    "Stream": "[streams.NAME]",
    "StreamLog": "log = {...} of a stream",
    "Pki": "[pki]",
}
INTRO = """\
# Configuration

<!-- Made from src/enfilade/config/schema/ by docs/make.py; change it there. -->

`enfilade up` reads `enfilade.toml` or `enfilade_conf.py` in the working directory, or the file named with `-c`. `enfilade check`
says what it would serve, or everything that is wrong, with line and column. A bad configuration refuses the start, and a
bad reload changes nothing. Paths are relative to the directory of the file. Durations are written `"500ms"`, `"10s"`, `"2m"`,
`"1h"`, or as a number of seconds; sizes `"64KB"`, `"16MB"` (1 KB is 1024 bytes), or as a number of bytes.

```toml
{example}```

More stand in `examples/configurations/`. For completion in an editor: `enfilade schema > enfilade.schema.json`, and
`#:schema ./enfilade.schema.json` as the first line of the file.

The same in Python: a `.py` file with a global `config`, checked in the same way.

```python
{python}```
"""


def configuration() -> str:
    """Every table and key."""
    examples = DOCS.parent / "examples" / "configurations"
    tables = json_schema()["$defs"]
    parts = [
        INTRO.format(
            example=(examples / "application_and_files.toml").read_text(),
            python=(examples / "enfilade_conf.py").read_text(),
        )
    ]
    parts += [_section(TITLES[name], tables[name]) for name in TITLES]
    assert set(TITLES) == set(tables), "a table of the schema has no title here"
    return "\n".join(parts)


def _section(title: str, table: dict[str, Any]) -> str:
    shape = table["anyOf"][0] if "anyOf" in table else table
    rows = [_row(name, field, name in shape["required"]) for name, field in shape["properties"].items()]
    mark = "" if title == "The file" else "`"
    head = (
        f"## {mark}{title}{mark}\n\n{table['description']}\n\n| key | value | default | |\n| --- | --- | --- | --- |\n"
    )
    return head + "".join(rows)


def _row(name: str, field: dict[str, Any], required: bool) -> str:
    default = f"`{json.dumps(field['default'])}`" if "default" in field else "required" if required else ""
    return f"| `{name}` | {_kind(field)} | {default} | {_cell(field['description'])} |\n"


def _kind(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in field["anyOf"]))
    if "$ref" in field:
        return "table"
    if "enum" in field:
        return ", ".join(f"`{json.dumps(value)}`" for value in field["enum"])
    kind = field.get("type")
    if isinstance(kind, list):
        return "duration" if "number" in kind else "size"
    return {"array": "list", "object": "table", "string": "text", "boolean": "true, false"}.get(str(kind), str(kind))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


# -- states/http1.md

HTTP1 = """\
# The states of an HTTP/1 connection

Made by `docs/make.py` from the tables in `src/enfilade/wire/http1/states.py`, where the rules are explained.
An input that has no arrow is illegal in that state. CLOSE is left out: it leads from every state to CLOSED.
"""


def _diagram(rules: dict[IntEnum, dict[IntEnum, IntEnum]], start: str) -> str:
    """One half of a connection as a mermaid state diagram."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {start}"]
    for state, row in rules.items():
        lines += [f"    {state.name} --> {after.name}: {on.name}" for on, after in row.items() if on.name != "CLOSE"]
    return "\n".join([*lines, "```"])


def http1() -> str:
    """What each half of an HTTP/1 connection may do."""
    parts = [HTTP1]
    halves: list[tuple[str, dict[Any, Any], tuple[str, str]]] = [
        ("reads", READING_RULES, ("HEAD", "IDLE")),
        ("writes", WRITING_RULES, ("IDLE", "READY")),
    ]
    for title, table, starts in halves:
        for (role, rules), start in zip(table.items(), starts, strict=True):
            parts.append(f"## What a {role.name.lower()} {title}\n\n{_diagram(rules, start)}\n")
    return "\n".join(parts)


# -- states/http2.md

_VERDICT_TEXT = {
    Verdict.TAKE: "taken",
    Verdict.OPEN: "opens",
    Verdict.IGNORE: "ignored",
    Verdict.STREAM_ERROR_CLOSED: "stream error STREAM_CLOSED",
    Verdict.CONNECTION_ERROR_CLOSED: "connection error STREAM_CLOSED",
    Verdict.CONNECTION_ERROR_PROTOCOL: "connection error PROTOCOL_ERROR",
}


def http2() -> str:
    """The states of an HTTP/2 stream and connection, and what frames do in them."""
    return "\n".join(
        [
            "# HTTP/2: states",
            "",
            "Made from the tables in `src/enfilade/wire/http2/states.py` by `docs/make.py`.",
            "",
            "## A stream",
            "",
            *_stream_diagram(),
            "",
            "What becomes of a frame in each state:",
            "",
            *_verdict_table(),
            "",
            "## A connection that ends",
            "",
            *_drain_diagram(),
            "",
            "## Frames",
            "",
            *_frame_table(),
            "",
        ]
    )


def _step(step: Step) -> str:
    return step.name.lower().replace("_", " ")


def _stream_diagram() -> list[str]:
    together: dict[tuple[State, State], list[str]] = {}
    for (before, step), after in MOVES.items():
        together.setdefault((before, after), []).append(_step(step))
    lines = [f"    {before.name} --> {after.name}: {', '.join(steps)}" for (before, after), steps in together.items()]
    return ["```mermaid", "stateDiagram-v2", f"    [*] --> {State.IDLE.name}", *lines, "```"]


def _drain_diagram() -> list[str]:
    lines = [
        f"    {before.name} --> {after.name}: {cause.replace(':', ',')}"
        for (before, cause), after in DRAIN_MOVES.items()
    ]
    end = f"    {Drain.FINAL.name} --> [*]: the last stream ends"
    return ["```mermaid", "stateDiagram-v2", f"    [*] --> {Drain.NO.name}", *lines, end, "```"]


def _verdict_table() -> list[str]:
    kinds = list(VERDICTS[State.IDLE])
    rows = [
        f"| {State(state).name} | " + " | ".join(_VERDICT_TEXT[row[kind]] for kind in kinds) + " |"
        for state, row in VERDICTS.items()
    ]
    return ["| | " + " | ".join(Frame(kind).name for kind in kinds) + " |", "|---" * (len(kinds) + 1) + "|", *rows]


def _frame_table() -> list[str]:
    rows = [
        f"| {Frame(kind).name} | {rule.scope.name.lower()} | {rule.least} | {'' if rule.most is None else rule.most} | "
        + ", ".join(role.name.lower() for role in rule.roles)
        + " |"
        for kind, rule in FRAME_RULES.items()
    ]
    return ["| frame | belongs to | least bytes | most bytes | received by |", "|---|---|---|---|---|", *rows]


# -- states/link.md

LINK = """\
# The states of a link

Made by `docs/make.py` from the table in `src/enfilade/wire/link/states.py`, where the rules are explained. One stream is one
request and its answer; many are open at once on the connection between an edge worker and a process of an application.
"""


def link() -> str:
    """What each end of a link may say on a stream."""
    parts = [LINK]
    titles = {link_states.Way.UP: "the edge", link_states.Way.DOWN: "the application"}
    for way, who in titles.items():
        rules: dict[Any, Any] = link_states.MOVES[way]
        parts.append(f"## What {who} says\n\n{_diagram(rules, 'HEAD')}\n")
    return "\n".join(parts)


# -- security.md, proxy.md

_TABLE = re.compile(r"(<!-- table: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def _with_tables(page: str) -> str:
    """The page as it is, with its tables as they should be."""
    text = (DOCS / page).read_text()
    return _TABLE.sub(lambda m: f"{m[1]}\n{_TABLES[m[2]]()}\n{m[3]}", text)


def _reasons() -> str:
    rows = ["| reason | answer | caused by | |", "| --- | --- | --- | --- |"]
    for r in REASONS.values():
        answer = str(r.status) if r.status else "closed" if r.source is Source.CLIENT else "cut"
        rows.append(f"| `{r.name}` | {answer} | {r.source.value} | {r.text} |")
    return "\n".join(rows) + "\n"


WHY = {
    "request_line": "What nginx and Apache take. What is longer is data that belongs into a body.",
    "head": "Single sign-on has been seen to need 40 KB. HAProxy and node take 16 KB, Apache 800.",
    "fields": "What Apache takes. A browser sends about 20.",
    "body": "Pictures pass, films do not: raise it on the route that wants them. nginx: 1 MB, Caddy: no limit.",
    "head_timeout": "A slow phone needs a second or two; a slow-head attack needs for ever. Apache: 20 s, nginx: 60.",
    "body_timeout": "What gunicorn gives. It counts silence, not the whole upload: that is what `min_rate` looks after.",
    "idle_timeout": "What nginx gives: longer than a person reads a page, shorter than a load balancer forgets.",
    "write_timeout": "A client that takes nothing for so long is gone or means harm; one that is slow takes something.",
    "min_rate": "What Kestrel asks for, the speed of a modem of 1988: no healthy client is slower, slow attacks have to be.",
    "request_timeout": "Off: exports, long polling and server-sent events have no natural end. Set it where nothing takes long.",
    "connections": "Off: what a machine can hold depends on its memory and `ulimit -n`.",
    "streams": "What nginx allows: a page with all its parts. Beyond, clients wait.",
    "trailers": "What Tomcat allows. gRPC sends two or three short ones.",
    "chunk_extensions": "Nobody uses them but attackers; node and Go allow the same since CVE-2024-22019 and CVE-2023-39326.",
    "continuations": "64 KB fit into four frames. nghttp2 allows 8 since CVE-2024-28182.",
    "flood_budget": "1,000 resets at once, as nghttp2 allows: a browser that leaves a page resets a hundred.",
    "flood_refill": "33 resets a second, as nghttp2 allows.",
}
"""The reason of each default: docs/security.md has them all."""


def _limits() -> str:
    table = json_schema()["$defs"]["Limits"]
    rows = ["| `server.limits` | default | | why |", "| --- | --- | --- | --- |"]
    for key, field in table["properties"].items():
        rows.append(f"| `{key}` | {field['default']} | {field['description']} | {WHY[key]} |")
    return "\n".join(rows) + "\n"


ADVICE = {
    "bad_response": "The log says which rule it broke. A server that speaks HTTP/2 only needs `h2c://`; TLS needs `https://`.",
    "unasked_response": "The server frames its answers wrongly: bytes behind the end of a body, or a switch of protocols.",
    "upstream_gone": "It crashed, was stopped, or closes connections without saying so: look at its own log.",
    "application_gone": "It crashed, was killed or ran out of memory: the log says how it ended, and what it wrote last.",
    "upstream_reset": "It gave this request up, or takes fewer streams at once: look at its own log.",
    "connect_failed": "Is it running, and at this address? For Unix sockets: may the worker's user open it?",
    "upstream_tls": "The log says why. An authority of your own belongs into `tls.authority`, another name into `tls.name`.",
    "connect_timeout": "A firewall drops packets, or the server accepts no connection any more. `connect_timeout`.",
    "answer_timeout": "It is overloaded or waits for something; longer work needs a larger `answer_timeout`.",
    "silence_timeout": "It hangs; or it is quiet on purpose, and `silence_timeout` is too short for it.",
    "upload_timeout": "It does not read what it is sent: overloaded, or it waits for something before it reads.",
    "total_timeout": "`total_timeout` is shorter than what the exchange takes.",
    "no_peer": "None is configured or found, or all have failed too often: the log says which were left alone, and why.",
    "upstream_broken": "`breaker` has opened; it closes when a request succeeds again.",
    "upstream_busy": "`limit`, `connections`, `queue` and `queue_timeout` are reached: more servers, or more of these.",
    "no_socket": "More descriptors (`LimitNOFILE` of systemd, `ulimit -n`), or fewer connections: a larger `keep`, or `h2c://`.",
}
"""What to do about the reasons for which an upstream is not asked, or does not answer."""


def _upstream() -> str:
    assert {r.name for r in REASONS.values() if r.source is Source.UPSTREAM} <= set(ADVICE), (
        "a reason has no advice here"
    )
    rows = [r for r in REASONS.values() if r.name in ADVICE]
    lines = [f"| `{r.name}` | {r.status} | {r.text} | {ADVICE[r.name]} |" for r in rows]
    return "\n".join(["| reason | answer | | what to do |", "| --- | --- | --- | --- |", *lines]) + "\n"


def _cache_reasons() -> str:
    rows = ["| result | reason | `Cache-Status` | |", "| --- | --- | --- | --- |"]
    for r in CACHE_REASONS.values():
        kind = "not stored" if r.kind is Kind.UNKEPT else r.kind.name.lower()
        token = r.token.decode()
        says = f"`{token}`" if token in ("hit", "") else f"`fwd={token}`"
        rows.append(f"| {kind} | `{r.name}` | {says if token else ''} | {r.text} |")
    return "\n".join(rows) + "\n"


def _security_fields() -> str:
    rows = ['| field | `true` | `"strict"` | |', "| --- | --- | --- | --- |"]
    for row in SECURITY_FIELDS:
        values = [f"`{value}`" if value else "" for value in (row.standard, row.strict)]
        rows.append(f"| `{row.name}` | {' | '.join(values)} | {row.why} |")
    return "\n".join(rows) + "\n"


def _app() -> Result:
    return app_rows.read((DOCS / "measured" / "app.json").read_bytes())


def _app_code() -> str:
    """The routes that wait, as they are measured."""
    source = (DOCS.parent / "src" / "enfilade" / "measure" / "demo_app.py").read_text()
    code = source.partition("# -- waiting\n")[2].partition("# -- computing")[0]
    return f"```python\n{code.strip()}\n```\n"


def _app_conditions() -> str:
    found = _app()
    m = found.machine
    return f"{m.processor}, {m.cores} cores, {m.python}, FastAPI {found.about.fastapi}, {m.date}.\n"


def _app_rows(kind: str, mode: Mode) -> str:
    return "\n".join(app_report.page(_app(), kind, mode)) + "\n"


def _app_said() -> str:
    return "\n".join(f"- {paragraph}" for paragraph in app_reading.reading(_app())) + "\n"


def _rules() -> str:
    rows = ["| rule | level | adds | looks at | |", "| --- | --- | --- | --- | --- |"]
    for rule in RULES:
        (condition,) = rule.when
        rows.append(f"| `{rule.id}` | {rule.paranoia} | {rule.points} | {', '.join(condition.at)} | {rule.why} |")
    return "\n".join(rows) + "\n"


def _models() -> str:
    rows = ["| start it | what it does | kinds of handlers | UDP |", "| --- | --- | --- | --- |"]
    for name, model in MODELS.items():
        kinds = ", ".join(kind.value for kind in HandlerKind if kind in model.kinds)
        rows.append(f"| `enfilade stream zen --model {name}` | {model.text} | {kinds} | {'yes' if model.udp else ''} |")
    return "\n".join(rows) + "\n"


def _measured(name: str, clients: int) -> str:
    """The table of so many clients, and what was measured on what."""
    found = read_measurement((DOCS / "measured" / f"{name}.json").read_bytes())
    where = f"{found.machine.processor}, {found.machine.cores} cores, {found.machine.python}, {found.machine.date}"
    return f"{clients:,} clients ({where}):\n\n" + "\n".join(page(found, clients)) + "\n"


def _said(name: str) -> str:
    """What the command says of it."""
    found = read_measurement((DOCS / "measured" / f"{name}.json").read_bytes())
    return "\n".join(f"> {paragraph}\n>" for paragraph in reading(found)).removesuffix("\n>") + "\n"


_TABLES: dict[str, Callable[[], str]] = {
    "models": _models,
    "models-none-1": lambda: _measured("models-none", 1),
    "models-none-100": lambda: _measured("models-none", 100),
    "models-none-1000": lambda: _measured("models-none", 1000),
    "models-none-said": lambda: _said("models-none"),
    "models-io-100": lambda: _measured("models-io", 100),
    "models-io-said": lambda: _said("models-io"),
    "models-cpu-100": lambda: _measured("models-cpu", 100),
    "models-cpu-said": lambda: _said("models-cpu"),
    "reasons": _reasons,
    "limits": _limits,
    "upstream": _upstream,
    "cache": _cache_reasons,
    "security_fields": _security_fields,
    "rules": _rules,
    "app-code": _app_code,
    "app-conditions": _app_conditions,
    "app-wait-inline": lambda: _app_rows("wait", "inline"),
    "app-wait-isolated": lambda: _app_rows("wait", "isolated"),
    "app-compute-inline": lambda: _app_rows("compute", "inline"),
    "app-compute-isolated": lambda: _app_rows("compute", "isolated"),
    "app-said": _app_said,
}


PAGES: dict[str, Callable[[], str]] = {
    "configuration.md": configuration,
    "blocking.md": lambda: _with_tables("blocking.md"),
    "cache.md": lambda: _with_tables("cache.md"),
    "concurrency.md": lambda: _with_tables("concurrency.md"),
    "filters.md": lambda: _with_tables("filters.md"),
    "proxy.md": lambda: _with_tables("proxy.md"),
    "rules.md": lambda: _with_tables("rules.md"),
    "security.md": lambda: _with_tables("security.md"),
    "states/http1.md": http1,
    "states/http2.md": http2,
    "states/link.md": link,
}
"""Each page and what makes it."""

if __name__ == "__main__":
    for name, make in PAGES.items():
        (DOCS / name).write_text(make())
