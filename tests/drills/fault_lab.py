"""What the rows of the fault matrix share: a node, scripted upstreams, clients, what was seen."""

import contextlib
import http.client
import json
import re
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from drill_parts import CLIENT, Endpoint, compiled, stamp
from ports import free_port
from running_node import RunningNode

Serve = Callable[[socket.socket], None]
"""Plays one connection of an upstream; the connection is closed afterwards."""


@dataclass
class Seen:
    """The checks of a row, and what each saw."""

    checks: list[tuple[str, bool]] = field(default_factory=list)

    def check(self, what: str, holds: bool) -> None:
        """Notes whether something holds; `what` says what was seen."""
        self.checks.append((what, holds))

    @property
    def passed(self) -> bool:
        """Whether all of it holds."""
        return bool(self.checks) and all(holds for _, holds in self.checks)

    def text(self) -> str:
        """In one line; what failed is marked."""
        return "; ".join(what if holds else f"**not so:** {what}" for what, holds in self.checks)


class SkippedError(Exception):
    """The row cannot be run here; the message says what is missing."""


class Script:
    """An upstream whose every connection is played by a function."""

    def __init__(self, serve: Serve, host: str = "127.0.0.1", port: int = 0) -> None:
        self.serve = serve
        self.connections = 0
        self.open = 0
        self._lock = threading.Lock()
        self._door = socket.create_server((host, port), backlog=256)
        self.host = host
        self.port = int(self._door.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{self.host}:{self.port}"

    def close(self) -> None:
        """Takes no more connections."""
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._door.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._play, args=(connection,), daemon=True).start()

    def _play(self, connection: socket.socket) -> None:
        with self._lock:
            self.connections += 1
            self.open += 1
        try:
            with contextlib.suppress(OSError):
                self.serve(connection)
        finally:
            connection.close()
            with self._lock:
                self.open -= 1


def read_head(connection: socket.socket) -> bytes:
    """One request's head with what came behind it; empty when the peer hung up."""
    got = b""
    while b"\r\n\r\n" not in got:
        part = connection.recv(65536)
        if not part:
            return b""
        got += part
    return got


def reset(connection: socket.socket) -> None:
    """Ends a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def polite(connection: socket.socket) -> None:
    """Answers every request without a body with `ok`."""
    while read_head(connection):
        connection.sendall(OK)


def ask(connection: socket.socket) -> bool:
    """Whether a request on this connection is answered with 200."""
    connection.settimeout(5)
    try:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n")
        return connection.recv(65536).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


@dataclass
class Answer:
    """What a client got; status 0 = nothing that could be read."""

    status: int
    body: bytes
    took: float
    reason: str
    """`Proxy-Status`, or how the connection failed."""
    whole: bool
    version: str = ""


def get(
    port: int,
    host: str = "a.example",
    path: str = "/",
    method: str = "GET",
    body: bytes | None = None,
    headers: dict[str, str] | None = None,
) -> Answer:
    """One request on a connection of its own; a cut body is not an error here."""
    began = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request(method, path, body, {"host": host, **(headers or {})})
        response = connection.getresponse()
        reason, version = response.headers.get("proxy-status", ""), response.headers.get("x-v", "")
        try:
            content, whole = response.read(), True
        except http.client.IncompleteRead as cut:
            content, whole = cut.partial, False
        except OSError:
            content, whole = b"", False
        took = time.monotonic() - began
        return Answer(response.status, content, took, reason, whole, version)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, b"", time.monotonic() - began, repr(error), whole=False)
    finally:
        connection.close()


HEAD = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "200ms", deadline = "5s" }}
{node}
[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"
default = true
{listener}
"""


class Lab:
    """A folder, a port, and nodes in them; everything ends with the row."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._scripts: list[Script] = []
        self._endpoints: list[Endpoint] = []

    def script(self, serve: Serve, host: str = "127.0.0.1", port: int = 0) -> Script:
        """A scripted upstream."""
        self._scripts.append(Script(serve, host, port))
        return self._scripts[-1]

    def endpoint(self) -> Endpoint:
        """An upstream process."""
        self._endpoints.append(Endpoint())
        return self._endpoints[-1]

    def close(self) -> None:
        """Ends the upstreams."""
        for script in self._scripts:
            script.close()
        for endpoint in self._endpoints:
            endpoint.kill()

    def config(self, *upstreams: str, node: str = "", listener: str = "", more: str = "") -> str:
        """A config whose route for every host goes to these endpoints; `more` is appended."""
        head = HEAD.format(port=self.port, node=node, listener=listener)
        listed = ", ".join(f'"{one}"' for one in upstreams)
        route = '[routes.all]\nupstream = "app"\n'
        return f"{head}{route}{more}\n[upstreams.app]\nendpoints = [{listed}]\n"

    def node(self, text: str, *arguments: str, **env: str) -> RunningNode:
        """A node that serves that config, with one worker and without a file watch."""
        options = arguments or ("--no-watch", "--workers", "1")
        return RunningNode(self.folder, text, *options, **env)

    def storm(self, seconds: float, connections: int = 32) -> "Background":
        """Full load in the background."""
        return Background(self.port, seconds, connections)


class Background:
    """The storm's client in the background."""

    def __init__(
        self, port: int, seconds: float, connections: int, before: Sequence[str] = ()
    ) -> None:
        """`before`: a command that runs the client elsewhere."""
        how = (str(connections), f"{seconds:g}", "127.0.0.1", str(port))
        command = [*before, str(compiled(CLIENT)), *how]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.began = stamp()

    def end(self) -> None:
        """Ends it before its time."""
        self._process.terminate()

    def result(self) -> tuple[dict[str, float], list[dict[str, float | str]]]:
        """Waits for its end: the whole, and each failure."""
        text, _ = self._process.communicate(timeout=180)
        lines = [json.loads(line) for line in text.splitlines()]
        failures = [one for one in lines if "kind" in one]
        return next(one for one in lines if "answers" in one), failures


def total(node: RunningNode, name: str) -> float:
    """The sum of a metric's samples; 0 without any."""
    page = node.admin("GET", "/metrics")[1].decode()
    return sum(float(one) for one in re.findall(rf"(?m)^{name}(?:{{[^}}]*}})? (\S+)", page))


def kinds(failures: list[dict[str, float | str]]) -> str:
    """Failures by kind."""
    seen: dict[str, int] = {}
    for one in failures:
        name = f"{one['kind']} {one['status'] or ''}".strip()
        seen[name] = seen.get(name, 0) + 1
    return ", ".join(f"{count} {name}" for name, count in seen.items()) or "none"


def p99_ms(answers: list[Answer]) -> float:
    """Of the answers' times."""
    took = sorted(one.took for one in answers)
    return took[int(0.99 * (len(took) - 1))] * 1000 if took else 0.0


@contextlib.contextmanager
def many(count: int, work: Callable[[int], None]) -> Iterator[None]:
    """Threads that run while the block does, and are waited for."""
    threads = [threading.Thread(target=work, args=(i,), daemon=True) for i in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        for thread in threads:
            thread.join(30)
