"""Warns of a valid config that is probably not what its author meant; no warning refuses it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Protocol

import msgspec

from headgate.compile.lint_asked import lacking
from headgate.compile.lint_claims import unclaimed
from headgate.compile.lint_grpc import hopeless
from headgate.compile.lint_hosts import unpassed
from headgate.compile.lint_patterns import patterns
from headgate.compile.lint_preflights import late_preflights
from headgate.compile.loaded import Loaded, Place
from headgate.compile.references import references
from headgate.kernel.diagnostics import ConfigPath, Diagnostic, Severity, dotted
from headgate.kernel.ids import ObjectName
from headgate.model.config import SECTION_OF
from headgate.plan.kinds import KINDS, SETTINGS_NAME, Kind
from headgate.plan.objects import Host, Listener, ListenerTls, Route
from headgate.plan.plan import Plan, PlanEntry
from headgate.plan.tcp import TcpRoute
from headgate.plan.udp import UdpRoute

_Objects = dict[Kind, list[PlanEntry]]
"""The objects of a plan by kind."""


class Shadow(Protocol):
    """A route that can never match because another takes all its requests."""

    @property
    def route(self) -> str:
        """The route that can never match."""
        ...

    @property
    def by(self) -> str:
        """The route that takes its requests."""
        ...


class Shadows(Protocol):
    """The core's router, as far as lints need it (the same code that matches requests)."""

    def __call__(self, objects: Sequence[PlanEntry], /) -> Iterable[Shadow]:
        """Returns every route among these that can never match."""
        ...


def lints(loaded: Loaded, shadows: Shadows | None = None) -> tuple[Diagnostic, ...]:
    """Returns the warnings about a loaded config, ordered by file, line and column.

    None when it was refused. Costs a look at every object; on a reload call it after the apply.
    """
    plan = loaded.plan
    if plan is None:
        return ()
    objects = _by_kind(plan)
    found = [*_unused_upstreams(loaded, objects), *_without_certificate(loaded, objects)]
    found += _not_applied(loaded, objects)
    found += _suspect_patterns(loaded, objects)
    found += _grpc_over_http1(loaded, objects)
    found += _late_preflights(loaded, objects)
    found += _unpassed(loaded, objects)
    found += _unsent(loaded, objects)
    found += _unclaimed(loaded, objects)
    found += _not_imported(loaded, plan)
    found += _nowhere(loaded, objects)
    found += _without_tcp_route(loaded, objects)
    found += _ending_nothing(loaded, objects)
    if shadows is not None:
        found += [_shadowed(loaded, shadow) for shadow in shadows(list(plan.objects.values()))]
    return tuple(sorted(found))


def _by_kind(plan: Plan) -> _Objects:
    found: _Objects = {kind: [] for kind in KINDS}
    for key, entry in plan.objects.items():
        found[key[0]].append(entry)
    return found


def _in_order(entries: Iterable[PlanEntry]) -> list[PlanEntry]:
    return sorted(entries, key=lambda entry: entry.key)


def _warning(
    loaded: Loaded, kind: Kind, name: str, message: str, allowed: str, at: ConfigPath = ()
) -> Diagnostic:
    path: ConfigPath = (SECTION_OF[kind], name, *at)
    return _at(loaded.place(kind, name, *at), path, message, allowed)


def _of_node(loaded: Loaded, at: ConfigPath, message: str, allowed: str) -> Diagnostic:
    place = loaded.place("settings", SETTINGS_NAME, *at)
    return _at(place, ("node", *at), message, allowed)


def _at(place: Place | None, path: ConfigPath, message: str, allowed: str) -> Diagnostic:
    return Diagnostic(
        file=place.file if place else "",
        line=place.line if place else 0,
        column=place.column if place else 0,
        path=dotted(path),
        message=message,
        allowed=allowed,
        severity=Severity.WARNING,
    )


class _Part(msgspec.Struct, gc=False):
    upstream: str


class _Action(msgspec.Struct, gc=False):
    upstream: str | None = None
    split: tuple[_Part, ...] = ()
    not_imported: str | None = None


class _Mirror(msgspec.Struct, gc=False):
    upstream: str


class _Forwards(msgspec.Struct, gc=False):
    """The targets of a route, and nothing else of it: a plan can have ten thousand routes."""

    action: _Action
    mirrors: tuple[_Mirror, ...] = ()


_FORWARDS: Final = msgspec.json.Decoder(_Forwards)


