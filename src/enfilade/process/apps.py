"""Applications in processes of their own: all pools of all generations, and the links between their workers and the edges.

A link is one connection from one edge worker to one worker of an application of the same generation: a socket pair, made here,
of which each gets one end over its channel.

A generation's pools are opened before its edges are forked (at the first start beside them), and told to drain when the last
of its edges is gone, or when the time for that is over.
"""

from __future__ import annotations

import logging
import os
import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from typing import NamedTuple

from enfilade.process.app_log import LogPipe
from enfilade.process.app_pool import AppPool, AppWorker
from enfilade.process.app_process import AppProcess, spawn
from enfilade.process.app_rows import SLOTS, SlotRows
from enfilade.process.board import Board, BoardFull
from enfilade.process.channel import Channel
from enfilade.process.lifecycle import ending
from enfilade.process.plan import AppSpec
from enfilade.process.scale import Work
from enfilade.process.worker import Worker

log = logging.getLogger("enfilade.process")

LOOK = 1.0
"""Seconds between two looks at what the workers do."""


class Member(NamedTuple):
    pool: AppPool
    worker: AppWorker
    process: AppProcess


class Group:
    """The pools and the edges of one generation. `until`: it retires, and has this long. `drained`: its pools were told."""

    __slots__ = ("drained", "edges", "pools", "until")

    def __init__(self) -> None:
        self.pools: list[AppPool] = []
        self.edges: list[Worker] = []
        self.until: float | None = None
        self.drained = False

    def tick(self, now: float) -> None:
        if self.until is not None and not self.drained and (not self.edges or now >= self.until):
            self.drained = True
            for pool in self.pools:
                pool.drain(max(0.0, self.until - now), now)
        for pool in self.pools:
            pool.tick(now)

    @property
    def gone(self) -> bool:
        return self.drained and not self.edges and not any(pool.workers for pool in self.pools)


