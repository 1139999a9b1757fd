"""The proxies of `failures.py`, each in its best settings for endpoints that fail."""

import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

from ports import free_port
from running_node import RunningNode, config


@dataclass
class Place:
    """Where a proxy runs, and in front of what."""

    folder: Path
    endpoints: list[int]
    """Their ports."""
    client: str = "http1"
    upstream: str = "http1"
    """What is spoken on this side: `http1`, or `h2c` by prior knowledge."""
    port: int = field(default_factory=free_port)


Stop = Callable[[], None]
H2C = "h2c"

HEADGATE = """health_check = { interval = "1s", timeout = "500ms" }
outlier_detection = {}
timeouts = { connect = "1s" }
"""
RETRY = 'retry = { retries = 2, on = ["connect-failure", "reset", "timeout", "5xx"] }'


def _headgate(place: Place) -> Stop:
    addresses = '", "'.join(f"127.0.0.1:{one}" for one in place.endpoints)
    route = f'upstream = "app"\ntimeouts = {{ per_try = "1s" }}\n{RETRY}'
    text = config(place.port, addresses).replace('upstream = "app"', route) + HEADGATE
    text += f'protocol = "{place.upstream}"\n'
    if place.client == H2C:
        text = text.replace("[listeners.web]\n", "[listeners.web]\nh2c = true\n")
    node = RunningNode(place.folder, text)
    node.__enter__()
    node.until_ready()

    def stop() -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # its log
            node.__exit__(None, None, None)

    return stop


def _nginx(place: Place) -> Stop:
    servers = " ".join(
        f"server 127.0.0.1:{one} max_fails=1 fail_timeout=2s;" for one in place.endpoints
    )
    http2 = " http2" if place.client == H2C else ""
    path = place.folder / "nginx.conf"
    path.write_text(
        f"daemon off; worker_processes 1; pid {place.folder}/pid; error_log {place.folder}/e;\n"
        "events { worker_connections 4000; }\nhttp { access_log off; keepalive_requests 10000000;\n"
        f"upstream u {{ zone u 64k; {servers} keepalive 64; }}\n"
        f"server {{ listen 127.0.0.1:{place.port}{http2}; location / {{ proxy_pass http://u;\n"
        'proxy_http_version 1.1; proxy_set_header Connection "";\n'
        "proxy_read_timeout 1s; proxy_connect_timeout 1s; proxy_next_upstream_tries 3;\n"
        "proxy_next_upstream error timeout invalid_header http_500 http_502 http_503; } } }\n"
    )
    return _process([program("nginx"), "-p", str(place.folder), "-c", str(path)])


def _haproxy(place: Place) -> Stop:
    watch = "observe layer7 error-limit 5 on-error mark-down"
    watch += " proto h2" if place.upstream == H2C else ""
    bind = " proto h2" if place.client == H2C else ""
    servers = "".join(
        f"  server s{i} 127.0.0.1:{one} check inter 1s fall 3 rise 2 {watch}\n"
        for i, one in enumerate(place.endpoints)
    )
    path = place.folder / "haproxy.cfg"
    path.write_text(
        "defaults\n  mode http\n  timeout connect 1s\n  timeout client 60s\n  timeout server 1s\n"
        "  timeout check 500ms\n  retries 2\n  retry-on all-retryable-errors\n"
        "  option redispatch 1\n"
        f"frontend f\n  bind 127.0.0.1:{place.port}{bind}\n  default_backend b\n"
        f"backend b\n  balance roundrobin\n  option httpchk GET /\n{servers}"
    )
    return _process([program("haproxy"), "-db", "-f", str(path)])


def _envoy(place: Place) -> Stop:
    path = place.folder / "envoy.json"
    path.write_text(json.dumps(_envoy_config(place)))
    options = ["--concurrency", "1", "--disable-hot-restart", "-l", "off"]
    return _process([program("envoy"), "-c", str(path), *options])


def _address(port: int) -> dict[str, object]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _envoy_config(place: Place) -> dict[str, object]:
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
        "address": _address(place.port),
        "filter_chains": [{"filters": [{"name": name, "typed_config": manager}]}],
    }
    return {"static_resources": {"listeners": [listener], "clusters": [_envoy_cluster(place)]}}


def _envoy_cluster(place: Place) -> dict[str, object]:
    endpoints = [{"endpoint": {"address": _address(one)}} for one in place.endpoints]
    check: dict[str, object] = {"timeout": "0.5s", "interval": "1s", "unhealthy_threshold": 3,
                                "healthy_threshold": 2}  # fmt: skip
    over_http2 = {"path": "/", "codec_client_type": "HTTP2"}
    cluster: dict[str, object] = {
        "name": "b",
        "type": "STATIC",
        "connect_timeout": "1s",
        "circuit_breakers": {"thresholds": [{"max_retries": 1000, "max_connections": 10000,
                             "max_pending_requests": 10000, "max_requests": 10000}]},
        "outlier_detection": {"consecutive_5xx": 5, "interval": "1s", "base_ejection_time": "2s",
                              "max_ejection_percent": 50},
        "health_checks": [check | {"http_health_check": {"path": "/"}}],
        "load_assignment": {"cluster_name": "b", "endpoints": [{"lb_endpoints": endpoints}]},
    }  # fmt: skip
    if place.upstream == H2C:
        options = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
        speaks = {"@type": options, "explicit_http_config": {"http2_protocol_options": {}}}
        cluster["typed_extension_protocol_options"] = {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": speaks
        }
        cluster["health_checks"] = [check | {"http_health_check": over_http2}]
    return cluster


PEERS: dict[str, Callable[[Place], Stop]] = {
    "headgate": _headgate,
    "nginx": _nginx,
    "haproxy": _haproxy,
    "envoy": _envoy,
}


def program(name: str) -> str:
    """Its path."""
    return shutil.which(name) or name


def can(peer: str, upstream: str) -> bool:
    """Whether it is installed, and speaks this to endpoints (nginx does so from 1.29.4 on)."""
    is_here = peer == "headgate" or shutil.which(peer) is not None
    return is_here and (peer, upstream) != ("nginx", H2C)


def _process(command: list[str]) -> Stop:
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop() -> None:
        process.send_signal(signal.SIGTERM)
        process.wait()

    return stop
