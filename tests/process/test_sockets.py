"""Listening sockets: addresses, slots, changes, and errors that name the cause."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from enfilade.config.units import address
from enfilade.process.sockets import UNSENT, BindError, ListenSpec, SocketStore, numbered


@pytest.fixture
def store() -> SocketStore:
    return SocketStore({})


def closing(store: SocketStore) -> None:
    store.commit([])


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        (":80", ListenSpec("http", "tcp", "", 80)),
        ("127.0.0.1:0", ListenSpec("http", "tcp", "127.0.0.1", 0)),
        ("[::1]:443", ListenSpec("http", "tcp", "::1", 443)),
        ("localhost:8000", ListenSpec("http", "tcp", "localhost", 8000)),
        ("unix:/run/e.sock", ListenSpec("http", "unix", "/run/e.sock")),
        ("unix:@e", ListenSpec("http", "unix", "@e")),
        ("fd:3", ListenSpec("http", "fd", "", 3)),
        ("systemd", ListenSpec("http", "systemd")),
        ("systemd:web", ListenSpec("http", "systemd", "web")),
    ],
)
def test_addresses_are_read_and_shown_alike(text: str, spec: ListenSpec) -> None:
    assert ListenSpec("http", *address(text)) == spec
    assert str(spec) == text


def test_every_slot_has_its_own_socket_on_the_same_port(store: SocketStore) -> None:
    spec = ListenSpec("http", *address("127.0.0.1:0"))
    store.prepare({spec: 3})
    store.commit([spec])
    found = [store.of_slot([spec], slot, 3)[spec] for slot in range(3)]
    assert [len(socks) for socks in found] == [1, 1, 1]
    assert len({socks[0].getsockname() for socks in found}) == 1
    assert all(not socks[0].getblocking() and not socks[0].get_inheritable() for socks in found)
    assert store.addresses()[spec] == [f"127.0.0.1:{found[0][0].getsockname()[1]}"]
    closing(store)


def test_the_kernel_keeps_little_for_a_client_that_reads_nothing(store: SocketStore) -> None:
    spec = ListenSpec("http", *address("127.0.0.1:0"))
    store.prepare({spec: 1})
    store.commit([spec])
    [listener] = store.of_slot([spec], 0, 1)[spec]
    listener.setblocking(True)
    listener.listen()
    with socket.create_connection(listener.getsockname()), listener.accept()[0] as accepted:
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT) == UNSENT
    closing(store)


def test_every_address_means_ipv4_and_ipv6_on_one_port(store: SocketStore) -> None:
    spec = ListenSpec("http", *address(":0"))
    store.prepare({spec: 1})
    socks = store.of_slot([spec], 0, 1)[spec]
    assert {sock.family for sock in socks} <= {socket.AF_INET, socket.AF_INET6}
    assert len({sock.getsockname()[1] for sock in socks}) == 1
    closing(store)


def test_two_free_ports_are_two_and_stay_the_same(store: SocketStore) -> None:
    http, https = ListenSpec("http", *address("127.0.0.1:0")), ListenSpec("https", *address("127.0.0.1:0"))
    store.prepare({http: 1, https: 1})
    store.commit([http, https])
    before = store.addresses()
    assert before[http] != before[https]
    store.prepare({http: 2, https: 2})
    store.commit([http, https])
    assert store.addresses() == before
    closing(store)


def test_equal_addresses_with_free_ports_are_found_again_by_their_place(store: SocketStore) -> None:
    spec, other = ListenSpec("streams.x", *address("127.0.0.1:0")), ListenSpec("streams.x", *address("127.0.0.1:1"))
    first, _, second = three = list(numbered([spec, other, spec]))
    assert [x.place for x in three] == [0, 0, 1] and first == spec and second != spec
    store.prepare({first: 1, second: 1})
    store.commit([first, second])
    before = store.addresses()
    assert before[first] != before[second]
    store.prepare({second: 2, first: 2})
    store.commit([second, first])
    assert store.addresses() == before
    store.prepare({first: 2})
    store.commit([first])
    assert store.addresses() == {first: before[first]}, "the last goes"
    closing(store)


def test_sockets_of_slots_that_went_are_shared_out(store: SocketStore) -> None:
    spec = ListenSpec("http", *address("127.0.0.1:0"))
    store.prepare({spec: 5})
    store.commit([spec])
    store.prepare({spec: 2})
    store.commit([spec])
    shares = [store.of_slot([spec], slot, 2)[spec] for slot in range(2)]
    assert [len(share) for share in shares] == [3, 2]
    assert len({sock.fileno() for share in shares for sock in share}) == 5
    closing(store)


def test_a_change_that_fails_leaves_everything_as_it_was(store: SocketStore) -> None:
    spec = ListenSpec("http", *address("127.0.0.1:0"))
    store.prepare({spec: 1})
    store.commit([spec])
    descriptors = os.listdir("/proc/self/fd")
    with pytest.raises(BindError):
        store.prepare(
            {
                spec: 4,
                ListenSpec("x", *address("127.0.0.1:0")): 4,
                ListenSpec("http", *address("unix:/nonexistent/s")): 4,
            }
        )
    assert os.listdir("/proc/self/fd") == descriptors
    assert len(store.of_slot([spec], 0, 1)[spec]) == 1
    closing(store)


def test_a_listener_keeps_its_socket_when_its_purpose_changes(store: SocketStore) -> None:
    http = ListenSpec("http", *address("127.0.0.1:0"))
    store.prepare({http: 1})
    port = store.of_slot([http], 0, 1)[http][0].getsockname()[1]
    store.commit([http])
    closing(store)
    http, https = ListenSpec("http", *address(f"127.0.0.1:{port}")), ListenSpec("https", *address(f"127.0.0.1:{port}"))
    store.prepare({http: 1})
    store.commit([http])
    kept = store.of_slot([http], 0, 1)[http]
    store.prepare({https: 1})
    store.commit([https])
    assert store.of_slot([https], 0, 1)[https] == kept
    assert store.addresses() == {https: [f"127.0.0.1:{port}"]} and list(store.bound()) == [https], "by its new purpose"
    closing(store)


def test_a_change_that_is_taken_back_leaves_the_purpose(store: SocketStore) -> None:
    path = f"@enfilade-{os.getpid()}"
    http, https = ListenSpec("http", "unix", path), ListenSpec("https", "unix", path)
    store.prepare({http: 1})
    store.commit([http])
    store.prepare({https: 1})
    store.roll_back()
    assert list(store.addresses()) == [http]
    closing(store)


def test_udp_has_a_socket_for_each_slot_beside_tcp_on_the_same_port(store: SocketStore) -> None:
    tcp = ListenSpec("http", *address("127.0.0.1:0"))
    store.prepare({tcp: 1})
    port = store.of_slot([tcp], 0, 1)[tcp][0].getsockname()[1]
    udp = ListenSpec("streams.dns", "udp", "127.0.0.1", port)
    store.prepare({tcp: 1, udp: 2})
    store.commit([tcp, udp])
    assert len(store.of_slot([tcp], 0, 1)[tcp]) == 1, "each has as many as it has workers"
    socks = [sock for slot in range(2) for sock in store.of_slot([udp], slot, 2)[udp]]
    assert [sock.type for sock in socks] == [socket.SOCK_DGRAM] * 2
    assert {sock.getsockname() for sock in socks} == {("127.0.0.1", port)}
    assert store.addresses()[udp] == [f"127.0.0.1:{port}"]
    closing(store)


def test_a_port_of_somebody_elses_udp_is_not_shared(store: SocketStore) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as theirs:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        theirs.bind(("127.0.0.1", 0))
        spec = ListenSpec("streams.dns", "udp", "127.0.0.1", theirs.getsockname()[1])
        with pytest.raises(BindError, match="another server listens there"):
            store.prepare({spec: 1})


def test_where_they_are_bound_is_told_for_both_families(store: SocketStore, tmp_path: Path) -> None:
    http, unix = ListenSpec("http", *address(":0")), ListenSpec("admin", *address(f"unix:{tmp_path}/s"))
    store.prepare({http: 2})
    port = store.of_slot([http], 0, 2)[http][0].getsockname()[1]
    udp = ListenSpec("streams.dns", "udp", "127.0.0.1", port)
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as both:
        inherited = ListenSpec("https", "fd", "", both.fileno())
        store.prepare({http: 2, unix: 2, udp: 2, inherited: 2})
        theirs = both.getsockname()[1]
        assert store.bound() == {
            http: [("tcp", "0.0.0.0", port), ("tcp", "::", port)],
            unix: [],
            udp: [("udp", "127.0.0.1", port)],
            inherited: [("tcp", "::", theirs), ("tcp", "0.0.0.0", theirs)],
        }
        closing(store)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("203.0.113.7:80", "cannot listen on 203.0.113.7:80 (http): this machine has no such address"),
        ("no.such.host.invalid:80", "no known name"),
        ("unix:/nonexistent/dir/s", "the directory does not exist"),
        ("fd:999", "descriptor 999 is not open"),
        ("systemd:web", "systemd passed no such socket"),
    ],
)
def test_an_error_names_address_and_cause(store: SocketStore, text: str, message: str) -> None:
    with pytest.raises(BindError) as caught:
        store.prepare({ListenSpec("http", *address(text)): 1})
    assert message in str(caught.value)


def test_a_descriptor_that_is_no_stream_socket_is_refused(store: SocketStore) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams, open(os.devnull) as file:
        with pytest.raises(BindError, match="not a TCP or Unix stream"):
            store.prepare({ListenSpec("http", "fd", "", datagrams.fileno()): 1})
        with pytest.raises(BindError, match="is not a socket"):
            store.prepare({ListenSpec("http", "fd", "", file.fileno()): 1})


def test_a_descriptor_of_systemd_that_is_not_open_is_said_to_be_so() -> None:
    store = SocketStore(
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1000", "LISTEN_FDNAMES": ":".join(["x"] * 999 + ["web"])}
    )
    with pytest.raises(BindError, match="descriptor 1002 is not open"):
        store.prepare({ListenSpec("http", "systemd", "web"): 1})


def test_sockets_for_another_process_are_not_taken() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "OTHER": "x"}
    with pytest.raises(BindError):
        SocketStore(environ).prepare({ListenSpec("http", *address("systemd")): 1})
    assert environ == {"OTHER": "x"}, "nor handed on to whoever we start"


# -- Unix


def test_a_unix_socket_has_its_mode_and_goes_with_its_listener(store: SocketStore, tmp_path: Path) -> None:
    spec = ListenSpec("http", "unix", str(tmp_path / "s"), mode=0o660)
    store.prepare({spec: 3})
    store.commit([spec])
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o660
    assert store.of_slot([spec], 0, 3) == store.of_slot([spec], 2, 3), "one for all"
    closing(store)
    assert not (tmp_path / "s").exists()


def test_who_may_connect_to_a_unix_socket_changes_with_its_purpose(store: SocketStore, tmp_path: Path) -> None:
    path = tmp_path / "s"
    http, admin = ListenSpec("http", "unix", str(path)), ListenSpec("admin", "unix", str(path), mode=0o600)
    store.prepare({http: 1})
    store.commit([http])
    store.prepare({admin: 1})
    assert stat.S_IMODE(path.stat().st_mode) == 0o666, "it may still be taken back"
    store.commit([admin])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    closing(store)
    assert not path.exists()


def test_a_stale_socket_file_is_replaced_a_live_one_is_not(store: SocketStore, tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    spec = ListenSpec("http", "unix", path)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        with pytest.raises(BindError, match="another server answers there"):
            store.prepare({spec: 1})
    store.prepare({spec: 1})  # its owner is dead now
    closing(store)


def test_a_file_that_is_no_socket_is_never_removed(store: SocketStore, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with pytest.raises(BindError, match="is not a socket"):
        store.prepare({ListenSpec("http", "unix", str(tmp_path / "s")): 1})
    assert (tmp_path / "s").read_text() == "precious"


def test_a_successors_socket_file_stays(store: SocketStore, tmp_path: Path) -> None:
    spec = ListenSpec("http", "unix", str(tmp_path / "s"))
    store.prepare({spec: 1})
    store.commit([spec])
    (tmp_path / "s").unlink()
    (tmp_path / "other").touch()
    (tmp_path / "s").touch()
    closing(store)
    assert (tmp_path / "s").exists()


def test_an_abstract_address_needs_no_file(store: SocketStore) -> None:
    spec = ListenSpec("http", "unix", f"@enfilade-{os.getpid()}")
    store.prepare({spec: 1})
    assert store.addresses()[spec] == [str(spec)]
    closing(store)
