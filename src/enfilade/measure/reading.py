"""What the figures of a measurement say, in plain words. Each rule looks at them, and says nothing that they do not show."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from enfilade.measure.samples import Measurement, Sample
from enfilade.measure.table import count, megabytes, milliseconds, number

CLOSE = 0.05
"""Rates that differ by no more are the same: so much two runs differ, too."""
MUCH_LESS = 0.8
"""Of processor time: what is not even this much less proves nothing."""
BUSY = 0.9
"""Cores of clients in one thread, from which on they may be what is slow."""

Rule = Callable[[Measurement], Iterator[str]]


def reading(measurement: Measurement) -> list[str]:
    """A paragraph for each thing that there is to say."""
    rules = (conditions, winner, *_BY_WORK[measurement.work.kind], unserved, slow_clients, failures)
    return list(chain.from_iterable(rule(measurement) for rule in rules))


# -- whatever the work


def conditions(m: Measurement) -> Iterator[str]:
    delay = milliseconds(m.work.seconds)
    does = {
        "none": "A request is answered at once",
        "io": f"A request is answered after a wait of {delay}, as for a database",
        "cpu": f"A request is answered after {delay} of computing in Python",
    }
    over = "a Unix socket" if m.transport == "unix" else m.transport.upper()
    yield (
        f"{does[m.work.kind]}; its client sends the next when it has the answer. Measured for {m.seconds:g} s each, over {over}, "
        f"on one machine with {count(m.machine.cores, 'core')}, which server and clients share."
    )


def winner(m: Measurement) -> Iterator[str]:
    """Who answered most, with each number of clients."""
    for clients in m.crowds:
        ranked = _ranked(m.of(clients))
        if not ranked:
            continue
        best, *others = ranked
        as_good = [sample for sample in others if sample.rate >= best.rate * (1 - CLOSE)]
        behind = [sample for sample in others if sample not in as_good]
        text = f"With {_clients(clients)}, {best.name} answered most: {_rate(best)}, p99 {milliseconds(best.p99)}"
        if as_good:
            text += f"; as good as that: {_names(as_good)}"
        if behind:
            text += f"; the least did {behind[-1].name}, {number(behind[-1].rate)}"
        yield text + "."


def unserved(m: Measurement) -> Iterator[str]:
    """Whose clients had no answer, and why."""
    clients = m.crowds[-1]
    if keeping := [s for s in m.of(clients) if _keeps_places(m, s)]:
        listed = "; ".join(
            f"{_names(group)} {served} of {clients:,}" for served, group in _by(keeping, lambda s: s.served)
        )
        yield (
            f"Not every client was served: {listed}. Whoever is served keeps its place until it leaves, and these clients stay: "
            "the times are those of the clients that had a place."
        )
    if slow := [s for s in m.of(clients) if s.served < clients and not _keeps_places(m, s)]:
        yield f"Not every client had its turn in {m.seconds:g} s: {_names(slow)}."


def slow_clients(m: Measurement) -> Iterator[str]:
    """Where it is the clients that were slow."""
    found = [s for s in _all(m) if s.load_cpu >= BUSY and m.way != "processes"]
    if found:
        yield (
            f"The clients themselves kept {_span([s.load_cpu for s in found], _hundredths)} cores busy with "
            f"{_listed(found)}: these may be able to do more than was asked of them."
        )


def failures(m: Measurement) -> Iterator[str]:
    """Wrong or missing answers."""
    wrong = [s for s in _all(m) if s.errors]
    if wrong:
        yield f"There were errors, so these figures mean less: {_listed(wrong)}."
    if missing := [s for s in m.samples if s.problem]:
        yield f"Not measured: {_listed(missing)}."


# -- nothing to do


def cost_of_a_request(m: Measurement) -> Iterator[str]:
    """What a request takes beside the work: there is none."""
    ranked = [s for s in _ranked(m.of(m.crowds[-1])) if s.cpu_request]
    if len(ranked) < 2:
        return
    best, dearest = ranked[0], max(ranked, key=lambda s: s.cpu_request)
    least = min(ranked, key=lambda s: s.cpu_request)
    if best.cpu_request <= least.cpu_request * (1 + CLOSE) and best.cpu_request < dearest.cpu_request * MUCH_LESS:
        yield (
            f"There is nothing to do but to receive and to send, so who takes the least processor time for that wins: "
            f"{best.name} {_micro(best)} a request, {dearest.name} {_micro(dearest)}."
        )
    elif least.cpu_request < best.cpu_request * MUCH_LESS:
        yield (
            f"{least.name} takes the least processor time for a request, {_micro(least)}, and yet {best.name} with "
            f"{_micro(best)} answered more: it kept {best.cpu:.2f} cores busy, {least.name} {least.cpu:.2f}."
        )


def switching(m: Measurement) -> Iterator[str]:
    """Who waits for one client must be woken for it; who waits for all finds several ready."""
    at = m.of(m.crowds[-1])
    one_each = [s for s in at if (s.threads > 2 or s.processes > 2) and s.switches >= 0.5]
    for_all = [s for s in at if s.threads == 1 and s.served > 1 and s.switches < 0.5]
    if one_each and for_all:
        yield (
            f"With {_clients(m.crowds[-1])}, threads or processes that wait for one of them had to be woken for each request: "
            f"{_switches(one_each)} context switches a request ({_names(one_each)}). One thread that waits for all of them "
            f"({_names(for_all)}) found several ready at once: {_switches(for_all)}."
        )


def crowded(m: Measurement) -> Iterator[str]:
    """What becomes of it with more clients."""
    if len(m.crowds) < 2:
        return
    few, many = m.crowds[0], m.crowds[-1]
    before = {s.name: s for s in m.of(few)}
    pairs = [(before[s.name], s) for s in m.of(many) if s.name in before and s.served == many and before[s.name].rate]
    if not pairs:
        return
    growth = sorted(pairs, key=lambda pair: pair[1].rate / pair[0].rate)
    (low_a, low_b), (high_a, high_b) = growth[0], growth[-1]
    yield (
        f"From {_clients(few)} to {_clients(many)}, {high_b.name} went from {number(high_a.rate)} to {number(high_b.rate)} "
        f"requests a second"
        + (f", {low_b.name} from {number(low_a.rate)} to {number(low_b.rate)}." if low_b is not high_b else ".")
    )


def memory(m: Measurement) -> Iterator[str]:
    """What it costs to keep so many."""
    full = [s for s in m.of(m.crowds[-1]) if s.served == s.clients and s.memory]
    if len(full) > 1 and m.crowds[-1] > 1:
        least, most = min(full, key=lambda s: s.memory), max(full, key=lambda s: s.memory)
        yield (
            f"To serve all {_clients(m.crowds[-1])} at once, {least.name} took {megabytes(least.memory)} with {_crew(least)}, "
            f"{most.name} {megabytes(most.memory)} with {_crew(most)}."
        )


# -- waiting


def one_at_a_time(m: Measurement) -> Iterator[str]:
    """Those that sleep with their only thread."""
    clients = m.crowds[-1]
    alone = [s for s in m.of(clients) if clients > 1 and 0 < _width(m, s) < 1.5 and _one_thread(s) and not s.awaited]
    if not alone:
        return
    yield (
        f"One request at a time: {_names(alone)} answered {_span([s.rate for s in alone], number)} a second with "
        f"{_clients(clients)}, where 1 / {milliseconds(m.work.seconds)} is {number(1 / m.work.seconds)}: while the handler "
        "waits, nobody else is served."
    )
    if loops := [s for s in alone if s.served > 1]:
        yield (
            f"For {_names(loops)} that means: an event loop whose handler blocks is as slow as the simplest server. Half of the "
            f"requests took longer than {_span([s.p50 for s in loops], milliseconds)}, though each waits for "
            f"{milliseconds(m.work.seconds)} only."
        )


def several_at_a_time(m: Measurement) -> Iterator[str]:
    """Those with so many threads or processes, and no more."""
    for s in m.of(m.crowds[-1]):
        if _width(m, s) >= 1.5 and _keeps_places(m, s) and max(s.threads, s.processes) == s.served + 1:
            yield (
                f"{s.name} waits for {_width(m, s):.1f} requests at a time, {_rate(s)}: it serves {s.served} clients, whose "
                "number is that of its threads or processes."
            )


def all_at_a_time(m: Measurement) -> Iterator[str]:
    """Those where each client waits for itself."""
    clients = m.crowds[-1]
    free = [s for s in _ranked(m.of(clients)) if clients > 1 and _width(m, s) >= 1.5 and not _keeps_places(m, s)]
    if not free:
        return
    possible = clients / m.work.seconds
    listed = ", ".join(f"{s.name} {number(s.rate)}" for s in free)
    yield (
        f"Each client's wait is its own, so they wait at the same time: {listed} requests a second with {_clients(clients)}, "
        f"where {clients:,} / {milliseconds(m.work.seconds)} would be {number(possible)}."
    )
    for s in free:
        if s.rate < possible * 0.75 and s.cpu >= 0.8:
            yield f"{s.name} is not held up by waiting, but by the processor: it kept {s.cpu:.2f} cores busy."


def awaited(m: Measurement) -> Iterator[str]:
    """The same loop, blocked or not."""
    clients = m.crowds[-1]
    plain = {s.model: s for s in m.of(clients) if not s.awaited}
    for s in m.of(clients):
        blocked = plain.get(s.model)
        if s.awaited and blocked and blocked.rate and s.rate > blocked.rate * (1 + CLOSE):
            yield (
                f"{s.model} answered {number(s.rate / blocked.rate)} times as many requests where its handler awaits as where it "
                f"blocks: {number(s.rate)} and {number(blocked.rate)} a second, with {_crew(s)}."
            )


# -- computing


def processes(m: Measurement) -> Iterator[str]:
    """Those that compute in several processes."""
    if m.machine.cores < 2:
        yield "There is one core only: nothing can compute faster than one process does."
        return
    one_core = 1 / m.work.seconds
    many = [s for s in m.of(m.crowds[-1]) if s.processes > 1 and s.rate > one_core * 1.15]
    if many:
        yield (
            f"Processes compute on several cores: {_names(many)} answered {_rates(many)} and kept {_cores(many)} cores busy; one "
            f"core can do 1 / {milliseconds(m.work.seconds)} = {number(one_core)}."
        )


def threads(m: Measurement) -> Iterator[str]:
    """Those that compute in several threads of one process."""
    one_core = 1 / m.work.seconds
    many = [s for s in m.of(m.crowds[-1]) if s.processes == 1 and s.threads > 2 and s.rate]
    if m.crowds[-1] > 1 and many and all(s.rate <= one_core * 1.15 for s in many):
        yield (
            f"Threads do not compute faster than one: {_names(many)} answered {_rates(many)} and kept {_cores(many)} cores busy. "
            "One thread at a time runs Python (the global interpreter lock)."
        )


def single_threads(m: Measurement) -> Iterator[str]:
    """Those with one thread: an event loop does not compute faster, either."""
    one_core = 1 / m.work.seconds
    alone = [s for s in m.of(m.crowds[-1]) if _one_thread(s) and s.rate]
    if alone and all(s.rate <= one_core * 1.15 for s in alone):
        yield (f"One thread is one core: {_names(alone)} answered {_rates(alone)}, however they wait for clients.")


_BY_WORK: dict[str, Sequence[Rule]] = {
    "none": (cost_of_a_request, switching, crowded, memory),
    "io": (one_at_a_time, several_at_a_time, all_at_a_time, awaited, memory),
    "cpu": (processes, threads, single_threads),
}


# -- words


def _width(m: Measurement, sample: Sample) -> float:
    """How many requests were waited for at a time, on the average (Little's law)."""
    return sample.rate * m.work.seconds


def _one_thread(sample: Sample) -> bool:
    return sample.processes <= 1 and sample.threads <= 1


def _keeps_places(m: Measurement, sample: Sample) -> bool:
    """Some clients were answered again and again, and others never."""
    return 0 < sample.served < sample.clients and sample.rate * m.seconds > sample.served * 1.5


def _all(m: Measurement) -> list[Sample]:
    return [sample for clients in m.crowds for sample in m.of(clients)]


def _ranked(samples: Iterable[Sample]) -> list[Sample]:
    return sorted((s for s in samples if s.rate), key=lambda s: -s.rate)


def _by(samples: Sequence[Sample], key: Callable[[Sample], int]) -> list[tuple[int, list[Sample]]]:
    groups: dict[int, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(key(sample), []).append(sample)
    return sorted(groups.items())


def _names(samples: Sequence[Sample]) -> str:
    *most, last = [sample.name for sample in samples]
    return f"{', '.join(most)} and {last}" if most else last


def _listed(samples: Sequence[Sample]) -> str:
    """Names, by the number of clients."""
    return "; ".join(f"{_names(group)} ({_clients(clients)})" for clients, group in _by(samples, lambda s: s.clients))


def _clients(number: int) -> str:
    return count(number, "client")


def _rate(sample: Sample) -> str:
    return f"{number(sample.rate)} requests a second"


def _rates(samples: Sequence[Sample]) -> str:
    return f"{_span([s.rate for s in samples], number)} requests a second"


def _cores(samples: Sequence[Sample]) -> str:
    return _span([s.cpu for s in samples], _hundredths)


def _switches(samples: Sequence[Sample]) -> str:
    return _span([s.switches for s in samples], _hundredths)


def _hundredths(value: float) -> str:
    return f"{value:.2f}"


def _micro(sample: Sample) -> str:
    return f"{number(sample.cpu_request * 1e6)} us"


def _crew(sample: Sample) -> str:
    return count(sample.processes, "process") if sample.processes > 1 else count(sample.threads, "thread")


def _span(values: Sequence[float], show: Callable[[float], str]) -> str:
    """ "198", or "196 to 201"."""
    low, high = show(min(values)), show(max(values))
    return low if low == high else f"{low} to {high}"
