"""Renders `listen` and what a listener says of its clients."""

from typing import Final

from headgate.engines.nginx.render import forwarded, http2, names, proxied
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.prelude import mapped
from headgate.engines.nginx.render.upstreams import time
from headgate.features.nginx import About, quoted, whole
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    Literal,
    MapKey,
    Regex,
    Template,
    Var,
    Word,
    argument,
    comment,
    directive,
)
from headgate.plan.objects import Listener

_OURS: Final = Listener((), "http")
_MANY: Final = 1_000_000_000
_WILD: Final = ("0.0.0.0", "[::]")  # noqa: S104 - compared, not bound


def listens(ctx: Context, listeners: list[str], *, is_default: bool) -> list[Node]:
    """Returns the `listen` lines of a server;
    the options of an address stand in its default server.
    """
    found: list[Node] = []
    for name in listeners:
        listener = ctx.listeners[name]
        words = [Word("proxy_protocol")] if listener.client_ip.proxy_protocol is not None else []
        words += [Word("ssl")] if listener.tls is not None else []
        words += [Word("http2")] if http2.in_listen(ctx, name) else []
        if is_default:
            words.append(Word("default_server"))
        found += addresses(listener, words, with_options=is_default)
    return found


def addresses(listener: Listener, words: list[Word], *, with_options: bool) -> list[Node]:
    """Returns the `listen` lines of a listener, with the options of its sockets."""
    options = [Word(f"backlog={listener.backlog}"), Word(_keepalive(listener))]
    options += [Word(f"fastopen={listener.fast_open}")] if listener.fast_open else []
    words = words + (options if with_options else [])
    found: list[Node] = []
    for address in listener.addresses:
        only = [Word("ipv6only=on")] if with_options and address.startswith("[") else []
        found.append(directive("listen", Word(address), *words, *only))
    return found


