"""Renders upstreams: their blocks, and the directives of a location that goes to one."""

from collections.abc import Iterable, Sequence
from typing import Final

from headgate.engines.nginx.render import lua, names
from headgate.engines.nginx.render.context import Context
from headgate.features.nginx import About
from headgate.features.nginx_registry import balanced
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import FilePath, Plain, Word, comment, directive
from headgate.plan.objects import Endpoint, Pool, Upstream, UpstreamTls

FOREVER_MS: Final = 24 * 24 * 3_600_000
""""off" where nginx cannot wait without end: the longest time that it takes safely."""

_ZONE_BASE: Final = 64
_ENDPOINTS_PER_KIB: Final = 2
_MAX_KEEPALIVE: Final = 65_536
_KEPT_IDLE: Final = 32
"""Idle connections per endpoint and worker by default."""

_DEFAULT: Final = Upstream(())
_MANY: Final = 1_000_000_000
_VERIFY_DEPTH: Final = 10


def block(name: str, upstream: Upstream, ctx: Context) -> list[Node]:
    """Returns the `upstream` block; empty when no endpoint takes anything."""
    about = ctx.findings.of("upstream", name)
    _check(upstream, about, ctx)
    if lua.is_dynamic(upstream, ctx):
        nodes = lua.servers(name, upstream) + _pool(upstream, lua.KEPT_ENDPOINTS, ctx, about)
        return _block(name, nodes)
    kind = upstream.balance.kind
    method = balanced(upstream.balance, ctx.shared, ctx.has, about)
    used = [(i, e) for i, e in enumerate(upstream.endpoints) if e.weight]
    if not used:
        return []
    nodes = []
    if ctx.has("zone") and _shares(used, upstream, ctx):
        size = _ZONE_BASE + len(used) // _ENDPOINTS_PER_KIB
        zone = names.zone("up" if ctx.within == "http" else "tcp_up", name, size)
        ctx.zones[zone] = f"upstream {name} {size}k"
        nodes.append(directive("zone", Word(zone), Word(f"{size}k")))
    nodes += method.nodes
    for index, endpoint in used:
        if endpoint.backup and not method.allows_backup:
            about.refuse(f"endpoints[{index}].backup", f"nginx has no backups beside {kind}")
        out = ctx.target.out.get(name, frozenset())
        nodes += _servers(endpoint, upstream, ctx, about.at(f"endpoints[{index}]"), out)
    if all(endpoint.backup for _, endpoint in used):
        about.refuse("endpoints", "nginx needs an endpoint that is not a backup")
    nodes += _pool(upstream, len(upstream.endpoints), ctx, about)
    nodes += _resolver(upstream, ctx)
    return _block(name, nodes)


def takes(upstream: Upstream) -> bool:
    """Reports whether an endpoint takes anything, so that what is said of connections matters."""
    return any(one.weight for one in upstream.endpoints)


def _shares(used: Sequence[tuple[int, Endpoint]], upstream: Upstream, ctx: Context) -> bool:
    """Reports whether workers have state to share; a zone takes at least 20 KiB of memory.

    Turns, counts of connections, addresses that change while nginx runs.
    """
    limited = upstream.max_connections or any(one.max_connections for _, one in used)
    named = any(_is_named(one.address) for _, one in used)
    return len(used) > 1 or bool(limited) or (named and _resolves(ctx))


def _block(name: str, nodes: list[Node]) -> list[Node]:
    text = comment(f"upstream {name}")
    return [text, directive("upstream", Word(names.upstream(name)), children=nodes)]


def _check_connections(upstream: Upstream, about: About, ctx: Context) -> None:
    if upstream.protocol != _DEFAULT.protocol:
        about.refuse("protocol", "this engine has nginx speak HTTP/1.1 to endpoints")
    if upstream.pool.proxy_protocol is not None and ctx.within == "http":
        about.refuse("proxy_protocol", "nginx tells endpoints of HTTP nothing before a request")
    check = upstream.health.check
    is_datagram = check is not None and check.bytes is not None and check.bytes.is_datagram
    if is_datagram and upstream.pool.proxy_protocol is not None:
        about.refuse(
            "health_check.protocol",
            "nginx tells endpoints of clients in version 1 of the PROXY protocol, which has no "
            'datagrams; write protocol = "tcp", or leave `proxy_protocol` out',
        )


