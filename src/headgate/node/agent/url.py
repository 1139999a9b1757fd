"""Says what the address of a master means. Pure.

The ports are the usual ones unless the address names another for its own scheme, and `?grpc=PORT`
or `?rest=PORT` the other one: `https://master.example:9080?grpc=9443`.
"""

from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit

from headgate.features.syntax import host_name
from headgate.kernel.errors import Invalid

Scheme = Literal["grpcs", "https", "wss"]

REST_PORT: Final = 8080
GRPC_PORT: Final = 8443
_PORTS: Final = 1 << 16
_ALLOWED: Final = (
    'write "grpcs://HOST" (gRPC), "https://HOST" (gRPC, or WebSocket where that cannot pass)'
    ' or "wss://HOST" (WebSocket)'
)


@dataclass(frozen=True, slots=True)
class MasterUrl:
    """The address of a master: its REST API, where agents enrol, and its gRPC port."""

    scheme: Scheme
    host: str
    rest_port: int = REST_PORT
    grpc_port: int = GRPC_PORT

    def __str__(self) -> str:
        own, other = (self.rest_port, self.grpc_port)
        usual = [("", REST_PORT), ("grpc", GRPC_PORT)]
        if self.scheme == "grpcs":
            own, other, usual = other, own, [("", GRPC_PORT), ("rest", REST_PORT)]
        port = f":{own}" if own != usual[0][1] else ""
        query = f"?{usual[1][0]}={other}" if other != usual[1][1] else ""
        return f"{self.scheme}://{bracketed(self.host)}{port}{query}"

    @property
    def grpc(self) -> str:
        """Host and port of the sessions over gRPC."""
        return f"{bracketed(self.host)}:{self.grpc_port}"

    @property
    def rest(self) -> str:
        """Host and port of the REST API, and of the sessions over WebSocket."""
        return f"{bracketed(self.host)}:{self.rest_port}"


def bracketed(host: str) -> str:
    """Returns a host as it stands before a port.

    >>> bracketed("::1"), bracketed("master.example")
    ('[::1]', 'master.example')
    """
    return f"[{host}]" if ":" in host else host


def master_url(text: str) -> MasterUrl:
    """Returns the address of a master; raises Invalid.

    >>> str(master_url("https://master.example:8080/"))
    'https://master.example'
    >>> str(master_url("grpcs://[::1]:9443?rest=9080"))
    'grpcs://[::1]:9443?rest=9080'
    """
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as wrong:
        raise Invalid(f'"{text}" is not an address of a master: {wrong}', _ALLOWED) from None
    scheme: Scheme
    if parts.scheme == "grpcs":
        scheme = "grpcs"
    elif parts.scheme == "https":
        scheme = "https"
    elif parts.scheme == "wss":
        scheme = "wss"
    elif parts.scheme in {"grpc", "http", "ws"}:
        what = f'"{text}" would carry keys and config without TLS'
        raise Invalid(what, f'write "{parts.scheme}s://…"')
    else:
        raise Invalid(f'"{text}" is not an address of a master', _ALLOWED)
    if not host:
        raise Invalid(f'"{text}" names no host', _ALLOWED)
    if not _is_host(host):
        raise Invalid(f'"{text}" is not an address of a master: "{host}" is not a host', _ALLOWED)
    if parts.username is not None or parts.path.strip("/") or parts.fragment:
        raise Invalid(f'"{text}" has more than a host and ports', _ALLOWED)
    is_grpc = scheme == "grpcs"
    other = _other_port(text, parts.query, "rest" if is_grpc else "grpc")
    rest, grpc = (other, port) if is_grpc else (port, other)
    return MasterUrl(scheme, host, rest or REST_PORT, grpc or GRPC_PORT)


def _is_host(text: str) -> bool:
    """Says whether this can be the name of a host, or an address."""
    if ":" in text:
        return True  # an IPv6 address, without its brackets
    try:
        host_name(text.encode("idna").decode())
    except ValueError:
        return False
    return True


def _other_port(text: str, query: str, name: str) -> int | None:
    """Returns the port that the query names; raises Invalid."""
    found = dict(parse_qsl(query, keep_blank_values=True))
    port = found.pop(name, None)
    is_port = port is None or (port.isdecimal() and 0 < int(port) < _PORTS)
    if found or not is_port:
        raise Invalid(f'"{text}" has a query that is no port', f'write "?{name}=PORT"')
    return int(port) if port is not None else None
