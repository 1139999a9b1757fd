"""Ourselves: one worker on the proxy's core; supervisor and control process on the other one."""

import json
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

from machine import DESCRIPTORS, LOAD_CPU, PROXY_CPU, pin, tree

from peers import features
from peers.base import Place, Processes, Setup

_TEXT = """\
[node]
admin = "off"
workers = 1
log_level = "error"
{log}drain = {{ delay = "10ms", idle_grace = "10ms", deadline = "2s" }}

[listeners.web]
address = "127.0.0.1:{port}"
protocol = "http"
default = true
backlog = 16384
timeouts = {{ idle = "600s" }}
{h2c}{tls}
[upstreams.app]
endpoints = ["127.0.0.1:{backend}"]
pool = {{ idle_timeout = "600s" }}
{protocol}{guards}
"""
_RELAY = """\
[node]
admin = "off"
workers = 1
log_level = "error"
limits = {{ connections = {connections} }}
drain = {{ delay = "10ms", idle_grace = "10ms", deadline = "2s" }}

[listeners.raw]
address = "127.0.0.1:{port}"
protocol = "tcp"
backlog = 16384

[tcp_routes.raw]
listeners = "raw"
upstream = "raw"
timeouts = {{ idle = "600s" }}
{datagrams}
[upstreams.raw]
endpoints = ["127.0.0.1:{backend}"]
"""
_DATAGRAMS = """
[listeners.datagrams]
address = "127.0.0.1:{port}"
protocol = "udp"
limits = {{ flows = 20000 }}

[udp_routes.datagrams]
listeners = "datagrams"
upstream = "raw"
timeouts = {{ idle = "600s" }}
"""
_GUARDS = """\
health_check = { path = "/b/13" }
outlier_detection = {}
circuit_breaker = { error_percent = 50, slow_percent = 50 }
"""
_RETRY = 'retry = { on = ["reset", "timeout", "5xx"] }'
_TLS = """
[listeners.secure]
address = "127.0.0.1:{port}"
protocol = "http"
default = true
backlog = 16384
timeouts = {{ idle = "600s" }}
tls = {{ policy = "bench", default_certificate = "bench", unknown_sni = "default" }}

[tls_policies.bench]
min_version = "1.3"
groups = ["{group}"]
tickets = false

[certificates.bench]
cert_file = "{cert}"
key_file = "{key}"
"""
_READY_S = 60.0


class Headgate:
    """A build, by its command."""

    def __init__(self, program: Path, name: str = "headgate", note: str = "") -> None:
        """`program`: the `headgate` command to measure.

        Of several builds, each has another `name`, and a `note` that follows its version.
        """
        self.program = program
        self.name = name
        self.note = note

    @property
    def python(self) -> Path:
        """The interpreter it runs on."""
        return self.program.with_name("python")

    def missing(self) -> str:
        """Not built?"""
        return "" if self.program.exists() else f"there is no {self.program}"

    def version(self) -> str:
        """`headgate version`."""
        done = subprocess.run(
            [self.program, "version"], capture_output=True, text=True, check=False
        )
        text = done.stdout.strip().splitlines()[0] if done.stdout.strip() else "?"
        return (text if text.startswith("headgate") else f"headgate {text}") + self.note

    def refuses(self, setup: Setup) -> str:
        """Nothing."""
        return ""

    def command(self, setup: Setup, place: Place) -> list[str]:
        """Writes headgate.toml."""
        path = place.folder / "headgate.toml"
        path.write_text(self.config_text(setup, place))
        state = place.folder / "s"
        return [str(self.program), "run", str(path), "--state-dir", str(state), "--no-watch"]

    def config_text(self, setup: Setup, place: Place) -> str:
        """headgate.toml."""
        if setup.relay:
            return _relay(setup, place)
        log = tls = ""
        if setup.access_log:
            log = f'access_log = {{ format = "json", sink = {{ path = "{place.access_log}" }} }}\n'
        if setup.tls_group:
            tls = _TLS.format(
                port=place.tls_port, group=setup.tls_group, cert=place.cert, key=place.key
            )
        head = _TEXT.format(
            log=log,
            port=place.http_port,
            h2c="h2c = true\n" if setup.http2 else "",
            tls=tls,
            backend=place.backend_port,
            protocol="" if setup.upstream == "http1" else 'protocol = "h2c"\n',
            guards=_GUARDS if setup.guarded else features.upstream(setup),
        )
        count = 1 if setup.kind == "plain" else setup.count
        head += features.sections(setup, place)
        return head + "".join(_route(setup, i) for i in range(count))

    def processes(self, pid: int, place: Place) -> Processes:
        """The data plane is the one that counts."""
        data = data_plane(place.folder / "s")
        whole = tree(pid)
        pin([one for one in whole if one != data], LOAD_CPU)
        pin([data], PROXY_CPU)
        return Processes([data], whole)

    def reload(self, pid: int, setup: Setup, place: Place) -> None:
        """Asks for it on the admin socket, in a process of its own."""
        self.command(setup, place)
        code = "import sys; sys.path.append(sys.argv[1]); from peers.headgate import reload_now"
        folder = str(Path(__file__).resolve().parents[1])
        call = f"{code}; reload_now(sys.argv[2])"
        subprocess.Popen([sys.executable, "-c", call, folder, str(place.folder / "s")])