def _check(upstream: Upstream, about: About, ctx: Context) -> None:
    """Refuses what neither nginx nor the node beside it does for an upstream."""
    if upstream.max_connections and len(upstream.endpoints) > 1:
        about.refuse("limits.connections", "nginx limits connections of one endpoint, not of all")
    if upstream.queue not in (0, _DEFAULT.queue):
        about.refuse("limits.queue", "nginx has no queue")
    if upstream.queue_timeout_ms != _DEFAULT.queue_timeout_ms:
        about.refuse("timeouts.queue", "nginx has no queue")
    for key, value, why in (
        ("adaptive_concurrency", upstream.health.concurrency, "nginx learns no limit from latency"),
        ("affinity", upstream.affinity, "this engine does not write nginx's `sticky`"),
        (
            "agent_check",
            upstream.health.agent,
            "nginx gives an endpoint no other weight without a reload",
        ),
        (
            "slow_start",
            upstream.health.slow_start_ms,
            "nginx gives an endpoint that comes back its whole share",
        ),
    ):
        if value:
            about.refuse(key, why)
    _check_connections(upstream, about, ctx)
    is_named = any(_is_named(endpoint.address) for endpoint in upstream.endpoints)
    judged = {
        "health_check": upstream.health.check,
        "outlier_detection": upstream.health.outliers,
        "circuit_breaker": upstream.health.breaker,
    }
    for key in [key for key, one in judged.items() if one is not None and is_named]:
        if _resolves(ctx):
            about.refuse(
                key,
                "nginx resolves the names itself (`node.resolver.servers`), so that nobody can "
                "take one of their addresses out; write addresses, or leave `servers` out",
            )
    if upstream.health.breaker is not None and upstream.health.breaker.per == "upstream":
        about.refuse("circuit_breaker.per", "nginx has no breaker of all endpoints together")
    limited = upstream.max_connections or any(e.max_connections for e in upstream.endpoints)
    if limited and upstream.queue:
        told = "answers 502" if ctx.within == "http" else "ends a connection"
        about.note("limits.queue", f"nginx has no queue: above the limit of connections it {told}")


def _servers(
    endpoint: Endpoint, upstream: Upstream, ctx: Context, about: About, out: frozenset[str]
) -> list[Node]:
    """Returns one line, or one for each address of a name that we resolved; `out` are addresses
    that take nothing now.

    nginx itself does the same with a name, but does not start where DNS is away.
    """
    options: list[Word] = []
    if endpoint.weight != 1:
        options.append(Word(f"weight={endpoint.weight}"))
    limit = endpoint.max_connections
    if upstream.max_connections and len(upstream.endpoints) == 1:
        limit = min(limit or upstream.max_connections, upstream.max_connections)
    if limit:
        options.append(Word(f"max_conns={limit}"))
    if endpoint.backup:
        options.append(Word("backup"))
    options.append(Word("max_fails=0"))
    if _is_named(endpoint.address):
        if _resolves(ctx):
            options.append(Word("resolve"))
        else:
            about.note(
                "address", "the name is resolved every 30 s, and other addresses are a reload"
            )
    addresses = _addresses(endpoint.address, ctx)
    down = [Word("down")]
    return [
        directive("server", Plain(address), *options, *(down if address in out else []))
        for address in addresses
    ]


def _addresses(address: str, ctx: Context) -> list[str]:
    host, _, port = address.rpartition(":")
    if not _is_named(address) or _resolves(ctx):
        return [address]
    return [f"{one}:{port}" for one in ctx.target.addresses.get(host, ())] or [address]


def host_names(upstreams: Iterable[Upstream]) -> frozenset[str]:
    """Returns the host names of all endpoints that take requests."""
    found = (one.address for upstream in upstreams for one in upstream.endpoints if one.weight)
    return frozenset(address.rpartition(":")[0] for address in found if _is_named(address))


def _resolves(ctx: Context) -> bool:
    return bool(ctx.settings.resolver.servers) and ctx.has("resolve") and ctx.has("zone")


def _resolver(upstream: Upstream, ctx: Context) -> list[Node]:
    """Returns the resolver for the names of endpoints while nginx runs."""
    named = any(_is_named(endpoint.address) for endpoint in upstream.endpoints)
    if not named or not _resolves(ctx):
        return []
    resolver = ctx.settings.resolver
    return [
        directive("resolver", *map(Word, resolver.servers)),
        directive("resolver_timeout", time(resolver.timeout_ms)),
    ]


