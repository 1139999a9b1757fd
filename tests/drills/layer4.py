"""Change and failure under pgbench and a load of datagrams: what is lost, and whose it was.

    python tests/drills/layer4.py               five turns of each kind
    python tests/drills/layer4.py --turns 1

A node passes TCP and UDP on to two endpoints with one PostgreSQL behind them. Each turn is a run of
pgbench with 8 clients and 40 clients of UDP that ask and wait, while the config is reloaded ten
times a second. In its midst an endpoint is killed and revived, or `headgate upgrade` replaces the
data plane, or nothing else happens. Prints what each turn lost; the exit code is 1 if anything was
lost that was not at a killed endpoint, if a reload failed, or if an endpoint that lives saw a
client come from another port of the node, in an upgrade, too.
"""

import argparse
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import drill_parts
from peers import peer
from ports import free_port
from postgres import Postgres
from running_node import RunningNode
from waiting import stretch, until

from headgate.cli import calls

CLIENTS = 8
FLOWS = 40
TURN_S = 6
LATE_S = 30
PROGRAM = drill_parts.HERE / "layer4_endpoint.py"
KINDS = ("reloads", "killed", "upgrade")

_CONFIG = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "10s", deadline = "60s" }}

[listeners.tcp]
address = "127.0.0.1:{port}"
protocol = "tcp"

[listeners.udp]
address = "127.0.0.1:{port}"
protocol = "udp"

[tcp_routes.database]
listeners = "tcp"
upstream = "database"
timeouts = {{ idle = "{minutes}m" }}

[udp_routes.echo]
listeners = "udp"
upstream = "echo"
timeouts = {{ idle = "{minutes}m" }}

[upstreams.database]
endpoints = [{endpoints}]

[upstreams.echo]
endpoints = [{endpoints}]
"""


class Endpoint:
    """An endpoint in a process of its own, on one port for its whole life."""

    def __init__(self, database: str) -> None:
        self.port = free_port()
        self._command = [sys.executable, str(PROGRAM), str(self.port), database]
        self._process: subprocess.Popen[bytes]
        self.revive()

    def revive(self) -> None:
        """Starts it; returns once it listens."""
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        until(self._is_open, "the endpoint listens")

    def kill(self) -> None:
        """Ends it with SIGKILL."""
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def _is_open(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@dataclass
class Flow:
    """A client of UDP: what it was answered."""

    socket: socket.socket
    via: tuple[bytes, bytes] = (b"", b"")
    """The endpoint's port, and the one that the node has towards it."""
    answers: int = 0
    unanswered: dict[bytes, bytes] = field(default_factory=dict)
    """The endpoint that a datagram without an answer was meant for, by its number."""
    moved: int = 0
    """How often the endpoint saw another port or the flow had another endpoint."""

    def ask(self, number: int) -> None:
        """Sends a datagram, and waits for its answer for half a second."""
        asked = b"%d" % number
        self.socket.send(asked)
        self.unanswered[asked] = self.via[0]
        self.hear(0.5, {asked})

    def hear(self, seconds: float, wanted: Collection[bytes]) -> None:
        """Takes answers, late ones too, until those that are wanted came or the time is over."""
        deadline = time.monotonic() + seconds
        while not self.unanswered.keys().isdisjoint(wanted):
            left = deadline - time.monotonic()
            if left <= 0:
                return
            self.socket.settimeout(left)
            try:
                endpoint, port, data = self.socket.recv(1_000).split(b" ")
            except TimeoutError:
                return
            if self.unanswered.pop(data, None) is None:
                continue
            self.answers += 1
            self.moved += self.via not in {(b"", b""), (endpoint, port)}
            self.via = (endpoint, port)


