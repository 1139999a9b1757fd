"""The supervisor's small parts: places, quotas, notifications, sockets, secrets."""

import doctest
import json
import os
import pwd
import socket
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st
from peers import ROOT_ONLY
from ports import free_address, free_port

from headgate.supervisor import (
    children,
    cpus,
    holder,
    listeners,
    logs,
    notify,
    planes,
    statedir,
    tickets,
)
from headgate.supervisor.backoff import Backoff
from headgate.supervisor.channel import LineChannel, PacketChannel, decode, encode
from headgate.supervisor.state import Settings


@pytest.mark.parametrize("module", [cpus, holder, listeners, planes, statedir, tickets])
def test_examples_in_docstrings_hold(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_the_state_directory_is_systemds_where_there_is_one() -> None:
    environment = {"STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "HEADGATE_NODE": "edge"}
    assert statedir.resolve(None, None, environment, 1000) == "/var/lib/a/edge"
    assert statedir.resolve("/x", "other", environment, 1000) == "/x"


@pytest.mark.parametrize("name", ["../x", ".x", "A", "x" * 33, "a/b"])
def test_a_node_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(statedir.StateDirError):
        statedir.resolve(None, name, {}, 0)


def test_a_state_directory_too_long_for_sockets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(statedir.StateDirError, match="too long"):
        statedir.Lock(str(tmp_path / ("x" * 100)))


def test_one_lock_at_a_time_and_its_holder_is_named(tmp_path: Path) -> None:
    first = statedir.Lock(str(tmp_path))
    with pytest.raises(statedir.StateDirError, match=r"another node \(pid \d+\)"):
        statedir.Lock(str(tmp_path))
    del first


def test_open_addresses_are_remembered_and_rubbish_is_not_believed(tmp_path: Path) -> None:
    assert statedir.remembered(str(tmp_path)) == {}
    statedir.remember(str(tmp_path), {"127.0.0.1:80": 64})
    assert statedir.remembered(str(tmp_path)) == {"127.0.0.1:80": 64}
    (tmp_path / "listening.json").write_text('["x"]')
    assert statedir.remembered(str(tmp_path)) == {}


def test_the_least_quota_on_the_way_up_counts(tmp_path: Path) -> None:
    cgroup = tmp_path / "cgroup"
    cgroup.write_text("1:name=x:/\n0::/a/b\n")
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "cpu.max").write_text("max 100000\n")
    (tmp_path / "a" / "cpu.max").write_text("150000 100000\n")
    assert cpus.quota(str(cgroup), str(tmp_path)) == 1.5


def test_without_cgroups_there_is_no_quota(tmp_path: Path) -> None:
    assert cpus.quota(str(tmp_path / "none"), str(tmp_path)) is None


def test_systemd_receives_what_is_sent(tmp_path: Path) -> None:
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(path)
        notify.Notifier({"NOTIFY_SOCKET": path}).send("READY=1")
        assert manager.recv(64) == b"READY=1"
    notify.Notifier({"NOTIFY_SOCKET": path}).send("READY=1")  # nobody listens any more
    notify.Notifier({}).send("READY=1")


def test_half_the_watchdogs_time_is_taken() -> None:
    assert notify.watchdog_s({"WATCHDOG_USEC": "30000000"}) == 15.0
    assert notify.watchdog_s({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}) is None
    assert notify.watchdog_s({}) is None


@given(st.lists(st.floats(0.0, 60.0), max_size=40))
def test_waits_are_bounded_and_never_shrink_without_a_calm_life(lives: list[float]) -> None:
    backoff, now, before = Backoff(0.1, 5.0, 10.0), 0.0, 0.0
    for life in lives:
        begun = now
        backoff.started(now)
        now += life
        wait = backoff.died(now)
        calm = now - begun >= 10.0  # a sum of floats may be a little less than its parts
        assert wait == 0.0 if calm else before <= wait <= 5.0
        before = wait
        now += wait


def test_a_ratcheted_secret_says_nothing_of_the_one_before() -> None:
    secrets = tickets.TicketSecrets(bytes(32))
    seen = {secrets.hex()[0]}
    for _ in range(50):
        current = secrets.hex()[0]
        secrets.advance()
        assert secrets.hex()[1] == current
        assert secrets.hex()[0] not in seen
        seen.add(secrets.hex()[0])


def test_ipv4_and_ipv6_of_one_port_are_two_listeners() -> None:
    port = free_port()
    ours = listeners.Listeners(2)
    both = (f"127.0.0.1:{port}", f"[::1]:{port}")
    assert ours.open(both, 16) == ()
    assert [len(ours.descriptors(address)) for address in both] == [2, 2]
    for address in both:
        ours.close(address)


def test_a_wildcard_may_take_over_from_our_own_address() -> None:
    port = free_port()
    ours = listeners.Listeners(1)
    assert ours.open((f"127.0.0.1:{port}",), 16) == ()
    assert ours.open((f"0.0.0.0:{port}",), 16) == ()
    ours.close(f"127.0.0.1:{port}")
    ours.close(f"0.0.0.0:{port}")


def test_all_addresses_are_opened_or_none() -> None:
    ours = listeners.Listeners(1)
    errors = ours.open(("127.0.0.1:0", "192.0.2.1:80", "nonsense"), 16)
    assert [error.address for error in errors] == ["192.0.2.1:80", "nonsense"]
    assert "does not have the address" in errors[0].error
    assert ours.addresses() == []


def test_packets_keep_their_descriptors_when_the_buffer_is_full() -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = PacketChannel(left)
    with socket.socket() as extra:
        while not channel.wants_to_write:
            channel.send({"op": "x" * 1000}, [extra.fileno()])
        received = 0
        while channel.wants_to_write:
            _, fds, _, _ = socket.recv_fds(right, 4096, 4)
            received += 1
            for fd in fds:
                socket.close(fd)
            assert len(fds) == 1
            channel.flush()
    assert received > 0
    channel.close()
    right.close()


def test_a_socket_that_is_given_away_is_closed_once_it_has_left() -> None:
    left, right = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    channel = PacketChannel(left)
    gone, kept = socket.socket(), socket.socket()
    channel.give({"op": "handoff"}, gone)
    packet, fds, _, _ = socket.recv_fds(right, 4096, 4)
    assert (decode(packet), len(fds), gone.fileno()) == ({"op": "handoff"}, 1, -1)
    socket.close(fds[0])
    while not channel.wants_to_write:
        channel.send({"op": "x" * 1000})
    channel.give({"op": "handoff"}, kept)
    assert kept.fileno() >= 0
    channel.close()
    assert kept.fileno() == -1
    right.close()


def test_a_line_may_come_in_pieces_and_rubbish_hangs_up() -> None:
    left, right = socket.socketpair()
    channel = LineChannel(left)
    right.sendall(b'{"id":1,')
    assert channel.receive() == []
    right.sendall(b'"op":"x"}\n{"id":2}\n')
    assert channel.receive() == [{"id": 1, "op": "x"}, {"id": 2}]
    right.sendall(b"[]\n")
    assert channel.receive() is None
    channel.close()
    right.close()


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.booleans()))
def test_a_message_survives_the_wire(message: dict[str, object]) -> None:
    raw = encode(message)
    assert b"\n" not in raw
    assert decode(raw) == message


