"""Listening sockets: made by the supervisor, kept for as long as any configuration wants them.

A TCP or UDP listener has one SO_REUSEPORT socket for each worker slot, so that the kernel spreads the clients. A slot's socket
outlives its worker: closing it would reset the connections in its queue. When there are fewer workers than before, the
spare slots' sockets go to the remaining ones. Unix and inherited sockets are one for all.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import suppress
from typing import Literal, NamedTuple

_LISTEN_FDS_START = 3  # sd_listen_fds(3)
_TYPES = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
UNSENT = 256 * 1024
"""Bytes that the kernel takes from us for a client that does not take them. Without this they are 4 MB, and who asks for large
answers and reads none of them makes us copy as much for each connection (inherited from the listening socket: tcp(7))."""
_TRIES = 10  # a port that is free in IPv4 may be taken in IPv6


class BindError(Exception):
    """A listener cannot be had. The text names the address, the reason and the usual cause."""


class ListenSpec(NamedTuple):
    """Where to listen. `name` says what for ("http", "https", "admin").

    tcp, udp: `host` ("": every address, IPv4 and IPv6) and `port` (0: a free one, taken once).
    unix: `host` is the path ("@name": abstract).
    fd: `port` is a descriptor that we inherited. systemd: those called `host` in LISTEN_FDNAMES, or all ("").
    `place`: how many stand in front that are otherwise equal (see `numbered`).
    """

    name: str
    kind: Literal["tcp", "udp", "unix", "fd", "systemd"]
    host: str = ""
    port: int = 0
    mode: int = 0o666
    """unix: permissions of the socket file. The directory's permissions are the better fence."""
    place: int = 0

    def __str__(self) -> str:
        if self.kind in _TYPES:
            return f"{_bracket(self.host)}:{self.port}"
        if self.kind == "fd":
            return f"fd:{self.port}"
        return f"{self.kind}:{self.host}" if self.host else self.kind


def numbered(specs: Iterable[ListenSpec]) -> Iterator[ListenSpec]:
    """Two that ask for a free port at the same address are two, and each is found again after a reload: by its place."""
    before: Counter[ListenSpec] = Counter()
    for spec in specs:
        yield spec._replace(place=before[spec])
        before[spec] += 1


Bound = Mapping[ListenSpec, Sequence[tuple[str, str, int]]]
"""Where listeners listen: "tcp" or "udp", address, port."""


class _Listener:
    """The sockets of one ListenSpec, by slot; one slot if they are `shared`."""

    def __init__(self, spec: ListenSpec, slots: list[list[socket.socket]], shared: bool) -> None:
        self.spec = spec
        self.slots = slots
        self.shared = shared
        self.inode = _inode(spec.host) if _is_file(spec) else None

    def of_slot(self, slot: int, workers: int) -> list[socket.socket]:
        if self.shared:
            return self.slots[0]
        return [sock for mine in self.slots[slot::workers] for sock in mine]

    def become(self, spec: ListenSpec) -> None:
        """The same address is for `spec` now."""
        if spec.mode != self.spec.mode and self._is_there:
            os.chmod(spec.host, spec.mode)
        self.spec = spec

    def close(self) -> None:
        if self._is_there:
            os.unlink(self.spec.host)
        _close(self.slots)

    @property
    def _is_there(self) -> bool:
        """There is a file, and it is ours."""
        return self.inode is not None and self.inode == _inode(self.spec.host)


