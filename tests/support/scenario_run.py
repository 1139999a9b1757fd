"""Runs scenarios: their upstreams, one node for all of them, their clients."""

import contextlib
import socket
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Self

import scenario as sc
from nginx_engine import NginxEngine, NotRenderedError
from ports import free_port, free_ports
from running_node import RunningNode
from scenario_peer import STEP_S, Events, NotMetError, Peer

#: How long the rest of a scenario may go on that has failed: what upstreams saw says why.
FAILED_S = 1.0

Connect = Callable[[], socket.socket]
Steps = tuple[sc.AnyStep, ...]


class _Failures:
    """What went wrong, of every peer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.found: list[str] = []

    def play(self, who: str, connect: Connect, events: Events, steps: Steps) -> None:
        """Plays the steps of a peer and keeps its failure, whatever it is: one that only ended
        this thread would be none of the scenario's."""
        try:
            Peer(connect(), events).play(steps)
        except NotMetError as error:
            self.add(f"{who}: {error}")
        except Exception as error:
            self.add(f"{who}: {error!r}")

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
        self._came = threading.Condition()
        if spec.unix:
            path = folder / f"{name}.sock"
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.address = f"unix:{path}"
        else:
            port = free_port()
            self.listener = socket.socket()
            self.listener.bind(("127.0.0.1", port))
            self.address = f"127.0.0.1:{port}"
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
                    target=failures.play,
                    args=(who, partial(_same, sock), events, steps),
                    daemon=True,
                )
                with self._came:  # listed and started as one: what is listed is joined
                    self._threads.append(thread)
                    thread.start()
                    self._came.notify()

    def finish(self, failures: _Failures) -> None:
        """Waits until every connection played its steps; names those that never came."""
        wanted = len(self._spec.connections) - self._spec.spare
        patience_s = FAILED_S if failures.found else STEP_S
        with self._came:
            if not self._came.wait_for(lambda: len(self._threads) >= wanted, patience_s):
                failures.add(f"{self.name}: {len(self._threads)} of {wanted} connections came")
            threads = list(self._threads)
        for number, thread in enumerate(threads, 1):
            thread.join(patience_s)
            if thread.is_alive():
                failures.add(f"{self.name}, connection {number}: still playing")

    def close(self) -> None:
        """Listens no more."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class BareStage:
    """The upstreams and clients of scenarios, around whatever serves them on `ports`."""

    def __init__(self, scenarios: dict[str, sc.Scenario], folder: Path) -> None:
        self._scenarios = scenarios
        self._servers = {
            name: [_Server(f"{name}.{u}", spec, folder) for u, spec in s.upstreams.items()]
            for name, s in scenarios.items()
        }
        self.ports = dict(zip(scenarios, free_ports(len(scenarios)), strict=True))
        self._text = sc.NODE + "".join(self._config_part(name) for name in scenarios)

    def _config_part(self, name: str) -> str:
        addresses = {s.name.split(".")[-1]: s.address for s in self._servers[name]}
        web = f"127.0.0.1:{self.ports[name]}"
        return self._scenarios[name].config_part(name, web, addresses)

    def _close(self) -> None:
        for server in (s for servers in self._servers.values() for s in servers):
            server.close()

    def run(self, name: str) -> list[str]:
        """Plays a scenario; what went wrong, nothing when all was met."""
        events, failures = Events(), _Failures()
        for server in self._servers[name]:
            server.start(events, failures)
        clients = [
            threading.Thread(
                target=failures.play,
                args=(f"client {number}", partial(_connected, self.ports[name]), events, steps),
                daemon=True,
            )
            for number, steps in enumerate(self._scenarios[name].clients, 1)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        for server in self._servers[name]:
            server.finish(failures)
        return failures.found


class Stage(BareStage):
    """One node that serves every given scenario; use as a context manager."""

    def __init__(self, scenarios: dict[str, sc.Scenario], folder: Path) -> None:
        """`scenarios` by a name that may stand in a config."""
        super().__init__(scenarios, folder)
        self._node = RunningNode(folder, self._text)

    def __enter__(self) -> Self:
        self._node.__enter__()
        self._node.until_ready()
        return self

    def __exit__(self, *error: object) -> None:
        self._close()
        self._node.__exit__(*error)


class NginxStage(BareStage):
    """An nginx for one scenario: a config that it cannot express spoils no other's."""

    def __init__(self, name: str, scenario: sc.Scenario, folder: Path) -> None:
        super().__init__({name: scenario}, folder)
        self._name = name
        self._folder = folder

    def play(self) -> list[str]:
        """Plays the scenario; what went wrong, also that the config was refused."""
        config = self._folder / "headgate.toml"
        config.write_text(self._text)
        try:
            with NginxEngine(config, self._folder):
                return self.run(self._name)
        except NotRenderedError as refused:
            return [str(refused)]
        finally:
            self._close()


def _same(sock: socket.socket) -> socket.socket:
    return sock


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), STEP_S)
