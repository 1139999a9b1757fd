"""Converts `set_real_ip_from` and its like to the trusted peers of a listener.

The lines stay in the kept text, too: a listener has no single place there.
"""

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
_LIST: Final = "x-forwarded-for"


def client_of(server: Level, http: Level) -> Table:
    """Returns the `client_ip` of the listeners of a server; empty where it trusts nobody.

    Raises `NotExpressibleError` for headers that we do not read, or read otherwise.
    """
    levels = (server, http)
    peers = _nearest(levels, b"set_real_ip_from")
    if not peers:
        return {}
    header = values.text((_nearest(levels, b"real_ip_header") or [_HEADER])[0]).lower()
    if header not in (_SINGLE, _LIST):
        raise NotExpressibleError(f"`real_ip_header {header}` has no counterpart")
    if header == _LIST and _nearest(levels, b"real_ip_recursive") != [b"on"]:
        raise NotExpressibleError("`real_ip_recursive` is off: trusted peers count as clients")
    table = {"trusted": [values.text(one) for one in peers], "header": header}
    validated(ModelObject("listeners", "x", {"address": _ADDRESS, "client_ip": table}))
    return table


def _nearest(levels: tuple[Level, ...], name: bytes) -> list[bytes]:
    found = next((lines for level in levels if (lines := level.named(name))), [])
    return [one.directive.values[0] for one in found if one.directive.args]


class ClientsByAddress:
    """Whom the servers of each address trust: a listener has one answer for them all."""

    def __init__(self) -> None:
        self._known: dict[str, Table] = {}

    def conflict(self, addresses: list[str], client: Table) -> str:
        """Returns why a server cannot share a listener with those before it; empty if it can."""
        for address in addresses:
            if self._known.setdefault(address, client) != client:
                return f"an earlier server on {address} trusts other peers"
        return ""
