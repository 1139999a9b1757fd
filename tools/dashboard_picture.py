"""Draws the dashboard from real data: a node with traffic, which a Prometheus scrapes.

Runs `headgate`, two upstreams and clients for a minute, asks Prometheus for every query of the
dashboard, and writes the picture that `docs/howto/monitoring.md` shows. Needs Debian's
`prometheus`. It is no Grafana: the picture says so.
"""

import datetime as dt
import http.client
import json
import math
import random
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from dashboard import ROWS
from dashboard_chart import Drawn, Line, named, page

from headgate.testing.server import HttpServer

FILE: Final = Path(__file__).resolve().parent.parent / "docs" / "howto" / "dashboard.svg"
SECONDS: Final = 60
STEP_S: Final = 2
RATE: Final = "10s"
"""In place of `$__rate_interval`: Grafana takes four scrapes, too, and more."""
_HEADGATE: Final = str(Path(sys.executable).with_name("headgate"))
_CONFIG: Final = """
[node]
admin = "off"
metrics = "127.0.0.1:{metrics}"
access_log = {{ sink = {{ path = "{folder}/access.log" }} }}
drain = {{ delay = "50ms", idle_grace = "100ms", deadline = "5s" }}
shedding = {{ queued = 6 }}

[certificates.shop]
cert_file = "{folder}/shop.pem"
key_file = "{folder}/shop.key"

[listeners.web]
address = "127.0.0.1:{web}"
default = true

[listeners.secure]
address = "127.0.0.1:{secure}"
tls = {{ default_certificate = "shop" }}
timeouts = {{ handshake = "1s", head = "1s" }}
default = true

[routes.shop]
match = [{{ path = {{ prefix = "/shop" }} }}]
upstream = "shop"
retry = {{ retries = 1, on = [503], budget = {{ percent = 10, per_second = 2 }} }}

[routes.slow]
match = [{{ path = {{ prefix = "/slow" }} }}]
upstream = "slow"
timeouts = {{ first_byte = "300ms" }}

[upstreams.shop]
endpoints = ["127.0.0.1:{good}", "127.0.0.1:{bad}"]

[upstreams.shop.circuit_breaker]
failures = 5

[upstreams.slow]
endpoints = ["127.0.0.1:{good}"]
limits = {{ connections = 4, queue = 64 }}
"""


def free_port() -> int:
    """Returns a port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def upstream(failing: float) -> Iterator[int]:
    """A server that answers so many of its requests with 503; its port."""
    chance = random.Random(7)  # noqa: S311 - traffic, not a secret

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            slow = self.path.startswith("/slow")
            time.sleep(chance.uniform(0.1, 0.35) if slow else chance.expovariate(200))
            body = b"x" * chance.randrange(500, 4_000)
            self.send_response(503 if chance.random() < failing and not slow else 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            with suppress(OSError):
                self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    server = HttpServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def program(log: Path, *command: str) -> Iterator[None]:
    """A program that runs until the block ends; what it says is in a file."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def certify(folder: Path) -> None:
    """Writes a certificate of 45 days for the picture's listener."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name)
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - dt.timedelta(1)).not_valid_after(
        now + dt.timedelta(45)
    )
    names = x509.SubjectAlternativeName([x509.DNSName("shop.example")])
    made = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    form, plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "shop.pem").write_bytes(made.public_bytes(pem))
    (folder / "shop.key").write_bytes(key.private_bytes(pem, form, plain))


def until_answering(url: str) -> None:
    """Waits until a server answers; raises TimeoutError."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        with suppress(OSError), urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            if answer.status == http.client.OK:
                return
        time.sleep(0.1)
    raise TimeoutError(url)


def client(port: int, end: float, seed: int, *, is_slow: bool = False, tls: bool = False) -> None:
    """Asks until the end, with pauses that grow and shrink over the minute."""
    chance = random.Random(seed)  # noqa: S311 - traffic, not a secret
    context = ssl._create_unverified_context() if tls else None  # noqa: S323 - own server
    while (left := end - time.monotonic()) > 0:
        connection = (
            http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=context)
            if context
            else http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        )
        with suppress(OSError, http.client.HTTPException):
            for _ in range(chance.randrange(1, 30)):
                path = "/slow" if is_slow else chance.choice(["/shop/a", "/shop/b", "/shop", "/no"])
                connection.request("GET", path)
                connection.getresponse().read()
                wave = 1 if SECONDS < 3 * left < 2 * SECONDS else 3  # busier in the middle
                time.sleep(chance.uniform(0.005, 0.02) * wave)
        connection.close()