def _unused_upstreams(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    unused = {entry.key.name for entry in objects["upstream"]}
    for entry in (*objects["tcp_route"], *objects["udp_route"]):
        if isinstance(entry.value, TcpRoute | UdpRoute):
            unused.difference_update(ObjectName(part.upstream) for part in entry.value.parts)
    for entry in objects["route"]:
        if not unused:
            return
        route = _FORWARDS.decode(entry.canonical)
        action = route.action
        unused.discard(ObjectName(action.upstream or ""))
        unused.difference_update(ObjectName(mirror.upstream) for mirror in route.mirrors)
        unused.difference_update(ObjectName(part.upstream) for part in action.split)
    for entry in (*objects["middleware"], *objects["host"], *objects["route"]):
        if any(name.encode() in entry.canonical for name in unused):
            asked = {key.name for key in references(entry) if key.kind == "upstream"}
            unused -= asked
    for name in sorted(unused):
        allowed = "write a route that forwards to it, or remove it"
        yield _warning(loaded, "upstream", name, "no route uses the upstream", allowed)


def _late_preflights(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    named = {entry.key.name: entry for entry in objects["middleware"]}
    if not any(b'"cors"' in e.canonical for kind in _CHAINED for e in objects[kind]):
        return
    for one in late_preflights(objects["host"], objects["route"], named):
        where, there = "before it", ""
        if one.host:
            where = f"in {dotted(('hosts', one.host, 'middlewares'))} comes before it and"
            there = "there, "
        what = f"`{one.kind}` {where} refuses the preflights of browsers, which have no credentials"
        kind, name = one.owner.key
        yield _warning(loaded, kind, name, what, f"write `cors` {there}before it", one.at)


def _unpassed(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    for one in unpassed(objects["host"], _in_order(objects["route"])):
        yield _warning(loaded, "host", one.host, one.what, one.allowed, ("middlewares",))


def _unsent(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    if loaded.node is not None and loaded.node.engine == "nginx":
        return  # its subrequests choose by the header lines of the client
    chained = (entry for kind in _CHAINED for entry in objects[kind])
    for one in lacking(chained, objects["upstream"]):
        source, _, name = one.hashed.partition(":")
        added = "cookie" if source == "cookie" and one.at[-1] == "headers" else name
        what = f'"{one.upstream}" balances by the {source} "{name}", which does not go along'
        allowed = (
            f'"{added}" beside the other names, or another `key` in [upstreams.{one.upstream}]'
        )
        kind, owner = one.owner.key
        yield _warning(loaded, kind, owner, what, f"write {allowed}", one.at)


def _unclaimed(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    node = next(iter(objects["settings"]), None)
    owners = [*objects["host"], *objects["route"]]
    one = unclaimed(node, objects["middleware"], owners)
    if one is not None:
        what = f"no line has the claim {one.name}: no route has a `jwt` that verifies tokens"
        yield _of_node(
            loaded,
            one.at,
            what,
            f"give a route or host a `jwt` middleware, or leave {one.name} out",
        )


_CHAINED: Final[tuple[Kind, ...]] = ("middleware", "host", "route")
_VEILED: Final = ("the text has characters of a pattern", "write `regex` for an expression")


def _suspect_patterns(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    for entry in objects["route"]:
        for at, text, *words in patterns(entry):
            what, allowed = words if text not in loaded.secrets else _VEILED
            yield _warning(loaded, "route", entry.key.name, what, allowed, at)


def _grpc_over_http1(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    for one in hopeless(objects["route"], objects["upstream"]):
        message = (
            f'calls of gRPC are refused with 501: endpoints of "{one.upstream}" speak HTTP/1.1'
        )
        allowed = f'write `protocol` "h2c", "h2" or "auto" in [upstreams.{one.upstream}]'
        yield _warning(loaded, "route", one.route, message, allowed, one.at)


def not_imported(plan: Plan) -> list[str]:
    """Returns the routes that refuse a part of an imported config that was not converted."""
    return sorted(
        key.name
        for key, entry in plan.objects.items()
        if key.kind == "route"
        and b"not_imported" in entry.canonical
        and _FORWARDS.decode(entry.canonical).action.not_imported is not None
    )


def _not_imported(loaded: Loaded, plan: Plan) -> Iterator[Diagnostic]:
    """Yields how much of an imported config has no counterpart here, once for all of it."""
    names = not_imported(plan)
    if names:
        routes = sum(key[0] == "route" for key in plan.objects)
        count = f"{len(names)} of {routes} routes"
        message = f"{count} answer 503 (not-imported): their places have no counterpart here"
        if loaded.node is not None and loaded.node.nginx.imported is not None:
            message += "; on the nginx engine their kept text runs"
        allowed = "what each is to do in place of `not_imported`, whose text says which place it is"
        yield _warning(loaded, "route", names[0], message, allowed)


def _not_applied(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    """Yields a warning about routes of a node that only watches an nginx."""
    node, count = loaded.node, len(objects["route"])
    if node is None or node.engine != "nginx" or node.nginx.mode != "observe" or not count:
        return
    what = f"headgate applies nothing in this mode: {count} routes are not served"
    allowed = 'write `mode = "full"` or `mode = "guest"`, or remove them'
    yield _of_node(loaded, ("nginx", "mode"), what, allowed)


def _nowhere(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    """Yields a warning about each address for a listener that does not exist."""
    known = {entry.key.name for entry in objects["listener"]}
    for name in sorted(loaded.node.listener_addresses if loaded.node is not None else ()):
        if name in known:
            continue
        what = f'there is no listener "{name}" to open here'
        allowed = "write the name of a listener, or remove it"
        yield _of_node(loaded, ("listener_addresses", name), what, allowed)


def _without_tcp_route(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    """Yields TCP listeners all of whose connections are reset."""
    used = {
        name
        for entry in objects["tcp_route"]
        if isinstance(entry.value, TcpRoute)
        for name in entry.value.listeners
    }
    for entry in _in_order(objects["listener"]):
        listener = entry.value
        if not isinstance(listener, Listener) or entry.key.name in used:
            continue
        if listener.detect_timeout_ms:
            message = "no TCP route uses this listener, so every connection is one of HTTP"
            allowed = f'write [tcp_routes.NAME] with `listeners = "{entry.key.name}"`, or remove it'
            yield _warning(loaded, "listener", entry.key.name, message, allowed, ("detect",))
        elif listener.protocol == "tcp":
            message = "no TCP route uses this listener: every connection is reset"
            allowed = f'write [tcp_routes.NAME] with `listeners = "{entry.key.name}"`, or remove it'
            yield _warning(loaded, "listener", entry.key.name, message, allowed)


def _ending_nothing(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    """Yields TCP listeners with TLS that every route of theirs passes through."""
    for name in sorted(_passing(objects)):
        message = "no TCP route ends TLS here: its `tls` is for nobody"
        yield _warning(loaded, "listener", name, message, "leave `tls` out", ("tls",))


def _passing(objects: _Objects) -> set[str]:
    """Returns TCP listeners with TLS and routes, all of which pass TLS through."""
    routes = [e.value for e in objects["tcp_route"] if isinstance(e.value, TcpRoute)]
    passed = {name for one in routes if one.tls == "passthrough" for name in one.listeners}
    ended = {name for one in routes if one.tls != "passthrough" for name in one.listeners}
    return {
        str(e.key.name)
        for e in objects["listener"]
        if isinstance(e.value, Listener) and e.value.protocol == "tcp" and e.value.tls is not None
    } & (passed - ended)


def _without_certificate(loaded: Loaded, objects: _Objects) -> Iterator[Diagnostic]:
    """Yields hosts that clients of a TLS listener ask for and that have no certificate."""
    terminating: dict[str, ListenerTls] = {
        e.key.name: value.tls
        for e in _in_order(objects["listener"])
        if isinstance(value := e.value, Listener) and value.tls is not None
    }
    if not terminating:
        return
    certified: set[str] = {
        e.key.name
        for e in objects["host"]
        if isinstance(value := e.value, Host) and value.certificates
    }
    warned: set[str] = set()
    for entry in _in_order(objects["route"]):
        route = entry.value
        if not isinstance(route, Route):
            continue
        strict = [
            name
            for name in route.listeners
            if name in terminating and terminating[name].unknown_sni == "reject"
        ]
        for host in route.hosts if strict else ():
            if host == "*" or host in warned or _covered(host, certified):
                continue
            warned.add(host)
            message = f'TLS listener "{strict[0]}" has no certificate for "{host}"'
            allowed = f'write `certificate` in [hosts."{host}"], or `unknown_sni = "default"`'
            yield _warning(loaded, "route", entry.key.name, message, allowed)
    bare = {n for n, one in terminating.items() if one.default_certificate is None}
    bare -= _passing(objects)
    for entry in _in_order(objects["listener"]) if not certified else ():
        listener = entry.value
        if entry.key.name in bare and isinstance(listener, Listener) and listener.protocol == "tcp":
            message = "this listener ends TLS and has no certificate: every handshake fails"
            yield _warning(
                loaded, "listener", entry.key.name, message, "write `default_certificate` in `tls`"
            )
    yield from _nameless(loaded, _in_order(objects["tcp_route"]), bare, certified)


def _nameless(
    loaded: Loaded, routes: Iterable[PlanEntry], bare: set[str], certified: set[str]
) -> Iterator[Diagnostic]:
    """Yields TCP routes by a name for which these listeners, without a default, have none."""
    for entry in routes:
        route = entry.value
        if not isinstance(route, TcpRoute) or bare.isdisjoint(route.listeners):
            continue
        if route.tls == "passthrough":
            continue
        listener = next(name for name in route.listeners if name in bare)
        for name in route.sni:
            if name != "*" and not _covered(name, certified):
                message = f'TLS listener "{listener}" has no certificate for "{name}"'
                allowed = f'write `certificate` in [hosts."{name}"], or `default_certificate` there'
                yield _warning(loaded, "tcp_route", entry.key.name, message, allowed)


def _covered(host: str, certified: set[str]) -> bool:
    """Reports whether the host, or a wildcard above it, has a certificate."""
    if host in certified or "*" in certified:
        return True
    labels = host.removeprefix("*.").split(".")
    return any("*." + ".".join(labels[at:]) in certified for at in range(1, len(labels)))


def _shadowed(loaded: Loaded, shadow: Shadow) -> Diagnostic:
    place = loaded.place("route", shadow.by)
    where = f" ({place})" if place else ""
    return _warning(
        loaded,
        "route",
        shadow.route,
        f'the route can never match: "{shadow.by}"{where} takes all its requests',
        "write a narrower match there or a priority here, or remove it",
    )
