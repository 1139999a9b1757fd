"""Documents why a request goes where it goes, for `headgate explain` and `POST /explain`."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

import msgspec

from headgate._core import normalise_path
from headgate.compile.closed import REASON, STATUS, is_closed
from headgate.compile.loaded import Loaded
from headgate.compile.routing import Refusal, Request, Routing
from headgate.features.nodes import node_of
from headgate.kernel.ids import ObjectName
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import Middleware, MiddlewareUse
from headgate.plan.objects import (
    Host,
    HostLiteral,
    Mirror,
    OnlyMethods,
    Retry,
    Route,
    SplitPart,
    Sticky,
    Upstream,
)
from headgate.plan.plan import Plan
from headgate.plan.settings import Settings

T = TypeVar("T")

Locate = Callable[[Kind, str, str], str]
"""(kind, name, path of keys in the object) → its `file:line:column`, empty without one."""


class Known(NamedTuple):
    """The report of a data plane on an endpoint: its state (`up`, `down` …), why it gets requests
    or does not, and what TLS handshakes with it agreed on."""

    state: str
    why: str
    negotiated: str = ""


States = Mapping[str, Mapping[str, Known]]
"""Upstream → address of an endpoint → what is known of it."""

_UNAVAILABLE = 503
_LIMIT = 100


class Condition(msgspec.Struct, frozen=True):
    """A condition and whether the request meets it; `key` is its place in the route."""

    kind: Literal[
        "host",
        "listener",
        "path",
        "method",
        "client",
        "query",
        "header",
        "cookie",
        "sni",
        "alpn",
    ]
    key: str
    text: str
    place: str = ""


class Outranked(msgspec.Struct, frozen=True):
    """The reason that puts the winner before a match whose conditions all hold."""

    criterion: str
    reason: str


class NearMiss(msgspec.Struct, frozen=True):
    """A match that came close: conditions failed, or it was outranked."""

    route: str
    match: int
    host: str
    prefix_len: int
    failed: list[Condition]
    outranked: Outranked | None = None
    place: str = ""


class Outcome(msgspec.Struct, frozen=True):
    """The result of the middlewares for the request: it is forwarded, answered or refused.

    `target` is the path and query that are forwarded, `host` the Host if another is sent. `unless`
    are the kinds of middlewares that may answer before: passwords, tokens, limits, which are known
    only when a request comes. `headers` are those of the answer, or of a request that is forwarded
    all lines of the names that middlewares write; `removed` names the headers that they keep from
    the endpoint, `x-*` for all that begin so. `placeholders` are the words among all this that are
    for what only a request brings, each with what that is: `JWT-SUB` and `${jwt:sub}`.
    """

    kind: Literal["forward", "answer", "refuse"]
    target: str = ""
    host: str | None = None
    status: int = 0
    headers: list[tuple[str, str]] = []
    body: str = ""
    detail: str = ""
    removed: list[str] = []
    unless: list[str] = []
    placeholders: list[tuple[str, str]] = []


class Step(msgspec.Struct, frozen=True):
    """One middleware of the chain; `name` is empty for an inline one.

    `does` says what it does with its options, where a few words can; else it is empty.
    """

    kind: str
    name: str
    place: str
    does: str = ""


class EndpointState(msgspec.Struct, frozen=True):
    """One endpoint; `state` is None without a data plane to ask. `why`: why it gets requests.
    `negotiated`: the protocol that TLS handshakes agreed on."""

    address: str
    weight: int
    backup: bool
    state: str | None = None
    why: str = ""
    negotiated: str = ""


class UpstreamShare(msgspec.Struct, frozen=True):
    """An upstream that may get the request; `weight` is its share of a split, else 1.

    `host` is the Host that its endpoints get by its `host_header`: a name, `endpoint` for the
    address of each, empty where that of the outcome, or else the client's, is forwarded. `protocol`
    is what they are spoken to in, `proxy_protocol` the version in which they hear of the client.
    """

    name: str
    weight: int
    balance: str
    endpoints: list[EndpointState]
    place: str
    host: str = ""
    protocol: str = ""
    proxy_protocol: Literal["v1", "v2"] | None = None


class Won(msgspec.Struct, frozen=True):
    """The match that takes the request, why, and what happens then.

    `retry` says what is tried again; empty where only connecting is. `sticky` says what keeps a
    client at its branch of a split; empty where nothing does. `mirror` says for each mirror
    where it may go, too, `mirrored` has these upstreams; empty where it does not. `shedding`
    says from where on `node.shedding` refuses it; empty without that. `quarantined` says why
    the route is not served as it is written; empty where it is.
    """

    route: str
    match: int
    host: str
    prefix_len: int
    held: list[Condition]
    outcome: Outcome
    place: str = ""
    middlewares: list[Step] = []
    upstreams: list[UpstreamShare] = []
    retry: str = ""
    retry_place: str = ""
    sticky: str = ""
    sticky_place: str = ""
    mirror: list[str] = []
    mirror_place: str = ""
    mirrored: list[UpstreamShare] = []
    shedding: str = ""
    quarantined: str = ""


class Explanation(msgspec.Struct, frozen=True):
    """The whole answer. `host` is the host whose routes were tried; no `won` means 404.

    `refused` says why a request is refused before it is routed, `refused_status` with what: 0 = the
    connection ends without an answer. Then there is nothing else. Of a connection over TCP, `host`
    is its server name, and `won` the TCP route, without a match; of a flow, the UDP route.
    `client` is the client's address, `dropped` the header lines that the listener drops.
    """

    method: str = ""
    url: str = ""
    listener: str = ""
    path: str = ""
    host: str | None = None
    refused: str = ""
    refused_status: int = 0
    won: Won | None = None
    near: list[NearMiss] = []
    client: str = ""
    dropped: list[str] = []

    @property
    def status(self) -> int | None:
        """The status of the answer as far as headgate makes it; None when it is forwarded."""
        if self.refused:
            return self.refused_status or None
        if self.won is None:
            return 404
        return self.won.outcome.status or None


_DECODER = msgspec.json.Decoder(Explanation)


def explain(
    routing: Routing, request: Request, locate: Locate, states: States | None = None
) -> Explanation:
    """Explains what becomes of a request.

    Costs a look at every route of its host. Raises `ValueError` for a client that is not an
    address.
    """
    query = "" if request.query is None else f"?{request.query}"
    port = f":{request.port}" if request.port else ""
    asked = Explanation(
        method=request.method,
        url=f"{request.scheme}://{request.host}{port}{request.path}{query}",
        listener=request.listener,
        client=request.client,
        dropped=request.dropped,
    )
    refusal = request.refusal or _refused(request.path)
    if refusal is not None:
        return msgspec.structs.replace(asked, refused=refusal.detail, refused_status=refusal.status)
    found = _DECODER.decode(routing.router.explain(request))
    won = found.won and _completed(found.won, routing.plan, locate, states)
    near = [_placed(miss, locate) for miss in found.near]
    return msgspec.structs.replace(asked, path=found.path, host=found.host, won=won, near=near)


def places(loaded: Loaded) -> Locate:
    """Finds places in the documents of a load; for what is not written there, its parent."""

    def locate(kind: Kind, name: str, path: str) -> str:
        parts = [p for p in path.replace("[", ".").replace("]", "").split(".") if p]
        keys: list[str | int] = [int(p) if p.isdecimal() else p for p in parts]
        while True:
            place = loaded.place(kind, name, *keys)
            if place is not None or not keys:
                return str(place) if place else ""
            keys.pop()

    return locate


def _completed(won: Won, plan: Plan, locate: Locate, states: States | None) -> Won:
    route = _object(plan, "route", won.route, Route)
    owner = _object(plan, "host", won.host, Host)
    steps = [
        *_steps(plan, "host", won.host, owner.middlewares if owner else (), locate),
        *_steps(plan, "route", won.route, route.middlewares if route else (), locate),
    ]
    shares = list(_shares(plan, route, locate, states)) if route else []
    if won.outcome.host:  # that of a rewrite goes before an upstream's
        shares = [msgspec.structs.replace(one, host="") for one in shares]
    mirrors = route.mirrors if route else ()
    outcome = won.outcome
    if route is not None and route.action.not_imported is not None and outcome.kind == "forward":
        detail = f"not-imported: {route.action.not_imported}"
        outcome = Outcome("refuse", status=_UNAVAILABLE, detail=detail)
    if is_closed_route(plan, won.route):
        detail = f"{REASON}: the config of this place has an error"
        outcome = Outcome("refuse", status=STATUS, detail=detail)
    return msgspec.structs.replace(
        won,
        outcome=outcome,
        held=[_with_place(c, won.route, locate) for c in won.held],
        place=locate("route", won.route, f"match.{won.match}"),
        middlewares=steps,
        upstreams=shares,
        retry=_retried(route.retry) if route and route.retry else "",
        retry_place=locate("route", won.route, "retry") if route and route.retry else "",
        sticky=stuck(route.sticky) if route and route.sticky else "",
        sticky_place=locate("route", won.route, "sticky") if route and route.sticky else "",
        mirror=[_copied(one) for one in mirrors],
        mirror_place=locate("route", won.route, "mirror") if mirrors else "",
        mirrored=[share(plan, one.upstream, 1, locate, states) for one in mirrors],
        shedding=_shed(plan, route) if route else "",
    )


def is_closed_route(plan: Plan, name: str, kind: Kind = "route") -> bool:
    """Reports whether a route only closes its place because it is quarantined."""
    found = plan.objects.get(ObjectKey(kind, ObjectName(name)))
    return found is not None and is_closed(found)


def shut(won: Won, plan: Plan, kind: Kind, end: str) -> Won:
    """Returns the same for a TCP or UDP route; without its upstream, and with the `end` of what it
    takes, if it is closed.
    """
    if not is_closed_route(plan, won.route, kind):
        return won
    detail = f"{REASON}: the config of this place has an error; {end}"
    return msgspec.structs.replace(won, outcome=Outcome("refuse", detail=detail), upstreams=[])


def _placed(miss: NearMiss, locate: Locate) -> NearMiss:
    return msgspec.structs.replace(
        miss,
        failed=[_with_place(c, miss.route, locate) for c in miss.failed],
        place=locate("route", miss.route, f"match.{miss.match}"),
    )


def _with_place(condition: Condition, route: str, locate: Locate) -> Condition:
    return msgspec.structs.replace(condition, place=locate("route", route, condition.key))


def _object(plan: Plan, kind: Kind, name: str, node: type[T]) -> T | None:
    entry = plan.objects.get(ObjectKey(kind, ObjectName(name)))
    value = entry.value if entry is not None else None
    return value if isinstance(value, node) else None


def _steps(
    plan: Plan, kind: Kind, name: str, uses: Sequence[MiddlewareUse], locate: Locate
) -> Iterator[Step]:
    for index, used in enumerate(uses):
        if used.use is None:
            place = locate(kind, name, f"middlewares.{index}")
            yield Step(used.kind, "", place, _does(used))
            continue
        middleware = _object(plan, "middleware", used.use, Middleware)
        what = middleware.kind if middleware else ""
        yield Step(what, used.use, locate("middleware", used.use, ""), _does(middleware))


def _does(middleware: Middleware | MiddlewareUse | None) -> str:
    node = node_of(middleware) if middleware is not None else None
    return node.does if node is not None else ""


def _shares(
    plan: Plan, route: Route, locate: Locate, states: States | None
) -> Iterator[UpstreamShare]:
    parts = route.action.split or ()
    if route.action.upstream is not None:
        parts = (SplitPart(upstream=route.action.upstream),)
    for part in parts:
        yield share(plan, part.upstream, part.weight, locate, states)


def share(
    plan: Plan, name: str, weight: int, locate: Locate, states: States | None
) -> UpstreamShare:
    """Returns an upstream, with the states of its endpoints."""
    upstream = _object(plan, "upstream", name, Upstream)
    known = (states or {}).get(name, {})
    return UpstreamShare(
        name=name,
        weight=weight,
        balance=upstream.balance.kind if upstream else "",
        endpoints=[
            EndpointState(e.address, e.weight, e.backup, *known.get(e.address, (None, "")))
            for e in (upstream.endpoints if upstream else ())
        ],
        place=locate("upstream", name, ""),
        host=_host(upstream) if upstream else "",
        protocol=upstream.protocol if upstream else "",
        proxy_protocol=upstream.pool.proxy_protocol if upstream else None,
    )


def _shed(plan: Plan, route: Route) -> str:
    """Returns from where on an overload refuses requests of a route; empty if none does."""
    settings = _object(plan, "settings", "node", Settings)
    limits = settings.shedding if settings else None
    if limits is None:
        return ""
    percent = {
        "low": limits.strained_percent or _LIMIT,
        "normal": _LIMIT,
        "high": limits.critical_percent,
    }[route.importance]
    about = f"importance {route.importance}: "
    return about + (f"503 from {percent} % of a limit on" if percent else "never refused")


def _retried(retry: Retry) -> str:
    """Returns the policy in words, as the config names its parts."""
    on = ", ".join(("connect-failure", "refused-stream", *retry.on))
    methods = retry.methods
    which = " and ".join(methods.only) if isinstance(methods, OnlyMethods) else methods
    wait, budget = retry.backoff, retry.budget
    kind = "up to " if wait.jitter else ""
    hedged = ""
    if retry.hedge is not None:
        after = f"{retry.hedge.after_ms} ms" if retry.hedge.after_ms else "the route's p95"
        hedged = f"; a second try beside the first after {after}"
    return (
        f"up to {retry.retries} on {on}; methods: {which}; after {kind}{wait.base_ms} ms, growing "
        f"to {wait.max_ms} ms; at most {budget.percent} % of the requests and {budget.per_second}/s"
        f"{hedged}"
    )


def stuck(sticky: Sticky) -> str:
    """Returns what keeps a client at its branch, in words."""
    if sticky.cookie is None:
        return f"by the hash of {', else '.join(sticky.by or ())}"
    for_ = f"{sticky.cookie.max_age_s} s" if sticky.cookie.max_age_s else "until the browser ends"
    return f"by the signed cookie {sticky.cookie.cookie}, {for_}"


def _copied(mirror: Mirror) -> str:
    """Returns which requests go once more where, in words."""
    percent = f"{mirror.share / 100:.2f}".rstrip("0").rstrip(".")
    return (
        f"{percent} % of the requests go to upstream {mirror.upstream}, too, with bodies up to "
        f"{mirror.body_bytes} bytes; at most {mirror.in_flight} at a time, "
        f"{mirror.timeout_ms} ms each; nobody gets its answers"
    )


def _host(upstream: Upstream) -> str:
    header = upstream.host_header
    if isinstance(header, HostLiteral):
        return header.literal
    return "endpoint" if header == "endpoint" else ""


def _refused(path: str) -> Refusal | None:
    """Returns why a path gets 400; None when it does not."""
    if path == "*":
        return None
    try:
        normalise_path(path)
    except ValueError as error:
        return Refusal(400, str(error))
    return None
