"""Starting and ending what a run needs: the backend, a peer."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from machine import LOAD_CPU, PROXY_CPU, tree
from peers.base import Peer, Place, Processes, Setup
from peers.headgate import Headgate
from workdir import WORK, free_port

_START_S = 90.0


class PeerError(Exception):
    """A peer did not start, or ended."""


class RunningPeer:
    """A peer that serves."""

    def __init__(
        self, peer: Peer, setup: Setup, place: Place, process: subprocess.Popen[bytes]
    ) -> None:
        self.peer = peer
        self.setup = setup
        self.place = place
        self.process = process
        self.processes = Processes()
        self.beside: list[int] = []
        """Processes that work for it and are none of its own."""

    def look(self) -> Processes:
        """Finds (and pins) its processes anew."""
        self.processes = self.peer.processes(self.process.pid, self.place)
        return self.processes

    def log(self) -> str:
        """The end of what it wrote to standard error."""
        return (self.place.folder / "stderr").read_text(errors="replace")[-600:]


def command_prefix(*cpus: int) -> list[str]:
    """Puts a command on CPUs, before others where we may."""
    nice = ["nice", "-n", "-10"] if os.geteuid() == 0 else []
    return [*nice, "taskset", "-c", ",".join(str(cpu) for cpu in cpus)]


@contextlib.contextmanager
def backend() -> Iterator[tuple[int, int]]:
    """The upstream of everybody: (port, pid)."""
    port = free_port()
    process = subprocess.Popen([*command_prefix(LOAD_CPU), WORK / "backend", str(port)])
    try:
        until_open(port, process)
        yield port, process.pid
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def running(peer: Peer, setup: Setup, backend_port: int) -> Iterator[RunningPeer]:
    """The peer with that job, ready; ended afterwards. Raises PeerError."""
    folder = Path(tempfile.mkdtemp(prefix="hgb-"))  # short: Unix sockets are in it
    folder.chmod(0o755)
    pair = [WORK / f"{name}.pem" for name in ("cert", "key", "both")]
    place = Place(folder, free_port(), free_port(), backend_port, *pair, free_port())
    stores = setup.feature == "limit-across"
    with _store(place.store_port) if stores else contextlib.nullcontext([]) as beside:
        yield from _serving(peer, setup, place, beside)


@contextlib.contextmanager
def _store(port: int) -> Iterator[list[int]]:
    """A Redis that keeps nothing on disk, on the core of load and upstream."""
    options = ["--bind", "127.0.0.1", "--save", "", "--loglevel", "warning"]
    process = subprocess.Popen(
        [*command_prefix(LOAD_CPU), "redis-server", "--port", str(port), *options],
        stdout=subprocess.DEVNULL,
    )
    try:
        until_open(port, process)
        yield [process.pid]
    finally:
        process.kill()
        process.wait()


def _serving(peer: Peer, setup: Setup, place: Place, beside: list[int]) -> Iterator[RunningPeer]:
    folder = place.folder
    cpus = (PROXY_CPU, LOAD_CPU) if isinstance(peer, Headgate) else (PROXY_CPU,)
    with (folder / "stderr").open("wb") as errors:
        process = subprocess.Popen(
            [*command_prefix(*cpus), *peer.command(setup, place)],
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
    one = RunningPeer(peer, setup, place, process)
    one.beside = beside
    try:
        until_open(place.http_port, process, one)
        one.look()
        time.sleep(0.3)
        yield one
    finally:
        end(process)
        shutil.rmtree(folder, ignore_errors=True)


def until_open(
    port: int, process: subprocess.Popen[bytes], peer: RunningPeer | None = None
) -> None:
    """Returns once somebody listens. Raises PeerError."""
    limit = time.monotonic() + _START_S
    while time.monotonic() < limit:
        if process.poll() is not None:
            raise PeerError(f"ended with {process.returncode}: {peer.log() if peer else ''}")
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise PeerError(f"does not listen: {peer.log() if peer else ''}")


def end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process and its children, gently first."""
    children = tree(process.pid)
    for number, seconds in ((signal.SIGTERM, 0.5), (signal.SIGINT, 4), (signal.SIGKILL, 4)):
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
            break
    for pid in children[1:]:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