@contextmanager
def asking(port: int, killed: int) -> Iterator[list[Flow]]:
    """Clients that ask one after the other, until the block ends. `killed`: the port of the
    endpoint that will be killed; 0 = none."""
    flows = [Flow(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(FLOWS)]
    for flow in flows:
        flow.socket.connect(("127.0.0.1", port))
    stop = threading.Event()

    def ask(some: list[Flow]) -> None:
        number = 0
        while not stop.is_set():
            for flow in some:
                number += 1
                flow.ask(number)

    threads = [threading.Thread(target=ask, args=(flows[at::4],)) for at in range(4)]
    for one in threads:
        one.start()
    try:
        until(lambda: all(flow.answers > 2 for flow in flows), "every flow is answered")
        yield flows
    finally:
        stop.set()
        for one in threads:
            one.join()
        # On a busy machine an endpoint answers later than a client waits; that is not a loss.
        deadline = time.monotonic() + LATE_S * stretch()
        for flow in flows:
            dead = b"%d" % killed
            due = [one for one, endpoint in flow.unanswered.items() if endpoint != dead]
            flow.hear(max(deadline - time.monotonic(), 0.01), due)
            flow.socket.close()


@contextmanager
def reloading(node: RunningNode, text: str) -> Iterator[list[int]]:
    """Reloads ten times a second, each time another config; yields the statuses."""
    statuses: list[int] = []
    stop = threading.Event()

    def reload() -> None:
        while not stop.wait(0.1):
            node.write(text.replace('"9m"', f'"{10 + len(statuses) % 7}m"'))
            try:
                statuses.append(node.admin("POST", "/reload")[0])
            except calls.NoNodeError:
                statuses.append(0)  # an upgrade replaces the control process, too

    thread = threading.Thread(target=reload)
    thread.start()
    try:
        yield statuses
    finally:
        stop.set()
        thread.join()


def _until_it_runs(bench: subprocess.Popen[str]) -> str:
    """Waits until each client of a pgbench is logged in, which its first report of progress tells;
    a connection that is open may not be. Returns what it said.
    """
    assert bench.stdout is not None
    said = ""
    for line in bench.stdout:
        said += line
        if line.startswith("progress:"):
            break
    return said


class Drill:
    """A node, its endpoints, and what was lost."""

    def __init__(self, node: RunningNode, port: int, endpoints: list[Endpoint], text: str) -> None:
        self._node, self._port, self._endpoints, self._text = node, port, endpoints, text
        self.failures = 0

    def turn(self, kind: str, number: int) -> None:
        """One run of pgbench with what happens in its midst; prints what was lost."""
        at = ["-h", "127.0.0.1", "-p", str(self._port), "-U", "postgres", "-n"]
        seconds = round(TURN_S * stretch())
        options = ["-c", str(CLIENTS), "-T", str(seconds), "-P", "1"]
        command = [str(peer("pgbench")), *at, *options, "postgres"]
        killed, held = self._endpoints[number % 2], 0.0
        with (
            asking(self._port, killed.port if kind == "killed" else 0) as flows,
            reloading(self._node, self._text) as statuses,
            subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            ) as bench,
        ):
            until(lambda: self._open() == CLIENTS or bench.poll() is not None, "pgbench connects")
            said = _until_it_runs(bench)
            until(lambda: len(statuses) > 5, "reloads")
            if kind == "killed":
                held = self._open(killed)
                killed.kill()
                until(lambda: self._open(killed) == 0, "its connections have ended")
                dead = b"%d" % killed.port
                until(lambda: all(flow.via[0] != dead for flow in flows), "its flows have left")
                killed.revive()
            elif kind == "upgrade":
                done = self._node.command("upgrade")
                assert done.returncode == 0, done.stderr
            said += bench.communicate(timeout=120)[0]
        self._judge(kind, killed.port if kind == "killed" else 0, held, said, flows, statuses)

    def _open(self, endpoint: Endpoint | None = None) -> float:
        """Connections of pgbench, or those at an endpoint."""
        if endpoint is None:
            return sum(map(self._open, self._endpoints))
        backend = f"database/127\\.0\\.0\\.1:{endpoint.port}"
        return self._node.metric(f'proxy_backend_connections{{backend="{backend}"}}')

    def _judge(
        self,
        kind: str,
        killed: int,
        held: float,
        said: str,
        flows: list[Flow],
        statuses: list[int],
    ) -> None:
        aborted = len(set(re.findall(r"client (\d+) .*aborted", said)))
        done = re.search(r"actually processed: (\d+)", said)
        silent = [via for flow in flows for via in flow.unanswered.values()]
        elsewhere = sum(via != b"%d" % killed for via in silent)
        applied = sum(status == 200 for status in statuses)
        moved = sum(flow.moved > 0 for flow in flows)
        fine = aborted == held and not elsewhere and done is not None
        fine = fine and (kind == "killed" or not moved)
        # A reload that meets the moment in which the control process is replaced has no answer.
        fine = fine and (kind == "upgrade" or applied == len(statuses))
        self.failures += not fine
        sys.stdout.write(
            f"{'ok' if fine else 'LOST'} {kind}: {done[1] if done else 0} transactions, "
            f"{aborted} of {CLIENTS} connections lost, {held:.0f} were at the killed endpoint; "
            f"{sum(flow.answers for flow in flows)} datagrams answered, {len(silent)} not, "
            f"{elsewhere} of them elsewhere than at the killed endpoint; "
            f"{moved} of {FLOWS} flows moved; "
            f"{applied} of {len(statuses)} reloads applied\n"
        )
        if not fine:
            sys.stdout.write(said)
        sys.stdout.flush()


def main() -> int:
    """Reads the arguments and runs; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=5, help="of each kind (5)")
    given = parser.parse_args()
    server, port = Postgres(), free_port()
    endpoints: list[Endpoint] = []
    try:
        database = f"{server.folder}/.s.PGSQL.5432"
        endpoints += [Endpoint(database) for _ in range(2)]
        listed = ", ".join(f'"127.0.0.1:{one.port}"' for one in endpoints)
        text = _CONFIG.format(port=port, endpoints=listed, minutes=9)
        with (
            tempfile.TemporaryDirectory(prefix="hg-") as folder,
            RunningNode(Path(folder), text, "--no-watch").until_ready() as node,
        ):
            at = ["-h", str(server.folder), "-U", "postgres", "-i", "-q", "postgres"]
            subprocess.run([str(peer("pgbench")), *at], check=True, capture_output=True)
            drill = Drill(node, port, endpoints, text)
            for number in range(given.turns):
                for kind in KINDS:
                    drill.turn(kind, number)
        return 1 if drill.failures else 0
    finally:
        for one in endpoints:
            one.kill()
        server.close()


if __name__ == "__main__":
    sys.exit(main())
