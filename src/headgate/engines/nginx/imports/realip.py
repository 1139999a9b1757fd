"""Converts `set_real_ip_from` and its like to the peers that a listener trusts: about the client,
or with a PROXY header.

The lines stay in the kept text, too: a listener has no single place there.
"""

from collections.abc import Set
from typing import Final

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.around import Level
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    validated,
)

_HEADER: Final = b"X-Real-IP"
"""nginx's default of `real_ip_header`."""

_ADDRESS: Final = "127.0.0.1:1"
_SINGLE: Final = "x-real-ip"
_LIST: Final = "X-Forwarded-For"
"""The word for the list, which nginx compares with case: in another case it is a header of which
the first line alone counts.
"""

_PROXY: Final = "proxy_protocol"


def client_of(server: Level, http: Level, proxied: Set[bool]) -> Table:
    """Returns what the listeners of a server say of clients; empty where it trusts nobody.

    `proxied`: whether its addresses have PROXY headers. Raises `NotExpressibleError` for headers
    that we do not read, or read otherwise.
    """
    levels = (server, http)
    peers = _nearest(levels, b"set_real_ip_from")
    named = values.text((_nearest(levels, b"real_ip_header") or [_HEADER])[0])
    if True in proxied:
        return _proxied(peers if named == _PROXY else [], proxied)
    if not peers:
        return {}
    if named == _PROXY:
        raise NotExpressibleError("`real_ip_header proxy_protocol` without such a `listen`")
    return {"client_ip": _client_ip(levels, peers, named)}


def _proxied(peers: list[bytes], proxied: Set[bool]) -> Table:
    if False in proxied:
        raise NotExpressibleError("`proxy_protocol` holds for some of its addresses only")
    if not peers:
        raise NotExpressibleError(
            "`listen … proxy_protocol` without `set_real_ip_from` and `real_ip_header "
            "proxy_protocol` believes no header"
        )
    table: Table = {"trusted": [values.text(one) for one in peers]}
    validated(ModelObject("listeners", "x", {"address": _ADDRESS, "proxy_protocol": table}))
    return {"proxy_protocol": table}


def _client_ip(levels: tuple[Level, ...], peers: list[bytes], header: str) -> Table:
    if header != _LIST and header.lower() != _SINGLE:
        raise NotExpressibleError(f"`real_ip_header {header}` has no counterpart")
    if header == _LIST and _nearest(levels, b"real_ip_recursive") != [b"on"]:
        raise NotExpressibleError("`real_ip_recursive` is off: trusted peers count as clients")
    table: Table = {"trusted": [values.text(one) for one in peers], "header": header.lower()}
    validated(ModelObject("listeners", "x", {"address": _ADDRESS, "client_ip": table}))
    return table


def _nearest(levels: tuple[Level, ...], name: bytes) -> list[bytes]:
    found = next((lines for level in levels if (lines := level.named(name))), [])
    return [one.directive.values[0] for one in found if one.directive.args]


class ClientsByAddress:
    """The peers that the servers of each address trust: a listener has one answer for them all."""

    def __init__(self) -> None:
        self._known: dict[str, Table] = {}

    def conflict(self, addresses: list[str], client: Table) -> str:
        """Returns why a server cannot share a listener with those before it; empty if it can."""
        for address in addresses:
            if self._known.setdefault(address, client) != client:
                return f"an earlier server on {address} trusts other peers"
        return ""