def reload_now(state_dir: str) -> dict[str, object]:
    """`POST /reload`; how it ended."""
    return ask(Path(state_dir), "POST", "/reload")


def ask(state_dir: Path, method: str, path: str) -> dict[str, object]:
    """A JSON document of the admin API."""
    document = json.loads(_call(state_dir, method, path))
    return document if isinstance(document, dict) else {}


def metric(state_dir: Path, name: str) -> float:
    """The sum of a metric's samples; 0 if there is none."""
    page = _call(state_dir, "GET", "/metrics").decode()
    return sum(float(one) for one in re.findall(rf"(?m)^{name}(?:{{[^}}]*}})? (\S+)", page))


def _call(state_dir: Path, method: str, path: str) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(90)
        connection.connect(str(state_dir / "admin.sock"))
        connection.sendall(
            f"{method} {path} HTTP/1.1\r\nHost: headgate\r\nContent-Length: 0\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        with connection.makefile("rb") as answer:
            head, _, body = answer.read().partition(b"\r\n\r\n")
    return _unchunked(body) if b"chunked" in head.lower() else body


def _unchunked(body: bytes) -> bytes:
    whole = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size or b"0", 16)
        if not length:
            break
        whole, body = whole + body[:length], body[length + 2 :]
    return whole


def data_plane(state_dir: Path) -> int:
    """The pid of the data plane that serves; waits for it. Raises TimeoutError."""
    end = time.monotonic() + _READY_S
    while time.monotonic() < end:
        about = supervisor(state_dir)
        plane = about.get("dataplane")
        if isinstance(plane, dict) and about.get("config_was_applied"):
            return int(plane["pid"])
        time.sleep(0.05)
    raise TimeoutError("headgate has no data plane that serves")


def supervisor(state_dir: Path) -> dict[str, object]:
    """Returns the supervisor's report on the node; empty while it does not answer."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(state_dir / "supervisor.sock"))
            connection.sendall(b'{"id":1,"op":"status"}\n')
            with connection.makefile("rb") as lines:
                document = json.loads(lines.readline())
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def _relay(setup: Setup, place: Place) -> str:
    is_udp = setup.relay == "udp"
    return _RELAY.format(
        connections=DESCRIPTORS,
        port=place.http_port,
        backend=place.backend_port,
        datagrams=_DATAGRAMS.format(port=place.http_port) if is_udp else "",
    )


def _route(setup: Setup, index: int) -> str:
    pattern = setup.pattern(index)
    lines = [f"[routes.r{index}]", 'upstream = "app"']
    if setup.kind == "hosts":
        lines.append(f'hosts = ["{pattern}"]')
    elif setup.kind == "prefixes":
        lines.append(f'match = [{{ path = {{ prefix = "{pattern.rstrip("/")}" }} }}]')
    elif setup.kind != "plain":
        lines.append(f'match = [{{ path = {{ regex = "{pattern}" }} }}]')
    version = setup.first_version if setup.first_version and not index else setup.version
    if version:
        edit = f'{{ set = {{ x-v = "{version}" }} }}'
        lines.append(f"middlewares = [{{ response_headers = {edit} }}]")
    if setup.guarded:
        lines.append(_RETRY)
    lines += features.route(setup)
    if setup.unlike:
        lines.append(_UNLIKE[index % len(_UNLIKE)].format(index + 1))
    return "\n".join(lines) + "\n\n"


_UNLIKE = (
    "priority = {}",
    'timeouts = {{ request = "{}s", body = "20s" }}',
    'limits = {{ body = "{} KiB" }}',
    'match = [{{ path.prefix = "/b" }}, {{ query.n = {{ exact = "{}" }} }}]',
    'match = {{ path.regex = "/[a-z]+/(13|{})" }}',
    'match = {{ path.prefix = "/b", headers.x-n = {{ absent = true }} }}\npriority = {}',
    "websocket = false\npriority = {}",
)
"""The lines that set the routes of an unlike config apart, in turn, with a number in each."""
