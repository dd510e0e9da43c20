"""What the admin listener shows: the status, and the metrics, of which those of upstreams and applications are made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from enfilade.assemble.upstream_rows import UpstreamStatus
from enfilade.observe.metrics import Sample, bound_label, render
from enfilade.process.app_rows import AppStatus, read_apps
from enfilade.process.board import Board
from enfilade.process.control import State
from enfilade.process.status import Status, read_status
from enfilade.upstream.health import Condition

if TYPE_CHECKING:
    from enfilade.assemble.acme import AcmeWorker, CertificateStatus
    from enfilade.assemble.stores import Stores
    from enfilade.limits.bans import Bans

_USED = {condition.value for condition in (Condition.UP, Condition.STARTING, Condition.TRIAL)}


class FullStatus(Status):
    upstreams: list[UpstreamStatus]
    certificates: list[CertificateStatus]


def full_status(
    board: Board, apps: Collection[str], upstreams: Sequence[UpstreamStatus], acme: AcmeWorker | None = None
) -> FullStatus:
    """The status of all processes, of these upstreams, and of certificates by ACME if there are any; `apps`: whom the
    configuration names."""
    certificates = [] if acme is None else acme.status()
    return FullStatus(**read_status(board, apps), upstreams=[*upstreams], certificates=certificates)


def all_metrics(
    board: Board,
    apps: Collection[str],
    upstreams: Sequence[UpstreamStatus],
    stores: Stores | None = None,
    acme: AcmeWorker | None = None,
    bans: Bans | None = None,
) -> bytes:
    """All metrics, as Prometheus reads them. `stores`: of the cache, `acme`: of certificates, if there are any."""
    samples = [*_of_upstreams(upstreams), *_of_apps(read_apps(board, apps)), *_of_cache(stores)]
    if acme is not None:
        samples += acme.samples()
    if bans is not None:
        samples.append(("enfilade_bans", (), bans.count))
    return render(board, samples)


def _of_cache(stores: Stores | None) -> Iterator[Sample]:
    if stores is None:
        return
    yield "enfilade_cache_purges_total", (), stores.purges.count
    for name, figures in stores.figures():
        labels = (("store", name),)
        yield "enfilade_cache_objects", labels, figures.answers
        yield "enfilade_cache_bytes", labels, figures.used
        yield "enfilade_cache_budget_bytes", labels, figures.budget
        yield "enfilade_cache_evictions_total", labels, figures.evicted
    for name, tally in stores.tallies.items():
        yield "enfilade_cache_failures_total", (("store", name),), tally.failures


def _of_upstreams(upstreams: Iterable[UpstreamStatus]) -> Iterator[Sample]:
    for upstream in upstreams:
        labels = (("upstream", bound_label(upstream["upstream"])),)
        yield "enfilade_upstream_queue_length", labels, upstream["queue"]
        yield "enfilade_upstream_retries_total", labels, upstream["retries"]
        yield "enfilade_upstream_breaker_open_workers", labels, upstream["breaker_open"]
        for peer in upstream["peers"]:
            one = (*labels, ("peer", bound_label(peer["peer"])))
            yield "enfilade_upstream_peer_up", one, peer["state"] in _USED
            yield "enfilade_upstream_peer_requests_in_flight", one, peer["in_flight"]
            yield "enfilade_upstream_peer_requests_total", one, peer["requests"]
            yield "enfilade_upstream_peer_failures_total", one, peer["failures"]


def _of_apps(apps: Iterable[AppStatus]) -> Iterator[Sample]:
    for app in apps:
        labels = (("app", bound_label(app["app"])),)
        states = Counter(worker["state"] for worker in app["workers"])
        for state in (State.STARTING, State.SERVING, State.DRAINING):
            name = state.name.lower()
            yield "enfilade_app_workers", (*labels, ("state", name)), states[name]
        for cause, count in app["restarts"].items():
            yield "enfilade_app_worker_restarts_total", (*labels, ("cause", cause)), count
        yield "enfilade_app_queue_length", labels, app["queue"]
        yield "enfilade_app_requests_in_flight", labels, app["in_flight"]
        yield "enfilade_app_requests_total", labels, app["requests"]
        memory = sum(worker["memory"] for worker in app["workers"])
        yield "enfilade_app_resident_memory_bytes", labels, memory
