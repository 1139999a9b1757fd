"""Caddy, built from its Go module into the work folder when wanted."""

import json
import os
import shutil
import signal
import subprocess

from machine import PROXY_CPU, pin, tree
from workdir import WORK

from peers.base import Place, Processes, Setup

_MODULE = "github.com/caddyserver/caddy/v2/cmd/caddy@latest"
_BIN = WORK / "go" / "bin" / "caddy"
_MOST_ROUTES = 1_000

Json = dict[str, object]


class Caddy:
    """Caddy's newest release."""

    name = "caddy"

    def missing(self) -> str:
        """Builds it the first time."""
        if _BIN.exists():
            return ""
        if shutil.which("go") is None:
            return "go is not installed"
        env = {**os.environ, "GOBIN": str(_BIN.parent), "CGO_ENABLED": "0"}
        done = subprocess.run(
            ["go", "install", _MODULE], env=env, capture_output=True, text=True, check=False
        )
        return "" if done.returncode == 0 else f"does not build: {done.stderr.strip()[-200:]}"

    def version(self) -> str:
        """`caddy version`."""
        done = subprocess.run([_BIN, "version"], capture_output=True, text=True, check=False)
        return "caddy " + done.stdout.split()[0]

    def refuses(self, setup: Setup) -> str:
        """It walks its routes one by one."""
        if setup.relay:
            return "its own build has no layer 4"
        if setup.feature:
            return f"it is not compared with in {setup.feature}"
        if setup.reloads:
            return "its reload is not measured here"
        if setup.count > _MOST_ROUTES:
            return f"more than {_MOST_ROUTES} routes take it too long to be measured"
        return ""

    def command(self, setup: Setup, place: Place) -> list[str]:
        """Writes caddy.json; one thread runs Go code at a time."""
        path = place.folder / "caddy.json"
        path.write_text(self.config_text(setup, place))
        home = f"HOME={place.folder}"
        return ["env", "GOMAXPROCS=1", home, str(_BIN), "run", "--config", str(path)]

    def config_text(self, setup: Setup, place: Place) -> str:
        """caddy.json."""
        server: Json = {
            "listen": [f":{place.http_port}"],
            "automatic_https": {"disable": True},
            "idle_timeout": "600s",
            "protocols": ["h2", "h2c"] if setup.http2 else ["h1"],
            "routes": _routes(setup, place),
        }
        servers: dict[str, Json] = {"a": server}
        apps: Json = {"http": {"servers": servers}}
        if setup.access_log:
            server["logs"] = {"default_logger_name": "access"}
        if setup.tls_group:
            # Clients here send no name, or an address for one.
            name = {"default_sni": "bench.example", "fallback_sni": "bench.example"}
            policy = {"curves": [setup.tls_group], "protocol_min": "tls1.3", **name}
            listen = [f":{place.tls_port}"]
            servers["b"] = {**server, "listen": listen, "tls_connection_policies": [policy]}
            pair = {"certificate": str(place.cert), "key": str(place.key)}
            apps["tls"] = {
                "certificates": {"load_files": [pair]},
                "session_tickets": {"disabled": True},
            }
        logs: Json = {"default": {"level": "ERROR"}}
        if setup.access_log:
            writer = {"output": "file", "filename": str(place.access_log), "roll": False}
            include = ["http.log.access.access"]
            logs["access"] = {"writer": writer, "encoder": {"format": "json"}, "include": include}
        whole = {"admin": {"disabled": True}, "logging": {"logs": logs}, "apps": apps}
        return json.dumps(whole, indent=1)

    def processes(self, pid: int, place: Place) -> Processes:
        """One process."""
        whole = tree(pid)
        pin(whole, PROXY_CPU)
        return Processes(whole, whole)

    def reload(self, pid: int, setup: Setup, place: Place) -> None:
        """Refused by `refuses`."""
        os.kill(pid, signal.SIGTERM)


def _routes(setup: Setup, place: Place) -> list[Json]:
    transport: Json = {
        "protocol": "http",
        "compression": False,
        "keep_alive": {
            "enabled": True,
            "max_idle_conns": 1024,
            "max_idle_conns_per_host": 1024,
            "idle_timeout": "600s",
        },
    }
    if setup.upstream != "http1":
        transport["versions"] = ["h2c"]
    proxy: Json = {
        "handler": "reverse_proxy",
        "upstreams": [{"dial": f"127.0.0.1:{place.backend_port}"}],
        "transport": transport,
    }
    if setup.kind == "plain":
        return [{"handle": [proxy]}]

    def match(pattern: str) -> Json:
        if setup.kind == "hosts":
            return {"host": [pattern]}
        if setup.kind == "prefixes":
            return {"path": [pattern + "*"]}
        return {"path_regexp": {"pattern": f"^{pattern}$"}}

    patterns = (setup.pattern(i) for i in range(setup.count))
    return [{"match": [match(p)], "handle": [proxy], "terminal": True} for p in patterns]