def silent(port: int, end: float) -> None:
    """Connects now and then, and says nothing: a time that passes."""
    while time.monotonic() < end:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5) as one:
            one.recv(1)
        time.sleep(2)


def traffic(web: int, secure: int, reload: tuple[str, ...]) -> None:
    """What clients do for a minute; the config is read again twice."""
    end = time.monotonic() + SECONDS
    threads = [threading.Thread(target=client, args=(web, end, seed)) for seed in range(3)]
    threads += [
        threading.Thread(target=client, args=(web, end, 90 + seed), kwargs={"is_slow": True})
        for seed in range(12)
    ]
    threads.append(threading.Thread(target=client, args=(secure, end, 9), kwargs={"tls": True}))
    threads.append(threading.Thread(target=silent, args=(secure, end)))
    for thread in threads:
        thread.start()
    for _ in range(2):
        time.sleep(SECONDS / 3)
        subprocess.run(reload, check=True, stdout=subprocess.DEVNULL)
    for thread in threads:
        thread.join()


def asked(url: str, query: str, legend: str, start: float, end: float) -> list[Line]:
    """Returns the series of a query of the dashboard over a time."""
    real = query.replace("$__rate_interval", RATE).replace("$instance", ".*")
    words = urllib.parse.urlencode({"query": real, "start": start, "end": end, "step": STEP_S})
    with urllib.request.urlopen(f"{url}/api/v1/query_range?{words}", timeout=30) as answer:  # noqa: S310
        found = json.load(answer)
    if found["status"] != "success":
        raise ValueError(found)
    lines = []
    for one in found["data"]["result"]:
        points = [(at - start, float(value)) for at, value in one["values"]]
        known = [(at, value) for at, value in points if not math.isnan(value)]
        lines.append(Line(named(legend, one["metric"]) or "(none)", known))
    return lines


def drawn(url: str, start: float, end: float) -> Drawn:
    """Returns the series of every panel."""
    return {
        (row, panel.title): [
            line for legend, query in panel.series for line in asked(url, query, legend, start, end)
        ]
        for row, panels in ROWS.items()
        for panel in panels
    }


def version(program_: str) -> str:
    """Returns the first line of what a program says of its version."""
    done = subprocess.run([program_, "--version"], capture_output=True, text=True, check=True)
    return (done.stdout or done.stderr).partition("\n")[0].partition(" (")[0]


def run(folder: Path) -> str:
    """Returns the picture of one minute."""
    ports = {name: free_port() for name in ("metrics", "web", "secure")}
    state, prometheus = folder / "state", f"127.0.0.1:{free_port()}"
    certify(folder)
    scrape = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [
            {
                "job_name": "headgate",
                "static_configs": [{"targets": [f"127.0.0.1:{ports['metrics']}"]}],
                "relabel_configs": [{"target_label": "instance", "replacement": "edge-1"}],
            }
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(scrape))
    with ExitStack() as stack:
        good, bad = (stack.enter_context(upstream(share)) for share in (0.01, 0.4))
        config = folder / "headgate.toml"
        config.write_text(_CONFIG.format(folder=folder, good=good, bad=bad, **ports))
        places = ("--state-dir", str(state))
        node = (_HEADGATE, "run", str(config), *places)
        stack.enter_context(program(folder / "node.log", *node))
        until_answering(f"http://127.0.0.1:{ports['metrics']}/ready")
        data = f"--storage.tsdb.path={folder}/data"
        words = (f"--config.file={folder}/prometheus.yml", f"--web.listen-address={prometheus}")
        stack.enter_context(program(folder / "prometheus.log", "prometheus", data, *words))
        until_answering(f"http://{prometheus}/-/ready")
        start = time.time()
        traffic(ports["web"], ports["secure"], (_HEADGATE, "reload", *places))
        found = drawn(f"http://{prometheus}", start, time.time())
    caption = (
        f"The dashboard's panels over {SECONDS} seconds of one node, with a failing endpoint, a "
        "slow upstream and two reloads: an illustration, not a measurement.",
        f"Drawn by tools/dashboard_picture.py from {version('prometheus')}, whose answers to the "
        f"dashboard's queries (rates over {RATE}) these are; Grafana did not draw it, and looks "
        "different.",
    )
    return page(found, caption)


def main() -> int:
    """Writes the picture, or into the file that is named."""
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else FILE
    with tempfile.TemporaryDirectory() as folder:
        target.write_text(run(Path(folder)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