def _keepalive(listener: Listener) -> str:
    seconds = -(-listener.tcp_keepalive_ms // 1000)
    return f"so_keepalive={seconds}s::" if seconds else "so_keepalive=off"


def base(ctx: Context) -> list[Node]:
    """Returns the defaults of listeners. A guest's servers include the defaults, and nginx takes
    such a line once in a server, so that each has its own ones instead.
    """
    return [] if ctx.target.mode == "guest" else _all(ctx, _OURS)


def settings(ctx: Context, listener: Listener) -> list[Node]:
    """Returns what differs from the defaults, and the trusted peers."""
    nodes = proxied.settings(ctx, listener) + forwarded.real_ip(ctx, listener)
    if ctx.target.mode == "guest":
        return nodes + _all(ctx, listener)
    changed = {key for key in _every_field() if getattr(listener, key) != getattr(_OURS, key)}
    nodes += _settings(listener, changed)
    if listener.header_count != _OURS.header_count and ctx.has("max_headers"):
        nodes.append(directive("max_headers", Word(str(listener.header_count))))
    return nodes + http2.settings(ctx, listener)


def _all(ctx: Context, listener: Listener) -> list[Node]:
    """Returns every line that listeners may differ in."""
    nodes = [*_settings(listener, _every_field()), *http2.streams(ctx, listener)]
    if ctx.has("max_headers"):
        nodes.append(directive("max_headers", Word(str(listener.header_count))))
    return nodes


def _every_field() -> set[str]:
    return {"head_bytes", "keepalive_requests", "head_timeout_ms", "idle_timeout_ms"}


def _settings(listener: Listener, keys: set[str]) -> list[Node]:
    nodes: list[Node] = []
    if "head_bytes" in keys:
        size = Word(str(listener.head_bytes))
        nodes.append(directive("large_client_header_buffers", Word("1"), size))
    if "head_timeout_ms" in keys:
        nodes.append(directive("client_header_timeout", time(listener.head_timeout_ms)))
    if "idle_timeout_ms" in keys:
        nodes.append(directive("keepalive_timeout", time(listener.idle_timeout_ms)))
    if "keepalive_requests" in keys:
        count = listener.keepalive_requests or _MANY
        nodes.append(directive("keepalive_requests", Word(str(count))))
    return nodes


def check(ctx: Context) -> None:
    """Refuses and notes what nginx cannot say of a listener.

    Leaves out those whose names nginx cannot read, since they are refused in any case.
    """
    written = {}
    for name, listener in ctx.listeners.items():
        if is_written(ctx, "listener", name):
            written[name] = listener
    ctx.listeners = written
    for name, listener in ctx.listeners.items():
        about = ctx.findings.of("listener", name)
        if listener.client_ip.header == "forwarded" and listener.client_ip.trusted:
            about.refuse("client_ip.header", "nginx does not read `Forwarded`")
        if listener.detect_timeout_ms:
            about.refuse("detect", "a port of nginx is one of HTTP or one of TCP")
        proxied.check(ctx, listener, about)
        if listener.header_count != _OURS.header_count and not ctx.has("max_headers"):
            about.refuse("limits.headers", "this nginx does not count header lines")
        if listener.underscores_in_headers:
            about.refuse(
                "underscores_in_headers",
                "nginx cannot remove what strangers tell of the client (`X_Real_IP`) in every "
                "spelling once it takes names with `_`",
            )
        if listener.h2c and listener.tls is None and (why := http2.why_no_h2c(ctx)):
            about.refuse("h2c", why)
        http2.check(listener, about)
        if listener.handshake_timeout_ms not in (
            _OURS.handshake_timeout_ms,
            listener.head_timeout_ms,
        ):
            about.refuse("timeouts.handshake", "nginx has one time for handshake and head")
        _sockets(ctx, listener, about)
        if listener.tls is not None and listener.tls.strict_sni:
            about.refuse("tls.strict_sni", "nginx compares no host with a certificate")


def _sockets(ctx: Context, listener: Listener, about: About) -> None:
    if listener.fast_open and not ctx.has("fastopen"):
        about.refuse("fast_open", "this nginx has no `fastopen`")
    if listener.max_connections:
        about.refuse("limits.connections", "nginx limits requests in flight, not open connections")


def is_written(ctx: Context, kind: str, name: str) -> bool:
    """Reports whether nginx can read an object's name; refuses the object if not."""
    with ctx.findings.of(kind, name).guarded(""):
        argument(whole(quoted(name)))
        argument(Literal(name))
        return True
    return False


def maps(ctx: Context) -> list[Node]:
    """Returns the map to the name of a request's or connection's listener."""
    exact: list[tuple[Arg, Arg]] = []
    wild: list[tuple[Arg, Arg]] = []
    # Listeners of TCP and UDP may have one address and port.
    by_protocol = any(one.protocol == "udp" for one in ctx.listeners.values())
    for name, listener in ctx.listeners.items():
        kind = f"{'UDP' if listener.protocol == 'udp' else 'TCP'} " if by_protocol else ""
        for address in listener.addresses:
            host, _, port = address.rpartition(":")
            if host not in _WILD:
                exact.append((MapKey(f"{kind}{host.strip('[]')} {port}"), Literal(name)))
            elif host == "[::]":
                of = rf"\A{kind}\S*" if kind else ""
                wild.append((Regex(rf"~{of}:\S* {port}\z"), Literal(name)))
            else:
                wild.append((Regex(rf"~\A{kind}[0-9.]+ {port}\z"), Literal(name)))
    asked: tuple[str | Var, ...] = (Var("protocol"), " ") if by_protocol else ()
    source = Template((*asked, Var("server_addr"), " ", Var("server_port")))
    return [
        comment("The listener by its address"),
        mapped("hg_listener", source, Literal(""), *exact, *wild),
    ]


def limits(ctx: Context) -> tuple[list[Node], list[Node]]:
    """Returns the node's limits: declarations for `http`, and directives for every server."""
    about = ctx.findings.of("settings", "node")
    if ctx.settings.shedding is not None:
        about.refuse("shedding", "nginx refuses no requests for what it has to do")
    if ctx.settings.tracing is not None:
        about.refuse("tracing", "nginx makes no traces without a module that Debian does not have")
    if ctx.settings.access_log is not None and ctx.settings.access_log.otlp is not None:
        about.refuse("access_log.otlp", "nginx sends no log records")
    if ctx.settings.limit_store is not None:
        about.refuse("limit_store", "nginx counts on each node alone")
    most = ctx.settings.max_connections_per_client
    if not most:
        return [], []
    about.note(
        "limits.connections_per_client",
        "nginx counts connections with a request in flight, and each request of HTTP/2",
    )
    key, size = "$binary_remote_addr", "10m"
    zone = names.zone("conn", key, size)
    ctx.zones[zone] = f"limit_conn {key} {size}"
    declared = directive("limit_conn_zone", Var("binary_remote_addr"), Word(f"zone={zone}:{size}"))
    used: list[Node] = [
        directive("limit_conn", Word(zone), Word(str(most))),
        directive("limit_conn_status", Word("503")),
    ]
    return [declared], used
