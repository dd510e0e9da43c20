"""The directions in which imports may go (CONTRIBUTING.md, rule 1), read from the sources themselves."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

SRC = Path(__file__).parent.parent / "src"
PURE = {"http", "wire", "route", "upstream"}
NOT_PURE = {"asyncio", "socket", "ssl", "time", "random", "logging", "uvloop", "threading", "os"}
MAY_IMPORT = {
    "acme": {"atomic", "http", "exchange"},
    "atomic": set(),
    "closing": set(),
    "http": set(),
    "wire": {"http"},
    "route": {"http"},
    "exchange": {"http", "route"},
    "filters": {"http", "exchange", "observe", "cache"},
    "targets": set(),
    "framing": set(),
    "models": {"closing", "framing", "http", "targets"},
    "handlers": {"http", "exchange", "targets", "upstream", "pki"},
    "upstream": {"http", "exchange"},
    "cache": {"http", "exchange"},
    "limits": {"http", "exchange", "filters"},
    "rules": {"http", "exchange"},
    "observe": {"http", "exchange"},
    "identity": {"http", "exchange"},
    "config": {"http", "identity", "route", "rules", "upstream"},
    "pki": {"atomic", "exchange"},
    "net": {"acme", "atomic", "cache", "closing", "http", "wire", "exchange", "limits", "observe", "upstream"},
    "app": {"cache", "handlers"},
    "appworker": {"app", "cache", "exchange", "handlers", "http", "net", "observe", "process", "targets", "wire"},
    "stream": {"http", "wire", "route", "exchange", "observe", "upstream", "net"},
    "process": {"assemble", "config", "exchange", "http", "net", "observe"},
    "doctor": {"config", "http", "wire"},
    "client": {"upstream"},
    "measure": {"client", "framing", "models", "upstream"},
    "cli": {
        "client",
        "assemble",
        "cache",
        "config",
        "doctor",
        "http",
        "measure",
        "models",
        "net",
        "observe",
        "pki",
        "process",
        "upstream",
    },
    "testing": {"http", "wire", "exchange", "route", "cache"},
}
# Imports inside functions, each with its reason: it costs start-up time that most runs need not pay (measured).
LATE: dict[str, set[str]] = {
    "assemble/apps.py": {"enfilade.wire.websocket.handshake.Negotiator"},  # the WebSocket library: 35 ms
    "assemble/acme.py": {
        "enfilade.acme.dns_update.UpdatedZone",  # DNS: 80 ms, and only for updates of a zone
    },
    "assemble/plan.py": {
        "enfilade.assemble.acme_server.prepare_acme_server",
        "enfilade.assemble.acme.prepare_acme",  # JOSE and X.509: 150 ms
        "enfilade.assemble.banning.prepare_bans",  # where somebody may be banned: 20 ms
        "enfilade.assemble.nftables.prepare_nftables",  # only where bans are handed to the kernel
        "enfilade.assemble.stores.share_cache",
        "enfilade.assemble.handling.Surroundings",
        "enfilade.assemble.handling.crew_of",  # only where a stream has a handler
    },
    "assemble/trial.py": {
        "enfilade.models.handler.check_name",
        "enfilade.models.table.check_transport",
        "enfilade.assemble.ban_file.read_bans",
        "enfilade.assemble.nftables.try_nftables",
        "enfilade.assemble.internal.look_at_root",
        "enfilade.pki.acme.bound.read_bound",
        "enfilade.pki.acme.names.Names",
        "enfilade.assemble.stores.cache_filter",
        "enfilade.assemble.stores.nowhere",
    },
    "assemble/administration.py": {"enfilade.assemble.cache_view.view_cache"},  # only where something is cached
    "assemble/worker.py": {
        "enfilade.assemble.acme.AcmeWorker",
        "enfilade.assemble.acme_server.acme_handler",  # JOSE and X.509: 150 ms
        "enfilade.assemble.banning.Banning",
        "enfilade.assemble.stores.cache_filter",
        "enfilade.assemble.stores.open_stores",
    },
    # only where there are rules on requests, whose library is an extra: 50 ms
    "assemble/ruling.py": {
        "enfilade.rules.challenge.Challenge",
        "enfilade.rules.filter.Rules",
        "enfilade.rules.rule.Condition",
        "enfilade.rules.rule.Rule",
        "enfilade.rules.rule.excluded",
        "enfilade.rules.rule.literally",
        "enfilade.rules.rule.parse_part",
        "enfilade.rules.rule.quote",
        "enfilade.rules.ruleset.Ruleset",
        "enfilade.rules.shipped.GROUPS",
        "enfilade.rules.shipped.OWN",
        "enfilade.rules.shipped.RULES",
        "enfilade.rules.verdict.Judgement",
        "enfilade.rules.verdict.Verdict",
    },
    "config/rule_checks.py": {
        "enfilade.rules.rule.SIZE",
        "enfilade.rules.rule.parse_part",
        "enfilade.rules.scanner.check_expression",
        "enfilade.rules.shipped.RULES",
        "enfilade.rules.transform.TRANSFORMS",
    },
    "process/shared.py": {"tempfile.TemporaryFile"},  # only where the system has no memfd: 4 ms
    # X.509: 60 ms
    "assemble/certificates.py": {
        "enfilade.assemble.internal.InternalCertificates",
        "enfilade.assemble.demand.DemandContexts",
    },
    # the tables of HTTP/2 and HPACK: 10 ms
    "assemble/engines.py": {"enfilade.wire.http2.Http2Limits", "enfilade.wire.http2.Http2Server"},
    # only for peers that may speak HTTP/2: 10 ms
    "assemble/guarding.py": {"enfilade.net.fetch.Fetcher"},  # only where a list is to be fetched
    "assemble/upstreams.py": {"enfilade.wire.http2.Http2Client", "enfilade.wire.http2.Http2Limits"},
    # JOSE: 120 ms, and what fetches its keys
    "assemble/authenticating.py": {
        "enfilade.handlers.proxy.asking.AskingProxy",
        "enfilade.handlers.proxy.asking.Question",
        "enfilade.identity.forward.ForwardAuth",
        "enfilade.identity.jwt.Jwt",
        "enfilade.identity.jwt.bearer",
        "enfilade.identity.keys.FetchedKeys",
        "enfilade.identity.keys.FixedKeys",
        "enfilade.identity.keys.KeyFile",
        "enfilade.identity.token.Terms",
        "enfilade.identity.token.read_keys",
        "enfilade.identity.token.secret_key",
        "enfilade.net.fetch.Fetcher",
    },
    # an extra, and 500 ms
    "cli/bench.py": {
        "enfilade.measure.app_chart.app_chart",
        "enfilade.measure.charts.models_chart",
        "enfilade.measure.charts.save",
    },
    "cli/main.py": {"enfilade.config.errors.did_you_mean"},  # only for a command that there is not: 15 ms
    # an extra, and 160 ms
    "config/countries.py": {"maxminddb.InvalidDatabaseError", "maxminddb.MODE_MEMORY", "maxminddb.reader.Reader"},
    "config/errors.py": {"difflib.get_close_matches"},  # only for mistakes: 2 ms
    "config/load.py": {"tomllib", "enfilade.config.locate.Places"},  # only `up` and its like read TOML: 5 ms
    "targets.py": {"difflib.get_close_matches"},  # only for mistakes: 2 ms
    # only to read lists of peers: 2 ms; TOML: 5 ms
    "config/peers.py": {"json", "tomllib", "enfilade.config.locate.Places"},
    # an extra, and 180 ms
    "net/redis/client.py": {
        "redis.asyncio.BlockingConnectionPool",
        "redis.asyncio.Redis",
        "redis.asyncio.retry.Retry",
        "redis.backoff.NoBackoff",
        "redis.exceptions.RedisError",
    },
    # DNS: 80 ms, and only where a peer is written as a name
    "net/resolver.py": {
        "dns.asyncresolver.Resolver",
        "dns.exception.DNSException",
        "dns.nameserver.Do53Nameserver",
        "dns.resolver.NXDOMAIN",
        "dns.resolver.NoAnswer",
    },
    "process/privileges.py": {"ctypes.CDLL"},  # only to drop privileges: 2 ms
}

# Decisions alone, in a room that does more.
PURE_FILES = {
    "framing.py",
    "models/conversation.py",
    "models/table.py",
    "identity/algorithms.py",
    "identity/token.py",
    "acme/schedule.py",
    "limits/bucket.py",
    "limits/sketch.py",
    "limits/table.py",
    "measure/histogram.py",
    "measure/talk.py",
    "measure/tally.py",
    *(
        f"cache/{name}.py"
        for name in ("decide", "freshen", "invalidate", "key", "partial", "reasons", "status", "vary")
    ),
}

FILES = sorted(SRC.rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(SRC / "enfilade").parts
    return parts[0].removesuffix(".py")


class Import(NamedTuple):
    """`function`: the one that it stands in, "" where it stands in none."""

    name: str
    line: int
    function: str


@cache
def imports(path: Path) -> list[Import]:
    """All of a file, which is parsed once for all tests."""
    found = []

    def look(node: ast.AST, function: str) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, function) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            found.extend(Import(f"{node.module}.{alias.name}", node.lineno, function) for alias in node.names)
        elif not isinstance(node, ast.expr):
            here = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
            for child in ast.iter_child_nodes(node):
                look(child, here)

    look(ast.parse(path.read_text()), "")
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_one_way(path: Path) -> None:
    here = room(path)
    pure = here in PURE or str(path.relative_to(SRC / "enfilade")) in PURE_FILES
    for name, line, _ in imports(path):
        top, *rest = name.split(".")
        if pure:
            assert top not in NOT_PURE, f"{path}:{line} {here} is pure, but imports {name}"
        if top == "enfilade" and rest and here in MAY_IMPORT:
            there = rest[0]
            assert there in MAY_IMPORT[here] | {here, "__version__"}, f"{path}:{line} {here} imports {name}"


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_no_import_inside_a_function(path: Path) -> None:
    allowed = LATE.get(str(path.relative_to(SRC / "enfilade")), set())
    late = {(name, function) for name, _, function in imports(path) if function and name not in allowed}
    assert not late, f"{path} imports in a function: {late}"


def test_no_cycles_between_modules() -> None:
    graph = {}
    names = {}
    for path in FILES:
        module = ".".join(path.relative_to(SRC).with_suffix("").parts).removesuffix(".__init__")
        names[module] = path
    for module, path in names.items():
        targets = set()
        for name, _, _ in imports(path):
            while name and name not in names:
                name = name.rpartition(".")[0]
            if name and name != module:
                targets.add(name)
        graph[module] = targets
    done: set[str] = set()

    def visit(module: str, way: tuple[str, ...]) -> None:
        assert module not in way, f"cycle: {' -> '.join((*way, module))}"
        if module not in done:
            for target in sorted(graph[module]):
                visit(target, (*way, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())
