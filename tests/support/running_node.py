"""A real node for end-to-end tests: its own state directory, free ports, real upstreams."""

import contextlib
import http.client
import json
import os
import re
import signal
import ssl
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self

from ports import free_port
from waiting import DEADLINE_S, until

from headgate.cli import calls
from headgate.testing.server import HttpServer

HEADGATE = Path(sys.executable).with_name("headgate")


class Upstream:
    """An HTTP/1.1 server that answers with its name; `/slow` waits until `release` is set."""

    def __init__(
        self,
        name: str,
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        host: str = "127.0.0.1",
    ) -> None:
        """`port` 0 = one of its own; `tls` = what it speaks TLS with."""
        self.host = host
        self.name = name
        self.release = threading.Event()
        self.waiting = threading.Event()
        self.port = port or free_port()
        self._server = HttpServer((host, self.port), self._handler())
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"{self.host}:{self.port}"

    def close(self) -> None:
        """Stops it, and ends its connections."""
        self.release.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if self.path == "/slow":
                    upstream.waiting.set()
                    upstream.release.wait()
                body = upstream.name.encode()
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def config(port: int, upstream: str, *, extra: str = "") -> str:
    """A config with one listener and one upstream; it drains quickly and has no admin port."""
    return f"""
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}
{extra}
[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"
default = true

[routes.all]
hosts = ["*"]
upstream = "app"

[upstreams.app]
endpoints = ["{upstream}"]
"""