class SocketStore:
    """Every listening socket of the supervisor. A change is `prepare`, then `commit` or `roll_back`."""

    def __init__(self, environ: MutableMapping[str, str] | None = None) -> None:
        self._listeners: dict[tuple[object, ...], _Listener] = {}
        self._fresh: list[_Listener] = []
        self._grown: list[tuple[_Listener, int]] = []
        self._inherited = _take_systemd(os.environ if environ is None else environ)

    def prepare(self, workers_of: Mapping[ListenSpec, int]) -> None:
        """Bind what is missing for so many workers of each listener. Raises BindError, and leaves nothing changed then."""
        try:
            for spec, workers in workers_of.items():
                self._prepare(spec, workers)
        except BindError:
            self.roll_back()
            raise

    def _prepare(self, spec: ListenSpec, workers: int) -> None:
        listener = self._listeners.get(_key(spec))
        if listener is None:
            listener = self._open(spec)
            self._listeners[_key(spec)] = listener
            self._fresh.append(listener)
        if not listener.shared and len(listener.slots) < workers:
            self._grown.append((listener, len(listener.slots)))
            addresses = [(sock.family, sock.getsockname()) for sock in listener.slots[0]]
            while len(listener.slots) < workers:
                listener.slots.append([_bind(spec, family, address) for family, address in addresses])

    def _open(self, spec: ListenSpec) -> _Listener:
        if spec.kind in _TYPES:
            return _Listener(spec, [_open_ip(spec)], shared=False)
        if spec.kind == "unix":
            return _Listener(spec, [[_open_unix(spec)]], shared=True)
        return _Listener(spec, [self._inherit(spec)], shared=True)

    def _inherit(self, spec: ListenSpec) -> list[socket.socket]:
        if spec.kind == "fd":
            found = [spec.port]
        else:
            found = [fd for name, fd in self._inherited if spec.host in ("", name)]
            if not found:
                raise BindError(f"cannot listen on {spec} ({spec.name}): systemd passed no such socket (LISTEN_FDS)")
        return [_adopt(spec, fd) for fd in found]

    def commit(self, specs: Iterable[ListenSpec]) -> None:
        """`specs` are what counts now: close our copies of all others. The workers that still hold them close the last ones."""
        wanted = {_key(spec): spec for spec in specs}
        for key in self._listeners.keys() - wanted.keys():
            self._listeners.pop(key).close()
        for key, listener in self._listeners.items():
            listener.become(wanted[key])
        self._fresh, self._grown = [], []

    def roll_back(self) -> None:
        """Close our copies of what the last `prepare` bound."""
        for listener, size in self._grown:
            _close(listener.slots[size:])
            del listener.slots[size:]
        for listener in self._fresh:
            self._listeners.pop(_key(listener.spec)).close()
        self._fresh, self._grown = [], []

    def of_slot(self, specs: Iterable[ListenSpec], slot: int, workers: int) -> dict[ListenSpec, list[socket.socket]]:
        """What the worker in `slot` of a crew of `workers` accepts on."""
        return {spec: self._listeners[_key(spec)].of_slot(slot, workers) for spec in specs}

    def keep_only(self, mine: Mapping[ListenSpec, Sequence[socket.socket]]) -> None:
        """In the worker: close what belongs to others, without unlinking anything."""
        kept = {sock.fileno() for socks in mine.values() for sock in socks}
        for listener in self._listeners.values():
            _close([[sock for sock in slot if sock.fileno() not in kept] for slot in listener.slots])

    def addresses(self) -> dict[ListenSpec, list[str]]:
        """Where we really listen, as a user would type it."""
        return {x.spec: [_show(sock) for sock in x.slots[0]] for x in self._listeners.values()}

    def bound(self) -> Bound:
        """The same for machines; nowhere for Unix sockets."""
        return {x.spec: [door for sock in x.slots[0] for door in _doors(sock)] for x in self._listeners.values()}


def _key(spec: ListenSpec) -> tuple[object, ...]:
    """By address, so that a listener can change its purpose; two that ask for a free port are two."""
    free = spec.kind in _TYPES and spec.port == 0
    return (spec.kind, spec.host, spec.port, spec.name if free else "", spec.place)


# -- TCP and UDP


def _open_ip(spec: ListenSpec) -> list[socket.socket]:
    for left in reversed(range(_TRIES)):
        opened: list[socket.socket] = []
        port = spec.port
        try:
            for family, host in _resolve(spec):
                _open_family(spec, family, (host, port), opened)
                port = opened[0].getsockname()[1] if opened else port
        except BindError:
            _close([opened])
            if spec.port or not left:
                raise
        else:
            if opened:
                return opened
    raise BindError(f"cannot listen on {spec} ({spec.name}): this machine has no such address")


def _open_family(spec: ListenSpec, family: int, address: tuple[str, int], opened: list[socket.socket]) -> None:
    try:
        # SO_REUSEPORT would let us share a port with a stranger's (or our own older) server without a word: ask first.
        probe = _new(spec, family)
        with probe:
            probe.bind(address)
            address = probe.getsockname()[:2]
    except OSError as error:
        if opened and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            return  # a machine without IPv6
        raise _explain(spec, error, f"{_bracket(address[0])}:{address[1]}") from error
    opened.append(_bind(spec, family, address))


