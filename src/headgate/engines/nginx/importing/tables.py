"""Listeners, hosts and certificates of the servers that became model."""

from collections.abc import Sequence

from headgate.engines.nginx.importing.naming import Names
from headgate.engines.nginx.importing.objects import ModelObject, NotExpressibleError, Toml
from headgate.engines.nginx.importing.servers import Pair, Server


def listener_names(servers: Sequence[Server]) -> dict[str, str]:
    """A name for each address; the same whatever servers come later, but for the scheme."""
    tls = _tls_addresses(servers)
    names = Names()
    return {
        address: names.take(_listener_name(address, tls=address in tls))
        for address in dict.fromkeys(one.address for server in servers for one in server.listens)
    }


def _listener_name(address: str, *, tls: bool) -> str:
    host, _, port = address.rpartition(":")
    scheme = "https" if tls else "http"
    where = {"0.0.0.0": "", "[::]": "-v6"}.get(host, f"-{host.strip('[]')}")  # noqa: S104
    return f"{scheme}{where}-{port}"


def listener_objects(servers: Sequence[Server], names: dict[str, str]) -> list[ModelObject]:
    """The listeners by these names."""
    certificates = certificate_names(servers)
    tls = _tls_addresses(servers)
    found = []
    for address, name in names.items():
        table: dict[str, Toml] = {"address": address}
        if address in tls:
            table["tls"] = _tls(address, servers, certificates)
        found.append(ModelObject("listeners", name, table))
    return found


def _tls_addresses(servers: Sequence[Server]) -> frozenset[str]:
    return frozenset(one.address for server in servers for one in server.listens if one.tls)


def _tls(address: str, servers: Sequence[Server], certificates: dict[Pair, str]) -> dict[str, Toml]:
    """nginx gives its default server's certificate to names nobody has."""
    for server in servers:
        if address in server.defaults and server.pairs and not server.rejects_unknown:
            name = certificates[server.pairs[0]]
            return {"default_certificate": name, "unknown_sni": "default"}
    return {}


def certificate_names(servers: Sequence[Server]) -> dict[Pair, str]:
    """A name for each pair: that of the first host it serves."""
    names = Names()
    found: dict[Pair, str] = {}
    for server in servers:
        for pair in server.pairs:
            if pair not in found:
                found[pair] = names.take((server.names or ("default",))[0].removeprefix("*."))
    return found


def certificate_objects(servers: Sequence[Server]) -> list[ModelObject]:
    """The certificates by their names."""
    return [
        ModelObject("certificates", name, {"cert_file": pair.cert_file, "key_file": pair.key_file})
        for pair, name in certificate_names(servers).items()
    ]


def host_objects(servers: Sequence[Server]) -> list[ModelObject]:
    """The hosts; raises `NotExpressibleError` where two servers give one host two certificates."""
    certificates = certificate_names(servers)
    pairs: dict[str, tuple[Pair, ...]] = {}
    for server in servers:
        for name in server.names:
            known = pairs.get(name, ())
            if known and server.pairs and known != server.pairs:
                raise NotExpressibleError(f"{name} has another certificate on another listener")
            pairs[name] = known or server.pairs
    return [
        ModelObject(
            "hosts",
            name,
            {"certificate": [certificates[pair] for pair in own]} if own else {},
        )
        for name, own in pairs.items()
    ]
