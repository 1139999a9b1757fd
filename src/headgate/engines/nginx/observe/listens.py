"""Parses nginx's `listen`. Pure.

<https://nginx.org/en/docs/http/ngx_http_core_module.html#listen>
"""

import re
from collections.abc import Sequence
from typing import Final

from headgate.engines.nginx.observe.facts import Listen

_PORTS: Final = re.compile(r"(\d+)(?:-(\d+))?")
_MOST_PORTS: Final = 1000


def listen_of(words: Sequence[str]) -> list[Listen]:
    """Returns the addresses of a `listen`'s arguments:
    several for a range of ports, none if invalid.

    >>> [one.address for one in listen_of(["[::]:443", "ssl"])], listen_of(["8080"])[0].address
    (['[::]:443'], '0.0.0.0:8080')
    """
    if not words:
        return []
    where, *options = words
    flags = {
        "tls": "ssl" in options,
        "proxy_protocol": "proxy_protocol" in options,
        "default": "default_server" in options or "default" in options,
        "quic": "quic" in options or "udp" in options,
    }
    return [Listen(address, **flags) for address in _addresses(where)]


def _addresses(where: str) -> list[str]:
    if where.startswith("unix:"):
        return [where]
    host, ports = _split(where)
    found = _PORTS.fullmatch(ports)
    if found is None:
        return []
    first, last = int(found[1]), int(found[2] or found[1])
    last = min(last, first + _MOST_PORTS - 1)
    return [f"{host}:{port}" for port in range(first, last + 1)]


def _split(where: str) -> tuple[str, str]:
    """Returns host and ports; nginx's defaults are every address and port 80."""
    if where.startswith("["):
        host, _, rest = where.partition("]")
        return f"{host}]", rest.removeprefix(":") or "80"
    if _PORTS.fullmatch(where):
        return "0.0.0.0", where  # noqa: S104 - what nginx listens on
    host, _, ports = where.partition(":")
    return ("0.0.0.0" if host in ("*", "") else host), ports or "80"  # noqa: S104 - likewise
