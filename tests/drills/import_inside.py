"""What runs in the namespaces of one try: backends, the server, and the client that asks it.

    python import_inside.py JOB

JOB is a JSON file: `hosts` and `ports` (where backends answer), `local` (likewise, on loopback),
`limited` (the config limits requests: each is asked alone, and again when it came too soon),
`command` (what serves), `status` (what says that it does, if anything), `ready` (address and port
that must accept), `requests`; the answers go to its `answers`. Backends live in a network namespace
of their own, so that every port is free there. Everything ends with the pid namespace.
"""

import contextlib
import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BACKEND = "10.9.9.2"
"""Where every host of an upstream is."""

_DEADLINE_S = 150.0
_ANSWER_S = 8.0
_AT_ONCE = 16
_TOO_SOON = (429, 503)
_TRIES = 4
_AGAIN_S = 1.1
"""Longer than a request waits for its turn at the usual rates, in requests a second."""


class _Backend(BaseHTTPRequestHandler):
    """Answers everything."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """The same to everybody."""
        body = b"backend"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _run(*words: str) -> None:
    subprocess.run(words, check=False, capture_output=True)


def _serve(places: list[tuple[str, int]]) -> None:
    for place in places:
        with contextlib.suppress(OSError):
            server = ThreadingHTTPServer(place, _Backend)
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()


def _backends(job: dict[str, Any]) -> None:
    """Starts those of other hosts in their namespace, those of this host here."""
    words = ["unshare", "--net", sys.executable, __file__, sys.argv[1], "backends"]
    other = subprocess.Popen(words, stdout=subprocess.PIPE)
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1")
    pid = str(other.pid)
    _run("ip", "link", "set", "v1", "netns", pid)
    _run("ip", "address", "add", "10.9.9.1/24", "dev", "v0")
    _run("ip", "link", "set", "v0", "up")
    for host in job["hosts"]:
        _run("ip", "route", "add", f"{host}/32", "via", BACKEND)
    if other.stdout is not None:
        other.stdout.readline()
    _serve([(host, port) for host, port in job["local"]])


def _be_backends(job: dict[str, Any]) -> None:
    while not Path("/sys/class/net/v1").exists() and "v1" not in _links():
        time.sleep(0.02)
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "address", "add", f"{BACKEND}/24", "dev", "v1")
    _run("ip", "link", "set", "v1", "up")
    for host in job["hosts"]:
        _run("ip", "address", "add", f"{host}/32", "dev", "v1")
    _serve([("0.0.0.0", port) for port in job["ports"]])
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    threading.Event().wait()


def _links() -> str:
    done = subprocess.run(["ip", "link"], capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout


def _wait(places: list[list[Any]], process: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _DEADLINE_S
    for address, port in places:
        while True:
            with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
                break
            if time.monotonic() > deadline or process.poll() not in (None, 0):
                return False
            time.sleep(0.05)
    return True


def _is_ready(command: list[str], process: subprocess.Popen[bytes]) -> bool:
    """Waits until a node says so: a test of nginx listens for a moment, too."""
    deadline = time.monotonic() + _DEADLINE_S
    while time.monotonic() < deadline and process.poll() is None:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.startswith("ready"):
            return True
        time.sleep(1.0)
    return False


def _ask(one: dict[str, Any]) -> dict[str, Any]:
    """One answer; status 0 where the connection ended without one."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        raw: socket.socket = socket.create_connection((one["address"], one["port"]), _ANSWER_S)
        if one["tls"]:
            raw = context.wrap_socket(raw, server_hostname=one["host"])
        connection = http.client.HTTPConnection(one["address"], one["port"], timeout=_ANSWER_S)
        connection.sock = raw
        with contextlib.closing(connection):
            connection.putrequest("GET", one["path"], skip_host=True, skip_accept_encoding=True)
            connection.putheader("Host", one["host"])
            connection.putheader("Connection", "close")
            connection.endheaders()
            answer = connection.getresponse()
            said = answer.headers.get("proxy-status", "")
            answer.read(4096)
            return {"status": answer.status, "said": said}
    except (OSError, http.client.HTTPException) as error:
        return {"status": 0, "said": type(error).__name__}


def _ask_alone(one: dict[str, Any]) -> dict[str, Any]:
    """The same where the config limits requests: "too soon" is asked again."""
    answer = _ask(one)
    for _ in range(_TRIES - 1):
        if answer["status"] not in _TOO_SOON or "not-imported" in answer["said"]:
            break
        time.sleep(_AGAIN_S)
        answer = _ask(one)
    return answer


def main() -> int:
    """Serves, asks, writes."""
    job = json.loads(Path(sys.argv[1]).read_text())
    if sys.argv[2:] == ["backends"]:
        _be_backends(job)
        return 0
    _backends(job)
    with Path(job["log"]).open("wb") as log:
        process = subprocess.Popen(job["command"], stdout=log, stderr=log)
    ready = not job["status"] or _is_ready(job["status"], process)
    ready = ready and _wait(job["ready"], process)
    answers = None
    if ready:
        ask, at_once = (_ask_alone, 1) if job["limited"] else (_ask, _AT_ONCE)
        with ThreadPoolExecutor(at_once) as pool:
            answers = list(pool.map(ask, job["requests"]))
    Path(job["answers"]).write_text(json.dumps(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main())
