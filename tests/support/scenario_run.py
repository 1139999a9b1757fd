"""Runs a scenario: its upstreams, a node, its clients."""

import contextlib
import socket
import threading
from pathlib import Path

import scenario as sc
from running_node import RunningNode, free_port
from scenario_peer import Events, NotMetError, Peer
from waiting import DEADLINE_S


class _Failures:
    """What went wrong, of every peer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.found: list[str] = []

    def play(self, who: str, peer: Peer, steps: tuple[sc.AnyStep, ...]) -> None:
        """Plays the steps of a peer and keeps its failure."""
        try:
            peer.play(steps)
        except NotMetError as error:
            self.add(f"{who}: {error}")

    def add(self, failure: str) -> None:
        """Keeps one."""
        with self._lock:
            self.found.append(failure)


class _Server:
    """An upstream of the scenario."""

    def __init__(self, name: str, spec: sc.Upstream, folder: Path) -> None:
        self.name = name
        self._spec = spec
        self._threads: list[threading.Thread] = []
        if spec.unix:
            path = folder / f"{name}.sock"
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.address = f"unix:{path}"
        else:
            self.listener = socket.socket()
            self.listener.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{self.listener.getsockname()[1]}"
        if spec.listens:
            self.listener.listen()

    def start(self, events: Events, failures: _Failures) -> None:
        """Serves in the background."""
        if self._spec.listens:
            threading.Thread(target=self._accept, args=(events, failures), daemon=True).start()

    def _accept(self, events: Events, failures: _Failures) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                sock, _ = self.listener.accept()
                number = len(self._threads) + 1
                if number > len(self._spec.connections):
                    failures.add(f"{self.name}: connection {number} was not expected")
                    sock.close()
                    continue
                steps = self._spec.connections[number - 1]
                who = f"{self.name}, connection {number}"
                thread = threading.Thread(
                    target=failures.play, args=(who, Peer(sock, events), steps), daemon=True
                )
                self._threads.append(thread)
                thread.start()

    def finish(self, failures: _Failures) -> None:
        """Waits until every connection played its steps; names those that never came."""
        for number, thread in enumerate(self._threads, 1):
            thread.join(DEADLINE_S)
            if thread.is_alive():
                failures.add(f"{self.name}, connection {number}: still playing")
        missing = len(self._spec.connections) - len(self._threads)
        if missing > self._spec.spare:
            failures.add(f"{self.name}: {missing} connections never came")

    def close(self) -> None:
        """Listens no more."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def run(scenario: sc.Scenario, folder: Path) -> list[str]:
    """Plays it against a node of its own; what went wrong, nothing when all was met."""
    events, failures = Events(), _Failures()
    servers = [_Server(name, spec, folder) for name, spec in scenario.upstreams.items()]
    port = free_port()
    addresses = {s.name: s.address for s in servers} | {"web": f"127.0.0.1:{port}"}
    try:
        with RunningNode(folder, scenario.config_text(addresses)).until_ready():
            for server in servers:
                server.start(events, failures)
            clients = [
                threading.Thread(
                    target=_client, args=(port, number, steps, events, failures), daemon=True
                )
                for number, steps in enumerate(scenario.clients, 1)
            ]
            for client in clients:
                client.start()
            for client in clients:
                client.join(DEADLINE_S * 2)
            for server in servers:
                server.finish(failures)
    finally:
        for server in servers:
            server.close()
    return failures.found


def _client(
    port: int, number: int, steps: tuple[sc.AnyStep, ...], events: Events, failures: _Failures
) -> None:
    sock = socket.create_connection(("127.0.0.1", port), DEADLINE_S)
    failures.play(f"client {number}", Peer(sock, events), steps)
