"""Converts `listen … ssl` of `stream`: TLS that ends at a listener, with one certificate.

nginx gives every client of a server its certificate, whatever name it asks for; here a host's
certificate counts on each listener. The lines of the certificate stay in the kept text.
"""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Final

from headgate.engines.nginx.imports import servernames, tables, values
from headgate.engines.nginx.imports.effects import is_tls
from headgate.engines.nginx.imports.naming import Names
from headgate.engines.nginx.imports.objects import ModelObject, NotExpressibleError, Toml
from headgate.engines.nginx.imports.servers import Pair, Server, pairs_of
from headgate.engines.nginx.imports.streamservers import StreamServer

_HANDSHAKE: Final = b"60s"
"""nginx's default of `ssl_handshake_timeout`."""


class Certificates:
    """The certificates of TCP listeners; those of HTTP keep the names that they have."""

    def __init__(self, servers: Sequence[Server], prefix: str) -> None:
        self._prefix = prefix
        self._known: Mapping[Pair, str] = tables.certificate_names(servers)
        self._of_hosts: Set[Pair] = {
            pair for one in servers if tables.reached(one) for pair in one.pairs
        }
        self._names = Names()
        for name in self._known.values():
            self._names.take(name)
        self._made: dict[Pair, str] = {}
        self._used: set[str] = set()

    def listener(self, server: StreamServer) -> dict[str, Toml]:
        """Returns what a listener of a server says of TLS; raises `NotExpressibleError`."""
        if server.value(servernames.PREREAD, b"off") != b"off":
            raise NotExpressibleError("`ssl_preread` of TLS that ends has no counterpart")
        pairs = pairs_of(*server.levels, self._prefix)
        if len(pairs) != 1:
            raise NotExpressibleError("a TCP listener has one certificate here")
        if self._of_hosts - set(pairs):
            raise NotExpressibleError(
                "clients that ask for a host with a certificate of its own would get that one here"
            )
        (pair,) = pairs
        name = self._known.get(pair) or self._made.get(pair)
        if name is None:
            name = self._made[pair] = self._names.take(f"stream-{len(self._made) + 1}")
        time = values.duration(server.value(b"ssl_handshake_timeout", _HANDSHAKE))
        return {
            "tls": {"default_certificate": name, "unknown_sni": "default"},
            "timeouts": {"handshake": time},
        }

    def use(self, name: str) -> None:
        """Notes that a listener has this certificate."""
        self._used.add(name)

    def objects(self) -> Iterator[ModelObject]:
        """Yields the certificates in use that no host has."""
        for pair, name in self._made.items():
            if name in self._used:
                files: dict[str, Toml] = {"cert_file": pair.cert_file, "key_file": pair.key_file}
                yield ModelObject("certificates", name, files)


def notes_of(server: StreamServer) -> Iterator[str]:
    """Yields what differs where TLS ends."""
    if not any(one.tls for one in server.listens):
        return
    yield "TLS: nginx ends a connection with its first half; here the other side may still send"
    lines = [one.directive.name for level in server.levels for one in level.lines]
    kept = dict.fromkeys(values.text(name) for name in lines if is_tls(name))
    if kept:
        yield f"{', '.join(kept)}: kept, listeners have a policy of their own"