class Apps:
    """The `Host` of all pools."""

    def __init__(self, board: Board, selector: selectors.BaseSelector) -> None:
        self._board = board
        self._selector = selector
        self._groups: dict[int, Group] = {}
        self._members: dict[int, Member] = {}
        self._numbers = count(1)
        self._looked = time.monotonic()

    # -- generations

    def open(self, generation: int, specs: Sequence[AppSpec], now: float) -> None:
        """Start the applications of a generation. Raises OSError or BoardFull; whoever was started then is `retire`d."""
        group = self._groups[generation] = Group()
        group.pools = [AppPool(spec, generation, self) for spec in specs]
        for pool in group.pools:
            pool.open(now)

    def ready(self, generation: int) -> bool:
        return all(pool.ready for pool in self._groups[generation].pools)

    def failure(self, generation: int) -> str:
        """Why one of its applications cannot be started; "": none has failed."""
        return next((pool.failure for pool in self._groups[generation].pools if pool.failure), "")

    def replaced(self, generation: int) -> None:
        """Another generation has taken over."""
        for pool in self._groups[generation].pools:
            pool.replaced()

    def retire(self, generation: int, timeout: float, now: float) -> None:
        """Its edges go: drain when they are gone, or `timeout` is over. Again with a shorter one: hurry."""
        group = self._groups[generation]
        if group.until is None or now + timeout < group.until:
            group.until = now + timeout
            group.drained = False

    def retire_all(self, timeout: float, now: float) -> None:
        for generation in self._groups:
            self.retire(generation, timeout, now)

    def stop(self, now: float) -> None:
        """End at once."""
        for pool in self._all():
            pool.stop(now)

    # -- edges

    def edge_born(self, edge: Worker) -> None:
        """Link it with whoever serves in its generation."""
        group = self._groups[edge.generation]
        group.edges.append(edge)
        self._selector.register(edge.links, selectors.EVENT_READ, partial(self._hear_edge, edge))
        for pool in group.pools:
            for worker in pool.serving:
                self._link(pool, worker, edge)

    def edge_gone(self, edge: Worker) -> None:
        self._groups[edge.generation].edges.remove(edge)
        self._forget(edge.links)

    def _hear_edge(self, edge: Worker) -> None:
        try:
            messages = edge.links.receive()
        except EOFError:
            self._forget(edge.links)
            return
        for message, _ in messages:
            for pool in self._groups[edge.generation].pools:
                if pool.spec.name == message.get("wake"):
                    pool.wake(time.monotonic())

    # -- Host

    def start(self, pool: AppPool, now: float) -> AppWorker:
        spec = pool.spec
        slot = self._free_slot(spec.name)
        served = self._board.total(spec.rows.requests + slot)
        process = spawn(spec)
        rows = SlotRows(self._board.supervisor, spec.rows, slot, served)
        rows.born(process.pid, pool.generation)
        worker = AppWorker(next(self._numbers), slot, process, rows, now)
        member = self._members[process.pid] = Member(pool, worker, process)
        self._selector.register(process.channel, selectors.EVENT_READ, partial(self._hear, member))
        for pipe in process.pipes:
            self._selector.register(pipe, selectors.EVENT_READ, partial(self._read, pipe))
        if spec.purges is not None:
            process.send({"purges": True}, spec.purges.fd)
        process.send({"start": spec.start})
        return worker

    def serves(self, pool: AppPool, worker: AppWorker) -> None:
        for edge in self._groups[pool.generation].edges:
            self._link(pool, worker, edge)

    def leaves(self, pool: AppPool, worker: AppWorker) -> None:
        for edge in self._groups[pool.generation].edges:
            edge.tell({"leaving": worker.number})

    def failed(self, pool: AppPool, why: str) -> None:
        for edge in self._groups[pool.generation].edges:
            edge.tell({"failed": {"app": pool.spec.name, "why": why}})

    def _link(self, pool: AppPool, worker: AppWorker, edge: Worker) -> None:
        facts = {"app": pool.spec.name, "id": worker.number, "slot": worker.slot, "concurrency": worker.concurrency}
        try:
            ours, theirs = socket.socketpair()
        except OSError as error:
            log.error("the application %s: no link for %s: %s", pool.spec.name, worker, error)
            return
        with ours, theirs:
            if worker.process.send({"link": edge.pid}, theirs.fileno()):
                edge.tell({"worker": facts}, ours.fileno())

    def _free_slot(self, name: str) -> int:
        """One that no process of this application has, of any generation. Raises BoardFull."""
        taken = {member.worker.slot for member in self._members.values() if member.pool.spec.name == name}
        free = next((slot for slot in range(SLOTS) if slot not in taken), None)
        if free is None:
            raise BoardFull(f"no room for another process of the application {name}: {SLOTS} live")
        return free

    # -- processes

    def _hear(self, member: Member) -> None:
        try:
            messages = member.process.channel.receive()
        except EOFError:
            self._forget(member.process.channel)
            return
        for message, fd in messages:
            if fd is not None:
                os.close(fd)
            member.pool.heard(member.worker, message, time.monotonic())

    def _read(self, pipe: LogPipe) -> None:
        if not pipe.read():
            self._forget(pipe)

    def bury(self, pid: int, status: int, now: float) -> None:
        """A child ended, perhaps one of ours."""
        member = self._members.pop(pid, None)
        if member is None:
            return
        process = member.process
        if process.channel in self._selector.get_map():
            self._hear(member)  # why it failed
        self._forget(process.channel)
        for pipe in process.pipes:
            self._forget(pipe)
        process.close()
        member.worker.rows.gone()
        member.pool.buried(member.worker, ending(status), now, clean=status == 0)

    def _forget(self, source: Channel | LogPipe) -> None:
        if source in self._selector.get_map():
            self._selector.unregister(source)

    def close_in_child(self) -> None:
        """In a forked worker: close what belongs to the supervisor."""
        for member in self._members.values():
            member.process.close_in_child()

    def kill(self) -> None:
        """Leave no orphans."""
        for member in self._members.values():
            member.process.kill()
            os.waitpid(member.process.pid, 0)

    # -- time

    @property
    def alive(self) -> bool:
        return bool(self._members)

    def times(self) -> Iterator[float | None]:
        """When `tick` has something to do."""
        for pool in self._all():
            yield from pool.times()
        yield from (group.until for group in self._groups.values() if not group.drained)
        if self._members:
            yield self._looked + LOOK

    def tick(self, now: float) -> None:
        """Do what is due."""
        if now >= self._looked + LOOK:
            for pool in self._all():
                self._look(pool, now)
            self._looked = now
        for generation, group in list(self._groups.items()):
            group.tick(now)
            if group.gone:
                del self._groups[generation]

    def _look(self, pool: AppPool, now: float) -> None:
        rows = pool.spec.rows
        served = self._board.totals(rows.requests, SLOTS)
        by_slot = self._board.totals(rows.in_flight, SLOTS)
        in_flight = sum(by_slot[worker.slot] for worker in pool.workers)
        pool.look(Work(in_flight, self._board.total(rows.queue), sum(served)), served, now - self._looked, now)

    def _all(self) -> list[AppPool]:
        return [pool for group in self._groups.values() for pool in group.pools]
