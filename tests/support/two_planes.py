"""The two planes of a node as processes of their own, in network namespaces where a test wants."""

import contextlib
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from namespaces import Cable, inside
from ports import free_port
from running_node import HEADGATE
from tls_authority import Authority
from waiting import DEADLINE_S, until

from headgate.cli import calls

DATA_PLANE = "dataplane.test"
CONTROL = "control.test"


class Plane:
    """One plane's process, with its state directory and log; ends with its `with` block."""

    program: tuple[str, ...] = (str(HEADGATE),)
    """The command that headgate is."""

    def __init__(self, folder: Path, name: str, before: Sequence[str] = ()) -> None:
        """`before`: a command that runs the process elsewhere."""
        self.state = folder / name
        self.log = folder / f"{name}.log"
        self._before = before
        self._arguments: list[str] = []
        self.process: subprocess.Popen[bytes]

    def start(self, *arguments: str) -> Self:
        """Starts it, or starts it again as before if there are no arguments."""
        self._arguments = list(arguments) or self._arguments
        command = [*self._before, *self.program, *self._arguments, "--state-dir", str(self.state)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        sys.stdout.write(self.log.read_text(errors="replace"))  # shown when the test fails

    def end(self) -> None:
        """Ends it without waiting for requests in flight."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.send_signal(signal.SIGINT)  # the second signal does not wait
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def status(self) -> "dict[str, object]":
        """`GET /status`; empty while nobody answers."""
        try:
            document = json.loads(calls.call(self.state, "GET", "/status").body)
        except (calls.NoNodeError, ValueError):
            return {}
        assert isinstance(document, dict)
        return document

    def link(self) -> "dict[str, object]":
        """What this side says of the control link; empty while nobody answers."""
        found = self.status().get("link")
        return found if isinstance(found, dict) else {}

    def is_linked(self) -> bool:
        """Whether this side says that the link is up."""
        return self.link().get("connected") is True

    def ready(self) -> bool:
        """Whether it says that it is ready."""
        return self.status().get("ready") is True

    def digest(self) -> str:
        """The digest of the plan that it says is served."""
        config = self.status().get("config")
        return str(config["digest"]) if isinstance(config, dict) else ""

    def pid_of(self, process: str) -> int:
        """The pid of one of this side's processes, as it says itself."""
        found = self.status().get("processes")
        rows = found if isinstance(found, list) else []
        return next((int(one["pid"]) for one in rows if one["process"] == process), 0)

    def metric(self, name: str) -> float:
        """The value of a metric without labels; -1 while there is none."""
        try:
            page = calls.call(self.state, "GET", "/metrics").body.decode()
        except calls.NoNodeError:
            return -1.0
        found = re.search(rf"(?m)^{name} (\S+)$", page)
        return float(found[1]) if found else -1.0


@dataclass
class Planes:
    """Both planes, and what they are started with."""

    folder: Path
    authority: Authority
    data: Plane
    control: Plane
    host: str
    port: int
    link_port: int

    def start(self) -> Self:
        """Starts both and waits until the config is served."""
        self.data.start(*self.data_arguments())
        self.control.start(*self.control_arguments())
        self.until_linked()
        until(self.control.ready, "readiness of the control plane")
        until(lambda: self.data.digest() == self.control.digest(), "the plan over there")
        return self

    def data_arguments(self) -> list[str]:
        """The command line of the data plane."""
        listen = ("--listen", f"{self.host}:{self.link_port}", "--control-name", CONTROL)
        return ["dataplane", *listen, *self.files("dp")]

    def control_arguments(self, stem: str = "ctl") -> list[str]:
        """The command line of the control plane, with the certificate of that name."""
        where = ("--dataplane", f"{self.host}:{self.link_port}", "--dataplane-name", DATA_PLANE)
        return ["control", str(self.config), *where, *self.files(stem)]

    def files(self, stem: str) -> list[str]:
        """The options that name the certificate files of one end."""
        its = [str(self.folder / f"{stem}.{end}") for end in ("pem", "key")]
        return ["--cert", its[0], "--key", its[1], "--ca", str(self.authority.ca_file)]

    @property
    def config(self) -> Path:
        """The control plane's config file."""
        return self.folder / "headgate.toml"

    def write(self, body: str) -> None:
        """Has the data plane answer `body`, through an upstream that is a listener of its own."""
        text = CONFIG.format(port=self.port, inner=self._inner, body=body)
        written = self.config.with_suffix(".new")
        written.write_text(text)
        written.replace(self.config)

    def __post_init__(self) -> None:
        self._inner = free_port()
        self.authority.issue("dp", DATA_PLANE)
        self.authority.issue("ctl", CONTROL)
        self.write("one")

    def until_linked(self) -> None:
        """Waits until both sides say that the link is up."""
        until(lambda: self.data.is_linked() and self.control.is_linked(), "the link")


CONFIG = """
[node]
admin = "off"
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "60s" }}

[listeners.web]
address = "127.0.0.1:{port}"
default = true

[listeners.inner]
address = "127.0.0.1:{inner}"

[routes.all]
upstream = "app"

[upstreams.app]
endpoints = ["127.0.0.1:{inner}"]

[routes.answer]
listeners = ["inner"]
respond = {{ body = "{body}" }}
"""


@contextlib.contextmanager
def two_planes(folder: Path, cable: Cable | None = None) -> Iterator[Planes]:
    """Both planes on this host, or at the ends of a cable; not started yet."""
    left, right = ([], []) if cable is None else (inside(space) for space in cable.spaces)
    data, control = Plane(folder, "d", left), Plane(folder, "c", right)
    host = "127.0.0.1" if cable is None else cable.addresses[0]
    planes = Planes(folder, Authority(folder), data, control, host, free_port(), free_port())
    with contextlib.ExitStack() as ends:
        for plane in (data, control):
            ends.callback(_end_if_started, plane)
        yield planes


def _end_if_started(plane: Plane) -> None:
    if hasattr(plane, "process"):
        plane.__exit__()
