"""The supervisor: binds, forks, watches, reloads, stops. It handles no traffic and runs no user code.

One synchronous loop: wait for a signal, a word from a worker, or the next deadline; then look who died and what is due.

A *generation* is one plan, the workers of its crews, one a slot, and its applications (process/apps.py). A reload makes the
*incoming* generation beside the current one, first its applications; when all of it is ready it takes over and the old one
drains. If a part of it cannot start, the incoming generation goes again and nothing has changed. Whoever did accept connections
is never killed for that, but drained. At the first start workers and applications start together, so that edges can say that
they wait.

Signals: SIGTERM, SIGINT stop gracefully, the second one at once, as SIGQUIT; SIGHUP reloads; SIGUSR1 reopens the logs.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from enfilade.process.apps import Apps
from enfilade.process.board import COLUMNS, Board, BoardFull
from enfilade.process.control import Order, Wish
from enfilade.process.generation import Generation, Slot
from enfilade.process.lifecycle import SPEAK_AFTER, SPEAK_AGAIN, STOP_NOW_TIMEOUT, ending, restart_delay
from enfilade.process.nft import Nft
from enfilade.process.notify import Notifier
from enfilade.process.pidfile import PidFileError, remove_pid, write_pid
from enfilade.process.plan import EDGE, MakePlan, Plan, workers_of
from enfilade.process.signals import SignalInbox
from enfilade.process.sockets import BindError, ListenSpec, SocketStore
from enfilade.process.status import StatusRows
from enfilade.process.watch import INTERVAL, Watcher
from enfilade.process.worker import Worker, fork_worker

log = logging.getLogger("enfilade.process")

OnStart = Callable[[Mapping[ListenSpec, list[str]]], None]


def log_addresses(addresses: Mapping[ListenSpec, list[str]]) -> None:
    for spec, shown in addresses.items():
        log.info("listening for %s on %s", spec.name, ", ".join(shown))


def serve(
    make_plan: MakePlan, *, watch: Sequence[str] = (), on_start: OnStart = log_addresses,
) -> int:  # fmt: skip
    """Serve until told to stop; the exit code. What the first `make_plan` raises is raised.

    `watch`: files and directories whose change is a reload (development). `on_start`: told the real addresses, once.
    """
    board = Board(columns=COLUMNS + 4 * (os.cpu_count() or 1))  # room for generations that still drain
    plan = make_plan(board)
    try:
        if plan.pid_file is not None:
            write_pid(plan.pid_file)
        try:
            return Supervisor(board, make_plan, watch, on_start).run(plan)
        finally:
            if plan.pid_file is not None:
                remove_pid(plan.pid_file)
    except (PidFileError, BindError, BoardFull) as error:
        log.error("%s", error)
        return 1


def still_starting(worker: Worker, now: float) -> str:
    what = f": {worker.step}" if worker.step else ""
    return f"{worker} is still starting after {now - worker.started:.0f} s{what}"


class Supervisor:
    def __init__(self, board: Board, make_plan: MakePlan, watch: Sequence[str], on_start: OnStart) -> None:
        self._board = board
        self._make_plan = make_plan
        self._on_start = on_start
        self._rows = StatusRows(board)
        self._cells = board.supervisor.cells
        self._store = SocketStore(os.environ)
        self._notify = Notifier(os.environ)
        self._nft = Nft()
        self._watcher = Watcher(watch) if watch else None
        self._next_look = time.monotonic() + INTERVAL
        self._next_alive = time.monotonic()
        self._workers: dict[int, Worker] = {}
        self._current: Generation | None = None
        self._incoming: Generation | None = None
        self._number = 0
        self._heard = 0  # reloads that were asked for when the last one began
        self._stopping = False
        self._exit = 0
        self._grant: dict[Wish, Callable[[], None]] = {
            Wish.RELOAD: self._reload,
            Wish.STOP: lambda: self._stop(Order.STOP),
        }

    def run(self, plan: Plan) -> int:
        """From the first fork to the last funeral. Raises BindError, BoardFull, OSError if it cannot even begin."""
        self._selector = selectors.DefaultSelector()
        self._inbox = SignalInbox()
        self._selector.register(self._inbox, selectors.EVENT_READ, self._take_signals)
        self._apps = Apps(self._board, self._selector)
        self._rows.supervisor_born(self._board.supervisor)
        try:
            self._begin(plan)
            while self._workers or self._apps.alive or self._nft.busy or not self._stopping:
                self._turn()
        finally:
            for worker in self._workers.values():  # only if we fail ourselves: leave no orphans
                os.kill(worker.pid, signal.SIGKILL)
                os.waitpid(worker.pid, 0)
            self._apps.kill()
            self._store.commit([])
            self._selector.close()
            self._inbox.close()
        return self._exit

    # -- one turn of the loop

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._patience()):
            key.data()
        self._reap()
        self._do_what_is_due(time.monotonic())
        self._advance()

    def _patience(self) -> float | None:
        """Seconds until something is due."""
        times = [when for worker in self._workers.values() for when in (worker.kill_at, worker.speak_at)]
        times += [*self._apps.times(), self._nft.due]
        if self._current is not None and not self._stopping:
            times += [slot.due for slot in self._current.slots]
        times.append(self._next_look if self._watcher else None)
        times.append(self._next_alive if self._notify.watchdog else None)
        known = [when for when in times if when is not None]
        return max(0.0, min(known) - time.monotonic()) if known else None

    def _take_signals(self) -> None:
        for number in self._inbox.take():
            self._signal(number)

    def _signal(self, number: int) -> None:
        if number == signal.SIGQUIT or (number in (signal.SIGTERM, signal.SIGINT) and self._stopping):
            self._stop(Order.STOP_NOW)
        elif number in (signal.SIGTERM, signal.SIGINT):
            self._stop(Order.STOP)
        elif number == signal.SIGHUP:
            self._reload()
        elif number == signal.SIGUSR1:
            for worker in self._workers.values():
                worker.order(Order.REOPEN_LOGS)

    def _hear(self, worker: Worker) -> None:
        """It is ready, asks for something, or leaves because somebody else sent it SIGTERM: then its slot is free at once."""
        if not worker.hear():
            self._selector.unregister(worker.channel)
            return
        for wish in worker.wishes:
            self._grant[wish]()
        worker.wishes.clear()
        if worker.ready and not worker.dismissed:
            worker.kill_at = worker.speak_at = None
        slot = self._slot_of(worker)
        if worker.leaving and slot is not None and not self._is_incoming(worker):
            self._dismiss(worker, Order.DRAIN, self._kill_after)
            slot.worker = None
            slot.due = time.monotonic()

    def _do_what_is_due(self, now: float) -> None:
        for worker in self._workers.values():
            if worker.kill_at is not None and now >= worker.kill_at:
                worker.kill_at = None
                if not worker.dismissed:
                    worker.failure = f"it was not ready within {now - worker.started:.1f} s"
                os.kill(worker.pid, signal.SIGKILL)
            if worker.speak_at is not None and now >= worker.speak_at:
                worker.speak_at = now + SPEAK_AGAIN
                log.info("%s", still_starting(worker, now))
        if self._current is not None and not self._stopping:
            for slot in self._current.slots:
                if slot.due is not None and now >= slot.due:
                    self._fill_again(self._current, slot)
        if self._notify.watchdog is not None and now >= self._next_alive:
            self._next_alive = now + self._notify.watchdog
            self._notify.alive()
        if self._watcher is not None and now >= self._next_look:
            self._next_look = now + INTERVAL
            if changed := self._watcher.changed():
                log.info("changed: %s", ", ".join(changed[:3]))
                self._reload()
        self._apps.tick(now)
        self._nft.tick(now)

    # -- generations

    def _begin(self, plan: Plan) -> None:
        """Bind and start what `plan` wants. Raises BindError, BoardFull, OSError; then nothing is left of it."""
        workers = sum(crew.workers for crew in plan.crews)
        if workers > self._board.free:
            raise BoardFull(f"{workers} more workers are too many, as {len(self._workers)} still live")
        for crew in plan.crews:
            self._rows.crew(crew.name)
        self._store.prepare(workers_of(plan))
        self._number += 1
        incoming = self._incoming = Generation(self._number, plan, self._store)
        try:
            self._apps.open(self._number, plan.apps, time.monotonic())
            if self._current is None or self._apps.ready(self._number):
                self._fork_workers(incoming)
        except (OSError, BoardFull):
            self._withdraw()
            raise

    def _fork_workers(self, generation: Generation) -> None:
        """Raises OSError or BoardFull."""
        generation.forked = True
        for slot in generation.slots:
            self._fill(generation, slot)

    def _advance(self) -> None:
        """Take the incoming generation a step further."""
        incoming = self._incoming
        if incoming is None:
            return
        failure = self._apps.failure(incoming.number)
        if not failure and self._apps.ready(incoming.number):
            try:
                if not incoming.forked:
                    self._fork_workers(incoming)
                elif incoming.ready:
                    self._take_over(incoming)
            except (OSError, BoardFull) as error:
                failure = str(error)
        if failure:
            self._withdraw()
            self._refuse(failure)

    def _fill(self, generation: Generation, slot: Slot) -> None:
        column = self._board.claim()
        now = time.monotonic()

        def close_in_child() -> None:
            self._selector.close()
            self._inbox.leave_in_child()
            self._store.keep_only(slot.sockets)
            for other in self._workers.values():
                other.channel.close()
                other.links.close()
            self._apps.close_in_child()
            self._nft.close_in_child()

        try:
            worker = fork_worker(
                generation.plan, slot.crew, slot.sockets, column, self._rows, slot=slot.index,
                generation=generation.number, restarts=slot.restarts, now=now, close=close_in_child,
            )  # fmt: skip
        except OSError:
            self._board.release(column)
            raise
        worker.kill_at, worker.speak_at = now + slot.crew.start_timeout, now + SPEAK_AFTER
        slot.worker, slot.due = worker, None
        self._workers[worker.pid] = worker
        self._selector.register(worker.channel, selectors.EVENT_READ, partial(self._hear, worker))
        if slot.crew.name == EDGE:
            self._apps.edge_born(worker)

    def _fill_again(self, generation: Generation, slot: Slot) -> None:
        slot.restarts += 1
        self._cells[self._rows.restarts] += 1
        try:
            self._fill(generation, slot)
        except (OSError, BoardFull) as error:
            slot.delay = restart_delay(slot.delay, 0)
            slot.due = time.monotonic() + slot.delay
            log.error("cannot fork a worker: %s", error)

    def _reload(self) -> None:
        if self._stopping:
            return
        self._rows.reload_asked(self._board.supervisor)
        if self._incoming is None:
            self._reload_if_asked()

    def _reload_if_asked(self) -> None:
        """Another, where one was asked for since the last began, which may have read the files before their last change."""
        asked = self._rows.read_reload(self._board.supervisor)["asked"]
        if self._stopping or asked == self._heard:
            return
        self._heard = asked
        log.info("reloading")
        self._notify.reloading()
        try:
            self._begin(self._make_plan(self._board))
        except Exception as error:
            self._refuse(str(error) or type(error).__name__)
            log.debug("the reload failed so:", exc_info=error)

    def _take_over(self, incoming: Generation) -> None:
        old, self._current, self._incoming = self._current, incoming, None
        # Close our copies first: an old worker that empties the queue of a dismissed socket must be the last to close it.
        self._store.commit(workers_of(incoming.plan))
        self._nft.follow(incoming.plan.handover, self._store.bound(), time.monotonic())
        self._cells[self._rows.generation] = incoming.number
        if old is None:
            self._on_start(self._store.addresses())
        else:
            self._cells[self._rows.reloads] += 1
            self._rows.reload_answered(self._board.supervisor, self._heard, refused=False)
            for worker in old.workers:
                # Who develops wants no more answers of the old code, not even on connections that are open.
                self._dismiss(worker, Order.STOP if self._watcher else Order.DRAIN, old.kill_after)
            self._apps.replaced(old.number)
            self._apps.retire(old.number, old.plan.drain_timeout, time.monotonic())
            log.info("reloaded: generation %d serves", incoming.number)
        self._say_ready()

    def _refuse(self, reason: str) -> None:
        """The incoming configuration cannot be had; the current one goes on. At the start there is none: that is the end,
        except in development, where the mistake will be mended."""
        if self._current is not None:
            _log_lines(f"reload refused, nothing has changed: {reason}")
            self._cells[self._rows.refused] += 1
            self._rows.reload_answered(self._board.supervisor, self._heard, refused=True)
            self._say_ready()
        elif self._watcher is not None:
            _log_lines(f"cannot start: {reason}")
            log.info("waiting for a change")
            self._reload_if_asked()
        else:
            _log_lines(f"cannot start: {reason}")
            self._exit = 1
            self._stop(Order.STOP_NOW)

    def _say_ready(self) -> None:
        assert self._current is not None
        self._notify.ready(f"generation {self._current.number}, {len(self._current.slots)} workers")
        self._reload_if_asked()

    def _withdraw(self) -> None:
        """Take the incoming generation back. Workers of it that serve already finish what they accepted."""
        assert self._incoming is not None
        going, self._incoming = self._incoming, None
        self._store.roll_back()
        for worker in going.workers:
            self._dismiss(worker, Order.DRAIN, going.kill_after if worker.ready else STOP_NOW_TIMEOUT)
        self._apps.retire(going.number, going.plan.drain_timeout, time.monotonic())

    # -- ends

    @property
    def _kill_after(self) -> float:
        return self._current.kill_after if self._current is not None else STOP_NOW_TIMEOUT

    def _stop(self, order: Order) -> None:
        first = not self._stopping
        if first:
            self._stopping = True
            self._incoming = None
            self._notify.stopping()
            self._store.commit([])  # as in _take_over: before the workers close theirs
            self._nft.follow(None, {}, time.monotonic())
        if order is Order.STOP_NOW and first:
            self._apps.stop(time.monotonic())
        else:  # who was stopping may still end its applications well, but waits for nobody any more
            patience = self._current.plan.drain_timeout if self._current is not None and order is Order.STOP else 0.0
            self._apps.retire_all(patience, time.monotonic())
        timeout = self._kill_after if order is Order.STOP else STOP_NOW_TIMEOUT
        for worker in self._workers.values():
            self._dismiss(worker, order, timeout)

    def _dismiss(self, worker: Worker, order: Order, timeout: float) -> None:
        worker.order(order)
        until = time.monotonic() + timeout
        # A start time-out that still runs does not matter any more, an earlier dismissal does.
        worker.kill_at = min(until, worker.kill_at) if worker.dismissed and worker.kill_at is not None else until
        worker.dismissed, worker.speak_at = True, None

    def _reap(self) -> None:
        """Bury every child that ended, ours or (as process 1 of a container) adopted."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            worker = self._workers.pop(pid, None)
            if worker is not None:
                self._bury(worker, status)
            elif not self._nft.bury(pid, status, time.monotonic()):
                self._apps.bury(pid, status, time.monotonic())

    def _bury(self, worker: Worker, status: int) -> None:
        if worker.channel in self._selector.get_map():
            worker.hear()
            self._selector.unregister(worker.channel)
        worker.channel.close()
        if worker.crew.name == EDGE:
            self._apps.edge_gone(worker)
        worker.links.close()
        self._board.release(worker.column)
        slot = self._slot_of(worker)
        if slot is not None:
            slot.worker = None
        how = f"{worker} {ending(status)}"
        if worker.failure:
            how += f": {worker.failure}"
        if worker.dismissed:
            if status and worker.ready:
                log.warning("%s while it drained", how)
        elif self._is_incoming(worker):
            self._withdraw()
            self._refuse(how)
        elif slot is not None and not self._stopping:
            slot.delay = restart_delay(slot.delay, time.monotonic() - worker.started)
            slot.due = time.monotonic() + slot.delay
            log.error("%s; restart in %g s", how, slot.delay)

    def _slot_of(self, worker: Worker) -> Slot | None:
        """The slot that it still fills."""
        generations = [generation for generation in (self._current, self._incoming) if generation is not None]
        return next((slot for generation in generations for slot in generation.slots if slot.worker is worker), None)

    def _is_incoming(self, worker: Worker) -> bool:
        return self._incoming is not None and worker.generation == self._incoming.number


def _log_lines(text: str) -> None:
    """A record a line: what is wrong with a configuration is shown with its lines."""
    for line in text.split("\n"):
        log.error("%s", line)
