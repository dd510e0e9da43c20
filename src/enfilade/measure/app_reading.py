"""What the figures of `enfilade bench app` say, in words: rules that look at them, and claim nothing that they do not show."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from enfilade.measure.app_rows import MODES, Result, Row
from enfilade.measure.app_ways import COMPUTE, SECONDS, WAIT, WAYS
from enfilade.measure.table import count, megabytes, milliseconds, number

FULL = 0.8
"""So much of what there can be counts as all of it: to begin and end a piece of work takes time, too."""
BUSY = 0.85
"""So much of a core counts as a whole one."""
KEPT_UP = 0.9
"""So much of the work done counts as all of it: the rest is under way."""
APART = 2.0
"""So many times as much is told as a difference: less may be chance."""

HELD = {
    "loop": "one at a time in each worker, as its event loop stands still for it: {workers} / {span} = {ceiling} at most",
    "threads": "{most} at once, which is all threads of FastAPI's pool",
    "executor": "{most} at once, which is all threads of the executor that asyncio.to_thread uses",
}
"""Where all is taken of what a piece of work holds one of."""
TASKS = {"wait": f"waiting {milliseconds(WAIT)}", "compute": f"computing {milliseconds(COMPUTE)}"}


def reading(result: Result) -> list[str]:
    """A paragraph on what was measured, one on each way where it ran most plainly, and those on what is different elsewhere."""
    plain = plainest(result)
    ways = (f"{name(row)}: {figures(row, result)} /ping waited {waited(row)}." for row in plain)
    rules = (_blocking(plain), _computing(plain), _beside(result), _price(result), _more_workers(result))
    return [conditions(result), *ways, *chain.from_iterable(rules)]


def conditions(result: Result) -> str:
    seconds = min(row.seconds for row in result.rows)
    return (
        f"{count(result.clients, 'client')}, each of which asks again when it has its answer, for {seconds:.1f} s or a little "
        f"more, on one machine with {count(result.machine.cores, 'core')}, which server and clients share. Where nothing else is "
        f"said: {place(plainest(result)[0])}."
    )


def plainest(result: Result) -> list[Row]:
    """The rows of the first place: inline rather than isolated, with the fewest workers."""
    first = min(_order(row) for row in result.rows)
    return [row for row in result.rows if _order(row) == first]


def _order(row: Row) -> tuple[int, int]:
    return MODES.index(row.mode), row.workers


def name(row: Row) -> str:
    return f"{TASKS[row.kind]}, {row.way.title}"


def place(row: Row) -> str:
    return f"{row.mode}, {workers(row)}"


def workers(row: Row) -> str:
    return count(row.workers, "worker")


def waited(row: Row) -> str:
    return f"{milliseconds(row.ping.p50)}, at worst {milliseconds(row.ping.worst)}"


# -- one row by itself


def figures(row: Row, result: Result) -> str:
    """How much was served, and what held it back."""
    rate = f"{number(row.rate)} requests a second"
    if not row.way.later:
        return f"{rate}: {bound(row, result)}."
    if row.done >= KEPT_UP * row.answers:
        return f"{rate}, and the work after the answers kept up with them."
    return (
        f"{rate} were answered, but only {number(row.done_rate)} pieces of work a second done: "
        f"{row.answers - row.done:,} were left over after {row.seconds:.1f} s."
    )


def bound(row: Row, result: Result) -> str:
    """Why no more were served, as far as the figures show it."""
    pool = result.about.pool(row.way.holds)
    if pool is not None and pool * row.workers <= result.clients and row.at_once >= FULL * pool * row.workers:
        span = SECONDS[row.kind]
        return HELD[row.way.holds].format(
            most=pool * row.workers, workers=row.workers, span=milliseconds(span), ceiling=number(row.workers / span)
        )
    if everybody(row, result):
        return f"all {result.clients} clients were served at once, so that more of them would get more"
    cores, theirs, there = row.cpu / row.seconds, row.load_cpu / row.seconds, result.machine.cores
    busy = f"{milliseconds(row.cpu / max(1, row.answers))} of processor time each, which kept {cores:.1f} of {there} cores busy"
    if row.mode == "inline" and cores >= BUSY * row.workers:
        return f"{busy}; a worker cannot use more than one (the GIL)"
    if cores + theirs >= BUSY * there:
        return f"{busy}, and the clients {theirs:.1f}: the machine has no more"
    return busy


def everybody(row: Row, result: Result) -> bool:
    """Whether there was always work under way for all clients."""
    return row.at_once >= FULL * result.clients


# -- rows against each other


def _blocking(plain: list[Row]) -> Iterator[str]:
    """What a missing await costs."""
    found = {row.route: row for row in plain}
    good, bad = found.get("wait/await"), found.get("wait/blocking")
    if good and bad and good.rate >= APART * bad.rate:
        yield (
            f"Awaited instead of blocking, the same {milliseconds(WAIT)} let {good.rate / bad.rate:.0f} times as many requests "
            f"through, and others (/ping) waited {milliseconds(good.ping.p50)} instead of {milliseconds(bad.ping.p50)}."
        )


def _computing(plain: list[Row]) -> Iterator[str]:
    """That it makes no difference to the work how it is written, and to others it does."""
    found = {row.route: row for row in plain if row.kind == "compute" and row.mode == "inline"}
    rates = [row.done_rate for row in found.values()]
    ceiling = max((row.workers for row in found.values()), default=0) / COMPUTE
    if len(found) > 1 and max(rates) <= ceiling / BUSY and max(rates) < APART * min(rates):
        yield (
            f"Computing is {number(min(rates))} to {number(max(rates))} pieces of work a second, however it is written: only one "
            f"thread of a process runs Python at a time (the GIL), so {number(ceiling)} at most."
        )
    threads, loop = found.get("compute/def"), found.get("compute/blocking")
    if threads and loop and loop.ping.p50 >= APART * threads.ping.p50:
        yield (
            f"Others wait {milliseconds(threads.ping.p50)} for what computes in def, as threads take turns, and "
            f"{milliseconds(loop.ping.p50)} for what computes in async def, which gives nobody a turn."
        )


def _beside(result: Result) -> Iterator[str]:
    """What workers of its own are good for, by the way where it shows most."""
    pairs = [
        (inline, isolated) for inline, isolated in _both(result) if inline.beside.p50 >= APART * isolated.beside.p50
    ]
    if pairs:
        inline, isolated = max(pairs, key=lambda pair: pair[0].beside.p50)
        yield (
            f"What the application has no part in (/beside, which the edge answers) waited {milliseconds(inline.beside.p50)} "
            f"while that ran inline, {milliseconds(isolated.beside.p50)} while it ran isolated ({name(inline)}, "
            f"{workers(inline)})."
        )


def _price(result: Result) -> Iterator[str]:
    """What workers of its own cost, where there is nearly nothing else to do."""
    for inline, isolated in _both(result):
        if inline.route == "wait/await":
            yield (
                f"Isolated instead of inline ({name(inline)}, {workers(inline)}): {number(isolated.rate)} requests a second "
                f"instead of {number(inline.rate)}, {megabytes(isolated.memory)} instead of {megabytes(inline.memory)}."
            )
            return


def _both(result: Result) -> Iterator[tuple[Row, Row]]:
    """What ran inline, and the same isolated."""
    isolated = {(row.route, row.workers): row for row in result.rows if row.mode == "isolated"}
    for row in result.rows:
        if row.mode == "inline" and (row.route, row.workers) in isolated:
            yield row, isolated[row.route, row.workers]


def _more_workers(result: Result) -> Iterator[str]:
    """How much more the largest number of workers serves than the smallest, unless all clients were served anyway."""
    for mode in MODES:
        gains = []
        for route, way in WAYS.items():
            rows = sorted((row for row in result.rows if (row.route, row.mode) == (route, mode)), key=_order)
            if rows and rows[-1].workers > rows[0].workers and not way.later and not everybody(rows[0], result):
                gains.append(f"{rows[-1].rate / rows[0].rate:.1f} ({name(rows[0])})")
                most, fewest = rows[-1].workers, rows[0].workers
        if gains:
            yield f"{most} workers instead of {fewest}, {mode}, times as many requests: {'; '.join(gains)}."