def _resolve(spec: ListenSpec) -> list[tuple[int, str]]:
    if not spec.host:
        return [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")]
    try:
        # As bytes: for a text, Python would import the tables of international names first.
        host = spec.host.encode() if spec.host.isascii() else spec.host
        found = socket.getaddrinfo(host, spec.port, type=_TYPES[spec.kind], flags=socket.AI_PASSIVE)
    except OSError as error:
        raise BindError(
            f"cannot listen on {spec} ({spec.name}): {spec.host!r} is no address and no known name"
        ) from error
    return list(dict.fromkeys((family, str(address[0])) for family, _, _, _, address in found))


def _new(spec: ListenSpec, family: int) -> socket.socket:
    sock = socket.socket(family, _TYPES[spec.kind])
    if spec.kind == "tcp":  # for UDP it would let others share the port
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return sock


def _bind(spec: ListenSpec, family: int, address: tuple[str, int]) -> socket.socket:
    sock = _new(spec, family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(address)
    except OSError as error:
        sock.close()
        raise _explain(spec, error, f"{_bracket(address[0])}:{address[1]}") from error
    sock.setblocking(False)
    return sock


# -- Unix


def _open_unix(spec: ListenSpec) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if _is_file(spec):
            _remove_stale(spec)
            mask = os.umask(0o177)  # nobody gets in before the mode is what was asked for
            try:
                sock.bind(spec.host)
            finally:
                os.umask(mask)
            os.chmod(spec.host, spec.mode)
        else:
            sock.bind("\0" + spec.host[1:])
    except OSError as error:
        sock.close()
        raise _explain(spec, error, str(spec)) from error
    except BindError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _remove_stale(spec: ListenSpec) -> None:
    """A socket file that nobody answers on was left behind by a server that was killed."""
    try:
        if not stat.S_ISSOCK(os.stat(spec.host).st_mode):
            raise BindError(f"cannot listen on {spec} ({spec.name}): {spec.host} exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(spec.host)
        except ConnectionRefusedError:
            os.unlink(spec.host)
            return
        except BlockingIOError:  # its queue is full: somebody is there
            pass
    raise BindError(f"cannot listen on {spec} ({spec.name}): another server answers there")


def _is_file(spec: ListenSpec) -> bool:
    return spec.kind == "unix" and not spec.host.startswith("@")


def _inode(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


# -- inherited


def _take_systemd(environ: MutableMapping[str, str]) -> list[tuple[str, int]]:
    """Name and descriptor of each socket that was passed to us, and not to whoever comes after: sd_listen_fds(3)."""
    pid, count, names = (environ.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal():
        return []
    found = range(_LISTEN_FDS_START, _LISTEN_FDS_START + int(count))
    for fd in found:
        with suppress(OSError):  # one that is not open is said to be so when it is used
            os.set_inheritable(fd, False)
    labels = names.split(":") if names else []
    return [(labels[i] if i < len(labels) else "unknown", fd) for i, fd in enumerate(found)]


def _adopt(spec: ListenSpec, fd: int) -> socket.socket:
    """Our own copy: the inherited descriptor stays open, as a later configuration may want it again."""
    try:
        copy = os.dup(fd)
    except OSError as error:
        raise BindError(f"cannot listen on {spec} ({spec.name}): descriptor {fd} is not open") from error
    try:
        sock = socket.socket(fileno=copy)
    except OSError as error:
        os.close(copy)
        raise BindError(f"cannot listen on {spec} ({spec.name}): descriptor {fd} is not a socket") from error
    if sock.type != socket.SOCK_STREAM or sock.family not in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
        sock.close()
        raise BindError(f"cannot listen on {spec} ({spec.name}): descriptor {fd} is not a TCP or Unix stream socket")
    sock.setblocking(False)
    return sock


# -- words


_CAUSES = {
    errno.EADDRINUSE: "another server listens there",
    errno.EACCES: "permission denied (ports below 1024 need root, CAP_NET_BIND_SERVICE, or a socket from systemd)",
    errno.EADDRNOTAVAIL: "this machine has no such address",
    errno.ENOENT: "the directory does not exist",
}
_UNIX_CAUSES = {**_CAUSES, errno.EACCES: "permission denied (the directory is not writable for this user)"}


def _explain(spec: ListenSpec, error: OSError, address: str) -> BindError:
    causes = _UNIX_CAUSES if spec.kind == "unix" else _CAUSES
    cause = causes.get(error.errno or 0, error.strerror or str(error))
    return BindError(f"cannot listen on {address} ({spec.name}): {cause}")


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _show(sock: socket.socket) -> str:
    address = sock.getsockname()
    if sock.family == socket.AF_UNIX:
        path = address.decode() if isinstance(address, bytes) else address
        return "unix:" + path.replace("\0", "@", 1)
    return f"{_bracket(address[0])}:{address[1]}"


def _doors(sock: socket.socket) -> Iterator[tuple[str, str, int]]:
    if sock.family == socket.AF_UNIX:
        return
    protocol = "udp" if sock.type == socket.SOCK_DGRAM else "tcp"
    host, port = sock.getsockname()[:2]
    yield protocol, host.partition("%")[0], port
    # An inherited one may be for both families.
    if host == "::" and not sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY):
        yield protocol, "0.0.0.0", port


def _close(slots: Iterable[Iterable[socket.socket]]) -> None:
    for slot in slots:
        for sock in slot:
            sock.close()
