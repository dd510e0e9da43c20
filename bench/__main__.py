"""Measures Enfilade beside other servers on this machine: one core for the server, the others for the load, in turn.

python -m bench                                     every work, three rounds of five seconds
python -m bench file-1k --rounds 1 --seconds 2      a quick look at one
python -m bench --markdown table.md --json all.json
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import processes, report
from bench.compiled import BuildError
from bench.ground import Ground, StartError
from bench.loads import LoadError
from bench.measures import Sample, Work
from bench.servers import OURS, SERVERS
from bench.works import WORKS

FAILURES = (BuildError, StartError, LoadError, OSError, http.client.HTTPException, subprocess.SubprocessError)
NEEDED = ("wrk", "h2load", "openssl", "slowhttptest")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("works", nargs="*", metavar="WORK", help="names from --list; all if none is given")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each server at each work")
    parser.add_argument("--seconds", type=int, default=5, help="of load in each round")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample")
    parser.add_argument(
        "--markdown",
        type=Path,
        metavar="FILE",
        help="write the table; in a file that has the lines of bench.report.MARKS, between them",
    )
    parser.add_argument("--list", action="store_true", help="name the works and who is compared")
    options = parser.parse_args()
    if unknown := [name for name in options.works if name not in WORKS]:
        parser.error(f"no such work: {', '.join(unknown)}. There are: {', '.join(WORKS)}")
    return options


def check_machine() -> None:
    if not processes.LOAD_CORES:
        sys.exit("bench needs two cores: one for the server, one for the load")
    if missing := [program for program in NEEDED if not shutil.which(program)]:
        sys.exit(f"bench needs {', '.join(missing)} (`make bench` installs them on Debian)")
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    os.sched_setaffinity(0, processes.LOAD_CORES)


def turns(works: list[Work], installed: set[str], rounds: int) -> Iterator[tuple[Work, int, str]]:
    """Work by work, round by round, every server in turn: what else the machine does hits all alike."""
    for work in works:
        for round in range(max(rounds, work.rounds)):
            for server in (OURS, *work.peers):
                if server in installed:
                    yield work, round, server


def sample(work: Work, ground: Ground, server: str, seconds: float) -> Sample:
    try:
        return work.measure(work, ground, SERVERS[server], seconds)
    except FAILURES as failure:
        return Sample(0.0, problem=f"{type(failure).__name__}: {failure}")


def measure(works: list[Work], ground: Ground, installed: set[str], options: argparse.Namespace) -> list[report.Row]:
    plan = list(turns(works, installed, options.rounds))
    samples: dict[tuple[str, str], list[Sample]] = {}
    for i, (work, round, server) in enumerate(plan, 1):
        print(f"[{i}/{len(plan)}] {work.name:<16} round {round + 1}  {server:<10}", end="", flush=True)
        result = sample(work, ground, server, options.seconds)
        samples.setdefault((work.name, server), []).append(result)
        print(f"INVALID: {result.problem}" if result.problem else progress(work, result), flush=True)
    return [
        report.Row(work, server, samples.get((work.name, server), []))
        for work in works
        for server in (OURS, *work.peers)
    ]


def progress(work: Work, result: Sample) -> str:
    cost = "" if result.cpu_us is None else f"{result.cpu_us:8.1f} us CPU a request"
    cores = "" if result.cores is None else f"{result.cores:.2f} cores"
    more = ", ".join(part for part in (cost, cores, report.beside(result.beside)) if part)
    return f"{report.number(result.value):>9} {work.unit:<10} {more}"


def main() -> int:
    options = arguments()
    works = [WORKS[name] for name in options.works] or list(WORKS.values())
    if options.list:
        for work in works:
            print(f"{work.name:<16} {work.title}  ({', '.join(work.peers)})")
        return 0
    check_machine()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        ground = Ground(Path(scratch))
        names = dict.fromkeys(name for work in works for name in (OURS, *work.peers))
        versions = {name: ground.version(SERVERS[name]) for name in names}
        for name, version in versions.items():
            print(f"{name:<10} {version or 'NOT INSTALLED, left out'}")
        rows = measure(works, ground, {name for name, version in versions.items() if version}, options)
    machine = report.machine()
    print(f"\n{report.text(rows)}\n\n{time.monotonic() - began:.0f} s")
    if options.markdown:
        report.write_markdown(options.markdown, report.markdown(rows, machine, versions))
    if options.json:
        options.json.write_text(json.dumps(report.as_json(rows, machine, versions), indent=2) + "\n")
    invalid = [row for row in rows if row.samples and row.problem]
    for row in invalid:
        print(f"INVALID: {row.work.name}, {row.server}: {row.problem}", file=sys.stderr)
    return 1 if invalid or not versions[OURS] else 0


if __name__ == "__main__":
    sys.exit(main())