def _is_named(address: str) -> bool:
    host = address.rpartition(":")[0]
    return not (address.startswith(("unix:", "[")) or host.replace(".", "").isdigit())


def _pool(upstream: Upstream, endpoints: int, ctx: Context, about: About) -> list[Node]:
    pool = upstream.pool
    if not pool.max_idle or not ctx.has("keepalive"):
        return []
    # nginx reserves the memory for all of them, 136 bytes each, in every upstream.
    each = pool.max_idle if pool.max_idle != Pool().max_idle else _KEPT_IDLE
    idle = min(each * endpoints, _MAX_KEEPALIVE)
    nodes: list[Node] = [directive("keepalive", Word(str(idle)))]
    if ctx.has("keepalive_requests"):
        nodes.append(directive("keepalive_requests", Word(str(_MANY))))
    if ctx.has("keepalive_time"):
        nodes += [
            directive("keepalive_time", time(pool.max_age_ms or FOREVER_MS)),
            directive("keepalive_timeout", time(pool.idle_timeout_ms)),
        ]
    elif pool != Pool():
        about.note("pool", "this nginx closes idle connections after its own time")
    return nodes


def time(milliseconds: int) -> Word:
    """Returns a time as nginx writes it: `5s`, `250ms`; 0 means without end."""
    ms = milliseconds or FOREVER_MS
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if ms % size == 0:
            return Word(f"{ms // size}{unit}")
    return Word(f"{ms}ms")


def is_usable(upstream: Upstream, ctx: Context) -> bool:
    """Reports whether any endpoint takes requests, or may later without a reload."""
    if lua.is_dynamic(upstream, ctx):
        return True
    return any(endpoint.weight for endpoint in upstream.endpoints)


def tls(upstream: Upstream, name: str, ctx: Context) -> list[Node]:
    """Returns the directives of TLS towards an upstream's endpoints."""
    if upstream.tls is None:
        return []
    about = ctx.findings.of("upstream", name, "tls")
    wanted = upstream.tls
    versions = ["TLSv1.2", "TLSv1.3"] if wanted.min_version == "1.2" else ["TLSv1.3"]
    server_name = _server_name(upstream, wanted, about)
    nodes: list[Node] = [directive("proxy_ssl_protocols", *map(Word, versions))]
    if server_name:
        nodes += [
            directive("proxy_ssl_server_name", Word("on" if wanted.sni else "off")),
            directive("proxy_ssl_name", Plain(server_name)),
        ]
    nodes += _verification(wanted, name, ctx, about)
    if wanted.client_certificate is not None:
        pair = ctx.certificates[wanted.client_certificate]
        stem = f"certs/{names.slug(wanted.client_certificate)}"
        cert = ctx.file(f"{stem}-{pair.cert[:12]}.pem", pair.cert)
        key = ctx.file(f"{stem}-{pair.key[:12]}.key", pair.key, secret=True)
        nodes += [
            directive("proxy_ssl_certificate", FilePath(cert)),
            directive("proxy_ssl_certificate_key", FilePath(key)),
        ]
    return nodes


def _verification(wanted: UpstreamTls, name: str, ctx: Context, about: About) -> list[Node]:
    if not wanted.verify:
        return [directive("proxy_ssl_verify", Word("off"))]
    roots = ctx.target.system_roots
    if wanted.ca is not None:
        roots = ctx.file(f"certs/upstreams/{names.slug(name)}-{wanted.ca[:12]}.pem", wanted.ca)
    if roots is None:
        about.refuse("ca_file", "nginx needs a file of roots: give `ca_file`")
        return []
    return [
        directive("proxy_ssl_verify", Word("on")),
        directive("proxy_ssl_verify_depth", Word(str(_VERIFY_DEPTH))),
        directive("proxy_ssl_trusted_certificate", FilePath(roots)),
    ]


def _server_name(upstream: Upstream, wanted: UpstreamTls, about: About) -> str:
    """Returns the name to send and verify; empty where none is needed."""
    if wanted.verify_name is not None:
        return wanted.verify_name
    hosts = {endpoint.address.rpartition(":")[0] for endpoint in upstream.endpoints}
    if all(_is_named(endpoint.address) for endpoint in upstream.endpoints) and len(hosts) == 1:
        return hosts.pop()
    if wanted.verify:
        about.refuse(
            "verify_name",
            "nginx verifies one name for all endpoints of an upstream, and no addresses: give it",
        )
    return ""
