"""Who would answer a request by a plan, and through what, for a client that may lack a
certificate.
"""

from typing import NamedTuple

from headgate.compile.clientauth import most_specific
from headgate.compile.closed import is_closed
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Question, Routing
from headgate.kernel.ids import ObjectName
from headgate.plan.codec import encode
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import Middleware, MiddlewareUse
from headgate.plan.objects import Host, Listener, Route, TlsPolicy, Upstream
from headgate.plan.plan import Plan


class Ask(NamedTuple):
    """A request at an address; `certified`: the client has a certificate that everybody accepts."""

    address: str
    host: str
    path: str
    certified: bool = False


class Answer(NamedTuple):
    """A route, what it does, its middlewares, and the endpoints of its upstream."""

    route: str
    does: str
    through: tuple[str, ...]
    endpoints: tuple[str, ...] = ()


def answered(loaded: Loaded, ask: Ask, routing: Routing | None = None) -> Answer | None:
    """What answers with success; None where nothing does, or a middleware lets nobody pass."""
    assert loaded.plan is not None, [str(one) for one in loaded.diagnostics]
    plan = loaded.plan
    name = _listener(plan, ask)
    if name is None:
        return None
    routing = routing or Routing(plan)
    listener = plan.objects[ObjectKey("listener", ObjectName(name))].value
    assert isinstance(listener, Listener)
    scheme = "http" if listener.tls is None else "https"
    request = routing.request(Question(f"{scheme}://{ask.host}{ask.path}", listener=name))
    found = routing.find(request)
    if found is None:
        return None
    entry = plan.objects[ObjectKey("route", ObjectName(found.route))]
    route = entry.value
    assert isinstance(route, Route)
    hosts = {str(key.name) for key in plan.objects if key.kind == "host"}
    if is_closed(entry) or (not ask.certified and _demands(plan, listener, ask.host, hosts)):
        return None
    owner = _value(plan, "host", most_specific(ask.host, route.hosts) or "")
    uses = (*(owner.middlewares if isinstance(owner, Host) else ()), *route.middlewares)
    through = tuple(_shown(plan, use) for use in uses)
    if any('"respond"' in one for one in through):
        return None
    upstream = _value(plan, "upstream", route.action.upstream or "")
    endpoints = upstream.endpoints if isinstance(upstream, Upstream) else ()
    does = encode(route.action).decode()
    return Answer(found.route, does, through, tuple(one.address for one in endpoints))


def route_at(loaded: Loaded, address: str, url: str) -> str | None:
    """The route that answers a request for a URL without its scheme; None where none does."""
    host, _, path = url.partition("/")
    found = answered(loaded, Ask(address, host, f"/{path}"))
    return found.route if found is not None else None


def _listener(plan: Plan, ask: Ask) -> str | None:
    for key, entry in plan.objects.items():
        value = entry.value if key.kind == "listener" else None
        if isinstance(value, Listener) and ask.address in value.addresses:
            return str(key.name)
    return None


def _demands(plan: Plan, listener: Listener, host: str, hosts: set[str]) -> bool:
    if listener.tls is None:
        return False
    owner = _value(plan, "host", most_specific(host, hosts) or "")
    own = owner.tls_policy if isinstance(owner, Host) else None
    policy = _value(plan, "tls_policy", own or listener.tls.policy or "")
    return isinstance(policy, TlsPolicy) and policy.client_auth is not None


def _shown(plan: Plan, use: MiddlewareUse) -> str:
    named = _value(plan, "middleware", use.use) if use.use else use
    return encode(named).decode() if isinstance(named, Middleware | MiddlewareUse) else ""


def _value(plan: Plan, kind: Kind, name: str) -> object:
    entry = plan.objects.get(ObjectKey(kind, ObjectName(name)))
    return entry.value if entry is not None else None
