"""Makes the config of a node of what a program gave: real ports, certificates of listeners."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from headgate.library.compiled import Config, compiled, tree
from headgate.library.listener import Listener, TlsConfig

Tables = dict[str, dict[str, object]]
Ports = dict[tuple[str, int], int]
"""The port of each address that was given with port 0: by listener and place in its list."""

_QUICK: Final[dict[str, object]] = {
    "admin": "off",
    "drain": {"delay": "50ms", "idle_grace": "100ms", "deadline": "30s"},
}
"""The values of `node` unless the config sets others: no port for the admin API, a short drain."""


def placed(config: Config, ports: Ports) -> tuple[dict[str, object], Tables]:
    """Returns the config of a node, and its listeners; puts free ports into `ports` where there are
    none yet. Raises `ConfigError`."""
    given = {key: tree(value) for key, value in config.items()}
    node = given.get("node", {})
    whole = given | {"node": _QUICK | node if isinstance(node, dict) else node}
    named = config.get("listeners", {})
    listeners = _tables(given.get("listeners", {}))
    for name, table in listeners.items():
        table["address"] = _with_ports(name, table.get("address"), ports)
        one = named[name] if isinstance(named, Mapping) else None
        if isinstance(one, Listener) and one.tls is not None:
            certificate, tls = _terminated(name, one.tls)
            table["tls"] = tls
            whole["certificates"] = _tables(whole.get("certificates", {})) | certificate
    compiled(whole | ({"listeners": listeners} if listeners else {}))
    return whole | {"listeners": listeners}, listeners


def _tables(value: object) -> Tables:
    """Returns copies of a section's tables; none for what is no section, which `compiled` tells."""
    if not isinstance(value, Mapping) or not all(
        isinstance(one, Mapping) for one in value.values()
    ):
        return {}
    return {str(name): dict(table) for name, table in value.items()}


def _with_ports(listener: str, address: object, ports: Ports) -> object:
    if isinstance(address, list):
        return [_port(listener, place, one, ports) for place, one in enumerate(address)]
    return _port(listener, 0, address, ports)


def _port(listener: str, place: int, address: object, ports: Ports) -> object:
    host, colon, port = str(address).rpartition(":")
    if port != "0" or not colon:
        return address
    key = (listener, place)
    if key not in ports:
        ports[key] = _free(host.strip("[]"))
    return f"{host}:{ports[key]}"


def _free(host: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as one:
        one.bind((host, 0))
        return int(one.getsockname()[1])


def _terminated(listener: str, tls: TlsConfig) -> tuple[Tables, dict[str, object]]:
    """Returns the certificate of a listener, and the listener's table `tls`."""
    name = f"{listener}-listener"
    files: dict[str, object] = {
        "cert_file": str(Path(tls.certificate).absolute()),
        "key_file": str(Path(tls.key).absolute()),
    }
    table: dict[str, object] = {"default_certificate": name, "unknown_sni": "default"}
    return {name: files}, table | ({"policy": tls.policy} if tls.policy else {})
