"""Reads where HTTP/2 is spoken: `listen … http2`, or `http2 on`.

The words stay in the kept text, too: what they mean is said of an address as a whole here.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.imports.objects import ModelObject
from headgate.engines.nginx.imports.servers import Server

POLICY: Final = "http1"
"""The TLS policy of addresses without HTTP/2, which our own default offers."""


class Spoken(NamedTuple):
    """The addresses with HTTP/2: `whole` for every server, `some` for at least one."""

    whole: frozenset[str]
    some: frozenset[str]


def spoken_on(servers: Sequence[Server]) -> Spoken:
    """Returns the addresses on which clients may speak HTTP/2."""
    whole = {n.address for one in servers for n in one.listens if n.http2}
    some = {address for one in servers for address in _own(one)}
    return Spoken(frozenset(whole), frozenset(whole | some))


def _own(server: Server) -> set[str]:
    """Returns the addresses of a server on which its line `http2 on` counts."""
    # On a plain connection nginx looks at the default server, on one with TLS at the name's.
    heard = {one.address for one in server.listens if one.tls or one.address in server.defaults}
    return heard if server.http2 else set()


def policies(tls: frozenset[str], spoken: Spoken) -> list[ModelObject]:
    """Returns the policy of the addresses with TLS that do not speak HTTP/2, if there are any."""
    if tls <= spoken.some:
        return []
    return [ModelObject("tls_policies", POLICY, {"alpn": ["http/1.1"]})]


def notes(server: Server, spoken: Spoken) -> list[str]:
    """Returns how a server's HTTP/2 differs in the model."""
    found = []
    tls = dict.fromkeys(one.address for one in server.listens if one.tls)
    others = [one for one in tls if one in spoken.some - spoken.whole - _own(server)]
    if others:
        found.append(f"HTTP/2 is offered to its clients on {', '.join(others)} here")
    if any(one.http2 and not one.tls for one in server.listens):
        found.append("HTTP/2 without TLS: HTTP/1.1 is served beside it here")
    return found