def test_the_extension_is_found_by_its_file(tmp_path: Path) -> None:
    with pytest.raises(children.ExtensionMissingError):
        children.extension_path(str(tmp_path))
    (tmp_path / "_core").mkdir()
    (tmp_path / "_core" / "_core.pyi").touch()
    (tmp_path / "_core" / "_core.abi3.so").touch()
    assert children.extension_path(str(tmp_path)).endswith("/_core/_core.abi3.so")


def test_a_log_that_nobody_reads_does_not_stop_us() -> None:
    read_end, write_end = os.pipe()
    saved = os.dup(2)
    os.dup2(write_end, 2)
    try:
        for _ in range(200):
            logs.write("error", "full", {"text": "x" * 1000})  # more than a pipe holds
    finally:
        os.dup2(saved, 2)
        for fd in (read_end, write_end, saved):
            os.close(fd)


def test_lines_below_the_level_are_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    logs.set_level("warn")
    logs.write("info", "quiet", {})
    logs.set_level("info")
    logs.write("info", "loud", {"a": 1})
    assert [json.loads(line)["event"] for line in capfd.readouterr().err.splitlines()] == ["loud"]


def test_two_runs_never_name_a_socket_alike() -> None:
    one, other = (Settings("/state", [0], 1, run=run) for run in ("a1", "b2"))
    assert one.grpc_socket(1) == "/state/dp-a1-1.sock"
    assert {one.grpc_socket(n) for n in (1, 2)}.isdisjoint(other.grpc_socket(n) for n in (1, 2))


def test_the_owner_of_a_listener_is_known_to_everybody() -> None:
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        name = pwd.getpwuid(os.geteuid()).pw_name
        assert holder.owner(holder.Place(False, "127.0.0.1", port)) == f"a process of {name}"
    assert holder.owner(holder.Place(False, "127.0.0.1", port)) == ""


def test_a_process_that_a_debugger_holds_is_known(tmp_path: Path) -> None:
    (tmp_path / "5").mkdir()
    assert not children.is_traced(5, str(tmp_path))
    for tracer, expected in (("0", False), ("77", True)):
        (tmp_path / "5/status").write_text(f"Name:\tx\nTracerPid:\t{tracer}\n")
        assert children.is_traced(5, str(tmp_path)) is expected


@ROOT_ONLY  # newer kernels want CAP_NET_ADMIN for the filter
def test_an_address_that_refuses_new_connections_keeps_those_that_wait() -> None:
    address = free_address()
    host, _, port = address.rpartition(":")
    ours = listeners.Listeners(1)
    assert ours.open((address,), 8) == ()
    with socket.create_connection((host, int(port))):
        ours.refuse_new(address)
        (listening,) = ours.descriptors(address)
        with socket.socket(fileno=os.dup(listening)) as again, socket.socket() as late:
            late.settimeout(0.3)
            with pytest.raises(TimeoutError):
                late.connect((host, int(port)))
            again.accept()[0].close()
    ours.close(address)
