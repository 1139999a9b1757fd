"""The driver with real processes, signals and sockets; the data plane is a small fake program."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ports import free_address
from resident import own_kib
from waiting import DEADLINE_S, until

from headgate.cli.run import compile_supervisor
from headgate.supervisor.holder import Place, listening_inodes

FAKE = Path(__file__).with_name("fake_data_plane.py")
RUN = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from headgate.supervisor.driver import Driver
from headgate.supervisor.listeners import Listeners
from headgate.supervisor.machine import Machine
from headgate.supervisor.state import Settings
state_dir, plane, control = sys.argv[2:]
machine = Machine(Settings(state_dir, [0], 2, run="abc"), bytes(32))
sys.exit(Driver(machine, Listeners(2), lambda: json.loads(plane), json.loads(control)).run())
"""


class Node:
    """A supervisor on a state directory of its own, and a client of its Unix socket."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir
        source = str(Path(__file__).parents[3] / "src")
        compile_supervisor(Path(source))  # as `headgate run` does
        plane = [sys.executable, str(FAKE), "3"]
        control = [sys.executable, "-c", "import signal; signal.pause()"]
        boot = [sys.executable, "-I", "-S", "-c", RUN, source]
        self.process = subprocess.Popen(
            [*boot, str(state_dir), json.dumps(plane), json.dumps(control)],
            stderr=subprocess.DEVNULL,
        )
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE_S)
        path = str(state_dir / "supervisor.sock")
        until(lambda: self.socket.connect_ex(path) == 0)
        self.lines = self.socket.makefile("rb")

    def ask(self, op: str, **fields: object) -> dict[str, object]:
        """The answer to a request; events that come before it are left out."""
        self.socket.sendall(json.dumps({"id": 9, "op": op, **fields}).encode() + b"\n")
        while True:
            message: dict[str, object] = json.loads(self.lines.readline())
            if "id" in message:
                return message

    def generation(self) -> int:
        """The generation of the data plane that is ready; 0 without one."""
        plane = self.ask("status")["dataplane"]
        return plane["generation"] if isinstance(plane, dict) else 0

    def plane_pid(self) -> int:
        """The pid of the data plane that is ready."""
        plane = self.ask("status")["dataplane"]
        assert isinstance(plane, dict)
        pid = plane["pid"]
        assert isinstance(pid, int)
        return pid


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    one = Node(tmp_path)
    yield one
    pid = one.process.pid
    is_over = one.process.poll() is not None
    children = "" if is_over else Path(f"/proc/{pid}/task/{pid}/children").read_text()
    one.process.kill()
    one.process.wait()
    for child in children.split():
        # The fakes do not notice by themselves that their supervisor is gone.
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(child), signal.SIGKILL)
    one.lines.close()
    one.socket.close()


@pytest.fixture
def address() -> str:
    return free_address()


def listeners_on(address: str) -> set[int]:
    host, _, port = address.rpartition(":")
    return listening_inodes(Place(False, host, int(port)))


def talk(address: str, text: bytes = b"hello") -> bytes:
    host, _, port = address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=DEADLINE_S) as connection:
        connection.sendall(text)
        return connection.recv(16)


def test_sockets_reach_the_data_plane_and_serve(node: Node, address: str) -> None:
    assert node.ask("listen", addresses=[address])["ok"] is True
    assert {talk(address) for _ in range(10)} == {b"1"}


def test_a_dead_data_plane_loses_no_connection_that_waits_to_be_accepted(
    node: Node, address: str
) -> None:
    node.ask("listen", addresses=[address])
    os.kill(node.plane_pid(), signal.SIGKILL)
    assert {talk(address) for _ in range(10)} == {b"2"}


def test_what_a_killed_data_plane_leaves_behind_is_removed(node: Node) -> None:
    until(lambda: node.generation() == 1)
    left = node.state_dir / "dp-abc-1.sock"
    left.touch()
    os.kill(node.plane_pid(), signal.SIGKILL)
    until(lambda: node.generation() == 2)
    assert not left.exists()


def test_a_data_plane_does_without_huge_pages(node: Node) -> None:
    until(lambda: node.generation() == 1)
    environment = Path(f"/proc/{node.plane_pid()}/environ").read_bytes().split(b"\0")
    assert b"MIMALLOC_ALLOW_THP=0" in environment


def test_upgrade_moves_the_sockets(node: Node, address: str) -> None:
    node.ask("listen", addresses=[address])
    assert node.ask("upgrade")["ok"] is True
    assert talk(address) == b"2"


def test_more_workers_get_more_sockets(node: Node, address: str) -> None:
    node.ask("listen", addresses=[address])
    node.ask("workers", count=5)
    until(lambda: node.generation() == 2)
    assert len(listeners_on(address)) == 5
    assert {talk(address) for _ in range(20)} == {b"2"}


def test_a_released_address_is_free(node: Node, address: str) -> None:
    node.ask("listen", addresses=[address])
    assert node.ask("release", addresses=[address])["ok"] is True
    with pytest.raises(ConnectionRefusedError):
        talk(address)


def test_a_busy_port_is_refused_and_its_holder_named(node: Node) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        busy = f"127.0.0.1:{holder.getsockname()[1]}"
        answer = node.ask("listen", addresses=[busy])
        errors = answer["errors"]
        assert isinstance(errors, list)
        error = errors[0]
        assert error["error"] == "address already in use"
        assert f"(pid {os.getpid()})" in error["holder"]


def test_sigterm_ends_everything(node: Node, address: str) -> None:
    node.ask("listen", addresses=[address])
    pid = node.plane_pid()
    node.process.terminate()
    assert node.process.wait(DEADLINE_S) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_sigusr2_upgrades(node: Node) -> None:
    until(lambda: node.generation() == 1)
    node.process.send_signal(signal.SIGUSR2)
    until(lambda: node.generation() == 2)


def test_the_supervisor_stays_under_12_mb(node: Node, address: str) -> None:
    node.ask("listen", addresses=[address])
    node.ask("upgrade")
    assert own_kib(node.process.pid) < 3_500_000 // 1024
