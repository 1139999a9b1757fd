"""One server of `stream`: what it says of its listeners, its routes and their upstreams."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import servernames, values
from headgate.engines.nginx.imports.access import access_of
from headgate.engines.nginx.imports.around import Level
from headgate.engines.nginx.imports.effects import is_tls
from headgate.engines.nginx.imports.listens import Listen
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    validated,
)
from headgate.kernel.units import ByteSize
from headgate.nginxtext.includes import Located

_IDLE: Final = b"10m"
_CONNECT: Final = b"60s"
"""nginx's defaults of `proxy_timeout` and `proxy_connect_timeout`."""

_NO_END: Final = b"0"
"""The number of datagrams, or answers, that ends no flow (`proxy_requests`)."""

_HEAD: Final = b"30s"
"""nginx's default of `preread_timeout` and `proxy_protocol_timeout`."""

_KEPT: Final = frozenset(
    {
        *(b"access_log", b"error_log", b"limit_conn_log_level", b"open_log_file_cache"),
        *(b"map_hash_bucket_size", b"map_hash_max_size", b"proxy_buffer_size", b"proxy_half_close"),
        *(b"proxy_socket_keepalive", b"resolver", b"resolver_timeout", b"tcp_nodelay"),
        *(b"variables_hash_bucket_size", b"variables_hash_max_size"),
    }
)
"""The directives about how bytes move and what is logged."""

_FOLDED: Final = frozenset(
    {
        *(b"allow", b"deny", b"proxy_connect_timeout", b"proxy_next_upstream", b"proxy_timeout"),
        *(b"proxy_protocol", b"proxy_protocol_timeout", b"set_real_ip_from"),
        *(servernames.PREREAD, b"preread_timeout"),
        *(b"proxy_download_rate", b"proxy_upload_rate"),
        *(b"proxy_requests", b"proxy_responses"),
        *(b"ssl_certificate", b"ssl_certificate_key", b"ssl_handshake_timeout"),
    }
)
"""Settings that become part of the model, of the server or around it."""

_DEFINITIONS: Final = frozenset(
    {b"geo", b"limit_conn_zone", b"log_format", b"map", b"server", b"split_clients", b"upstream"}
)
_WHYS: Final[Mapping[bytes, str]] = {
    b"limit_conn": ": a listener counts all its connections, and the node those of a client on all "
    "listeners",
}
"""The explanation of what is there instead."""

_OWN: Final = frozenset({b"listen", b"proxy_pass"})
_TRUSTED: Final = b"set_real_ip_from"


class StreamServer(NamedTuple):
    """A server: its own lines, those of it and what it stands in, its addresses."""

    located: Located
    levels: tuple[Level, Level]
    listens: tuple[Listen, ...]

    def value(self, name: bytes, default: bytes) -> bytes:
        """Returns the argument of the nearest line of a name."""
        for level in self.levels:
            if found := level.named(name):
                return (*found[0].directive.values, b"")[0]
        return default

    @property
    def responds(self) -> bool:
        """True if a number of answers ends a flow."""
        return any(level.named(b"proxy_responses") for level in self.levels)

    @property
    def told(self) -> bool:
        """True if its endpoints get the client's address."""
        return self.value(b"proxy_protocol", b"off") == b"on"

    def trusted(self) -> list[str]:
        """Returns the peers whose PROXY headers count."""
        found = next((of for level in self.levels if (of := level.named(_TRUSTED))), [])
        return [values.text((*one.directive.values, b"")[0]) for one in found]

    def access(self) -> Sequence[Located]:
        """Returns the `allow` and `deny` lines in effect."""
        return next((level.access for level in self.levels if level.access), ())


def route(server: StreamServer, leads: Table) -> dict[str, Toml]:
    """Returns a route without its listeners; `leads` says where to, and of which names.

    Raises `NotExpressibleError`.
    """
    idle = values.duration(server.value(b"proxy_timeout", _IDLE))
    route: dict[str, Toml] = {
        **_client(server),
        **leads,
        "timeouts": {"idle": idle, "half_open": idle},
        **_paced(server),
    }
    validated(ModelObject("tcp_routes", "x", {"listeners": ["x"], **route}))
    return route


def udp_route(server: StreamServer, target: str) -> dict[str, Toml]:
    """Returns the route of datagrams without its listeners; raises `NotExpressibleError`."""
    if server.value(servernames.PREREAD, b"off") != b"off" or server.told or _paced(server):
        raise NotExpressibleError(
            "`ssl_preread`, `proxy_protocol` and rates of UDP have no counterpart"
        )
    requests = server.value(b"proxy_requests", _NO_END)
    if requests not in (_NO_END, b"1"):
        raise NotExpressibleError("`proxy_requests` other than 1 has no counterpart")
    answers = server.value(b"proxy_responses", _NO_END)
    if answers != _NO_END and not answers.isdigit():
        raise NotExpressibleError("`proxy_responses` has no number")
    if server.responds and answers == _NO_END:
        raise NotExpressibleError("`proxy_responses 0` has no counterpart: answers are passed on")
    route: dict[str, Toml] = {
        **_client(server),
        "upstream": target,
        "timeouts": {"idle": values.duration(server.value(b"proxy_timeout", _IDLE))},
    }
    if requests != _NO_END:
        route["balance_by"] = "datagram"
    if server.responds:
        route["answers"] = int(answers)
    validated(ModelObject("udp_routes", "x", {"listeners": ["x"], **route}))
    return route


