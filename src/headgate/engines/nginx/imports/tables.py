"""Makes listeners, hosts and certificates of the servers that became model."""

from collections.abc import Sequence

from headgate.engines.nginx.imports import http2
from headgate.engines.nginx.imports.naming import Names
from headgate.engines.nginx.imports.objects import ModelObject, Table, Toml
from headgate.engines.nginx.imports.servers import Pair, Server


def listener_names(servers: Sequence[Server]) -> dict[str, str]:
    """Returns a name for each address; later servers do not change it, apart from the scheme."""
    tls = _tls_addresses(servers)
    names = Names()
    return {
        address: names.take(listener_name("https" if address in tls else "http", address))
        for address in dict.fromkeys(one for server in servers for one in server.addresses)
    }


def listener_name(scheme: str, address: str) -> str:
    """Returns what to call a listener, such as `http-80`."""
    host, _, port = address.rpartition(":")
    where = {"0.0.0.0": "", "[::]": "-v6"}.get(host, f"-{host.strip('[]')}")  # noqa: S104
    return f"{scheme}{where}-{port}"


def listener_objects(servers: Sequence[Server], names: dict[str, str]) -> list[ModelObject]:
    """Returns the listeners by these names."""
    certificates = certificate_names(servers)
    tls = _tls_addresses(servers)
    spoken = http2.spoken_on(servers)
    clients: dict[str, Table] = {}
    for server in servers:
        for address in server.addresses:
            clients.setdefault(address, server.client)
    found = []
    for address, name in names.items():
        table: dict[str, Toml] = {"address": address, **clients[address]}
        if address in tls:
            policy: dict[str, Toml] = {} if address in spoken.some else {"policy": http2.POLICY}
            table["tls"] = {**_tls(address, servers, certificates), **policy}
        elif address in spoken.some:
            table["h2c"] = True
        found.append(ModelObject("listeners", name, table))
    return found


def policy_objects(servers: Sequence[Server]) -> list[ModelObject]:
    """Returns the TLS policies of the listeners."""
    return http2.policies(_tls_addresses(servers), http2.spoken_on(servers))


def _tls_addresses(servers: Sequence[Server]) -> frozenset[str]:
    return frozenset(one.address for server in servers for one in server.listens if one.tls)


def _tls(address: str, servers: Sequence[Server], certificates: dict[Pair, str]) -> dict[str, Toml]:
    """Returns the TLS table: nginx gives its default server's certificate to unknown names."""
    for server in servers:
        if address in server.defaults and server.pairs and not server.rejects_unknown:
            name = certificates[server.pairs[0]]
            return {"default_certificate": name, "unknown_sni": "default"}
    return {}


def certificate_names(servers: Sequence[Server]) -> dict[Pair, str]:
    """Returns a name for each pair: that of the first host it serves."""
    names = Names()
    found: dict[Pair, str] = {}
    for server in servers:
        for pair in server.pairs:
            if pair not in found:
                found[pair] = names.take((server.names or ("default",))[0].removeprefix("*."))
    return found


def certificate_objects(servers: Sequence[Server]) -> list[ModelObject]:
    """Returns the certificates by their names."""
    return [
        ModelObject("certificates", name, {"cert_file": pair.cert_file, "key_file": pair.key_file})
        for pair, name in certificate_names(servers).items()
    ]


def host_objects(servers: Sequence[Server]) -> list[ModelObject]:
    """Returns the hosts, each with the certificates of its first server that has any."""
    certificates = certificate_names(servers)
    pairs: dict[str, tuple[Pair, ...]] = {}
    for server in servers:
        for name in reached(server):
            pairs[name] = pairs.get(name, ()) or server.pairs
    return [
        ModelObject(
            "hosts",
            name,
            {"certificate": [certificates[pair] for pair in own]} if own else {},
        )
        for name, own in pairs.items()
    ]


def reached(server: Server) -> list[str]:
    """Returns the names that lead to a server on some address."""
    return list(dict.fromkeys(name for names in server.hosts.values() for name in names))


class CertificatesByName:
    """The certificates of each name: a host has them on every listener."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Pair, ...]] = {}

    def conflicts(self, server: Server) -> list[str]:
        """Returns names with other certificates in an earlier server; remembers this one's."""
        found = []
        for name in reached(server):
            known = self._known.get(name, ())
            if known and server.pairs and known != server.pairs:
                found.append(f"{name} has another certificate on another listener")
            self._known[name] = known or server.pairs
        return found