class RunningNode:
    """`headgate run` as a process; use as a context manager, so that it ends with the test."""

    program: tuple[str, ...] = (str(HEADGATE),)
    """The command that headgate is."""
    reads_a_file = True
    """Whether its config is the file; False = somebody else brings it."""

    def __init__(self, folder: Path, text: str | None, *arguments: str, **env: str) -> None:
        """`text`: the config; None = without a file."""
        self.folder = folder
        self.state = folder / "s"
        self.config = folder / "headgate.toml"
        if text is not None:
            self.config.write_text(text)
        self._starts_nginx = re.search(r'\bstart = "(external|systemd)"', text or "") is None
        self._has_served = self.state.exists()
        self.log = folder / "log"
        configs = [str(self.config)] if text is not None else []
        has_admin = "admin" in (text or "admin") or "--admin" in arguments
        if self.reads_a_file and not has_admin:
            # Of two tests that run at once, one would find the default address in use.
            arguments = ("--admin", "off", *arguments)
        self.process = self._start(["run", *configs], *arguments, **env)

    def _start(self, command: list[str], *arguments: str, **env: str) -> "subprocess.Popen[bytes]":
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [*self.program, *command, "--state-dir", str(self.state), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=os.environ | env,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.send_signal(signal.SIGINT)  # the second signal does not wait
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self._starts_nginx:
            self._end_nginx()
        sys.stdout.write(self.log.read_text(errors="replace"))  # shown when the test fails

    def _end_nginx(self) -> None:
        """Ends an nginx that the node started and had no time to stop: two seconds after a second
        signal its control process is killed, and nginx would keep its port for the whole run."""
        pid_path = self.state / "nginx" / "run" / "nginx.pid"
        try:
            pid = int(pid_path.read_text())
        except (OSError, ValueError):
            return  # it was stopped, or never started, or is a foreign nginx
        if not _is_nginx_of(pid, self.state):
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        until(lambda: not _is_nginx_of(pid, self.state), "the end of the node's nginx")

    def write(self, text: str) -> None:
        """Writes its config as one step: a node that watches never reads half of it."""
        written = self.config.with_suffix(".new")
        written.write_text(text)
        written.replace(self.config)

    def until_ready(self) -> Self:
        """Waits until it serves its config; ends it when that fails.

        Where a node ran before in this folder, the next one is ready with what that one served, and
        reads its config after it: that is waited for, too.
        """

        def is_ready() -> bool:
            assert self.process.poll() is None, self.log.read_text(errors="replace")
            return self.admin_status("/ready") == 200 and self._has_read()

        try:
            until(is_ready, "readiness")
        except BaseException:
            self.__exit__()  # `with RunningNode(…).until_ready()` has not entered yet
            raise
        return self

    def _has_read(self) -> bool:
        """Whether it has read its config; that it was refused is an end, too."""
        if not (self._has_served and self.reads_a_file):
            return True  # it is ready with its config, and with nothing before
        try:
            config = self.status()["config"]
        except calls.NoNodeError:
            return False
        return isinstance(config, dict) and config["last_reload"] is not None

    def admin_status(self, path: str) -> int:
        """The status of an admin request; 0 while nobody answers."""
        try:
            return calls.call(self.state, "GET", path).status
        except calls.NoNodeError:
            return 0

    def admin(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """An admin request over the Unix socket."""
        answer = calls.call(self.state, method, path, body)
        return answer.status, answer.body

    def status(self) -> "dict[str, object]":
        """`GET /status`."""
        document = json.loads(self.admin("GET", "/status")[1])
        assert isinstance(document, dict)
        return document

    def engine(self) -> dict[str, Any]:
        """What serves, as in `GET /status`."""
        found = self.status()["engine"]
        assert isinstance(found, dict)
        return found

    def metric(self, name: str) -> float:
        """The value of a metric without labels; -1 while there is none."""
        try:
            page = self.admin("GET", "/metrics")[1].decode()
        except calls.NoNodeError:
            return -1.0
        found = re.search(rf"(?m)^{name} (\S+)$", page)
        return float(found[1]) if found else -1.0

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs a verb against this node."""
        return subprocess.run(
            [*self.program, *arguments, "--state-dir", str(self.state)],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S * 2,
            check=False,
        )

    def until_logged(self, *texts: str) -> None:
        """Waits until all of these stand in the log: it tells of a change after the change."""
        for text in texts:
            until(lambda: text in self.log.read_text(errors="replace"), f"{text!r} in the log")  # noqa: B023

    def until_told(self, text: str) -> str:
        """What `headgate events` shows once this is in it: events, too, follow their cause."""
        shown = ""

        def is_told() -> bool:
            nonlocal shown
            shown = self.command("events").stdout
            return text in shown

        until(is_told, f"{text!r} in the events")
        return shown

    def data_plane(self) -> tuple[int, int]:
        """(generation, pid) of the data plane that serves."""
        about = calls.supervisor(self.state, "status")
        plane = about["dataplane"]
        if not isinstance(plane, dict):
            return 0, 0
        return int(plane["generation"]), int(plane["pid"])


def _is_nginx_of(pid: int, state: Path) -> bool:
    """Whether a process is an nginx master on a config in this state directory."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return words.startswith(b"nginx: master") and f"{state}/".encode() in words


def get(port: int, path: str = "/", host: str = "a.example") -> tuple[int, bytes]:
    """One request on a connection of its own: (status, body)."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
    try:
        connection.request("GET", path, headers={"host": host})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


#: How a client of Python learns of it; which one it is, is chance.
ENDED = ("RemoteDisconnected", "ConnectionResetError", "BrokenPipeError")


class Load:
    """Requests one after the other on keep-alive connections, until the block ends."""

    def __init__(self, port: int, connections: int = 4) -> None:
        self.answers: list[bytes] = []
        self.failures: list[str] = []
        self._port = port
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, daemon=True) for _ in range(connections)
        ]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        try:
            until(lambda: len(self.answers) > 20, "load")
        except BaseException:
            self._stop.set()  # nobody calls __exit__
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def lost(self) -> list[str]:
        """The failures but for those of a server that ended an idle connection just as the next
        request came: a client sees that, and asks again."""
        return [one for one in self.failures if not one.startswith(ENDED)]

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=DEADLINE_S)
        while not self._stop.is_set():
            try:
                connection.request("GET", "/", headers={"host": "a.example"})
                response = connection.getresponse()
                body = response.read()
                if response.status != 200:
                    self.failures.append(f"{response.status} {body!r}")
                self.answers.append(body)
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
                connection.close()
        connection.close()