def _client(server: StreamServer) -> Table:
    access = access_of(server.access())
    if access is None:
        return {}
    if access.denied or not access.allowed:
        raise NotExpressibleError("`deny` of some networks has no counterpart")
    return {"client": list(access.allowed)}


def _paced(server: StreamServer) -> Table:
    """Returns how many bytes pass in a second; those of one second pass at once in nginx, too."""
    found: dict[str, Toml] = {}
    for way in ("download", "upload"):
        said = server.value(f"proxy_{way}_rate".encode(), b"0")
        if values.has_variables(said):
            raise NotExpressibleError(f"`proxy_{way}_rate` with a variable has no counterpart")
        size = values.size(said)
        rate = 0 if size == "off" else ByteSize.parse(size).bytes
        if rate:
            found[way] = f"{ByteSize(rate)}/s"
    return {"bandwidth": found} if found else {}


def listener(server: StreamServer, one: Listen, secured: Table) -> dict[str, Toml]:
    """Returns the listener of a `listen`; `secured` is what it says of TLS.

    Raises `NotExpressibleError`.
    """
    if one.is_udp:
        of_udp: dict[str, Toml] = {"address": one.address, "protocol": "udp"}
        validated(ModelObject("listeners", "x", of_udp))
        return of_udp
    table: dict[str, Toml] = {"address": one.address, "protocol": "tcp"}
    if one.is_proxied:
        trusted = server.trusted()
        if not trusted:
            raise NotExpressibleError(
                "`listen … proxy_protocol` without `set_real_ip_from` believes no header"
            )
        timeout = values.duration(server.value(b"proxy_protocol_timeout", _HEAD))
        table["proxy_protocol"] = {"trusted": trusted, "timeout": timeout}
    if server.value(servernames.PREREAD, b"off") == b"on":
        time = values.duration(server.value(b"preread_timeout", _HEAD))
        table["timeouts"] = {"handshake": time}
    table = {**table, **secured}
    validated(ModelObject("listeners", "x", table))
    return table


def told(server: StreamServer) -> Table:
    """Returns what a server says of the connections to its upstreams."""
    connect = values.duration(server.value(b"proxy_connect_timeout", _CONNECT))
    times: Table = {"timeouts": {"connect": connect}}
    return {**times, "proxy_protocol": "v1"} if server.told else times


def notes(server: StreamServer, *, has_names: bool) -> Iterator[str]:
    """Yields what differs."""
    if any(one.is_udp for one in server.listens):
        yield (
            "listen … udp: a listener has 16,384 flows here, and the oldest idle one makes room; "
            "`limits.flows` says how many"
        )
    if all(one.is_udp for one in server.listens):
        return
    if server.value(b"proxy_half_close", b"off") != b"on":
        yield (
            "proxy_half_close: when one side ends, nginx ends the connection; here the other may "
            "still send"
        )
    if has_names:
        yield servernames.NOTE
    if any(one.is_proxied for one in server.listens):
        yield "proxy_protocol: peers that are not trusted are refused here, and clients there"


def check_lines(server: StreamServer) -> None:
    """Raises `NotExpressibleError` for the first line that may change what a server does."""
    own, around = server.levels
    for line in own.lines:
        if line.directive.name not in _KEPT | _FOLDED | _OWN and not _is_tls(line):
            name = line.directive.name
            why = _WHYS.get(name, "")
            raise NotExpressibleError(f"`{values.text(name)}` has no counterpart{why}")
    for name in _unknown(around):
        raise NotExpressibleError(f"`{values.text(name)}` around it has no counterpart")
    if server.value(b"proxy_next_upstream", b"on") != b"on":
        raise NotExpressibleError("`proxy_next_upstream off` has no counterpart")


def _unknown(around: Level) -> Iterator[bytes]:
    for line in around.lines:
        if line.directive.name not in _KEPT | _FOLDED | _DEFINITIONS and not _is_tls(line):
            yield line.directive.name


def _is_tls(line: Located) -> bool:
    """Reports whether it says how TLS is spoken, with whoever gets to speak it."""
    return is_tls(line.directive.name) and line.directive.name != b"ssl_reject_handshake"


def check_listen(one: Listen) -> None:
    """Raises `NotExpressibleError` for an address that no listener of ours can have."""
    if one.why or not one.is_address:
        raise NotExpressibleError(one.why or f"`listen {one.address}` has no counterpart")
    if one.tls and one.is_udp:
        raise NotExpressibleError("`listen … ssl` of UDP has no counterpart")
