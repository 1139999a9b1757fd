"""Keeps browsers out: a web page must not reach the admin API through its reader's machine.

A request with an `Origin` comes from a page. An unknown name as `Host` comes from a page too, whose
name somebody made resolve to us; an address cannot be forged like that.
"""

import ipaddress
from collections.abc import Iterable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send


def host_is_known(host: str, names: frozenset[str]) -> bool:
    """Reports whether a Host header (with or without port) is an address or one of the names.

    >>> host_is_known("127.0.0.1:9090", frozenset()), host_is_known("[::1]", frozenset())
    (True, True)
    >>> host_is_known("evil.example:9090", frozenset({"localhost"}))
    False
    """
    bare = host.strip().lower()
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") <= 1:
        bare = bare.partition(":")[0]
    if bare in names:
        return True
    try:
        ipaddress.ip_address(bare)
    except ValueError:
        return False
    return True


class Guard:
    """Answers 403 to what a browser could have been tricked into."""

    def __init__(self, app: ASGIApp, names: Iterable[str] = ()) -> None:
        """`names`: further known Hosts beside addresses, `localhost` and the Unix socket's."""
        self._app = app
        self._names = frozenset({"localhost", "headgate"} | {name.lower() for name in names})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes allowed requests on."""
        reason = self._reason(scope) if scope["type"] == "http" else None
        if reason is None:
            await self._app(scope, receive, send)
            return
        await JSONResponse({"error": reason}, status_code=403)(scope, receive, send)

    def _reason(self, scope: Scope) -> str | None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        if any(name == b"origin" for name, _ in headers):
            return "requests of web pages (with an Origin) are refused"
        hosts = [value.decode("latin-1") for name, value in headers if name == b"host"]
        if len(hosts) != 1 or not host_is_known(hosts[0], self._names):
            return "unknown Host; use an address or localhost, or allow the name with --admin-host"
        return None
