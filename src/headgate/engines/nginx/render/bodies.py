"""Renders what nginx does once a request's route is known: the directives of a route's location.

A route has a body for each upstream that a split may choose, and one for each prefix it matched
where a middleware needs to know which.
"""

from dataclasses import dataclass, field
from typing import Final

from headgate.engines.nginx.render import (
    asking,
    faults,
    forwarded,
    kept,
    listening,
    lua,
    mirroring,
    names,
    pages,
    retries,
    splits,
    timeouts,
    upstreams,
)
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.precedence import Candidate
from headgate.features import nginx_limits
from headgate.features.nginx import About, Parts, Scope, as_arg, merged
from headgate.features.nginx_chain import Answer, Chain, Consulted
from headgate.features.nginx_registry import add_middleware, add_redirect, add_respond
from headgate.features.nodes import node_of
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    Literal,
    Plain,
    Regex,
    Template,
    Var,
    Word,
    comment,
    directive,
)
from headgate.plan.middleware import Middleware, MiddlewareUse
from headgate.plan.objects import Listener, Mirror, Route, Upstream

BASE_HIDDEN: Final = ("proxy-authenticate", "proxy-connection", "trailer")
"""Response headers that stop here whatever a route says."""

_NO_TEXT_BELOW: Final = 400
_TOO_LARGE: Final = 413


@dataclass(frozen=True, slots=True)
class Body:
    """A location: its name in the server, its directives, and what must stand beside it."""

    place: str
    nodes: tuple[Node, ...]
    beside: tuple["Body", ...] = ()


@dataclass(slots=True)
class Bodies:
    """The bodies of the routes of one host on listeners that are alike."""

    ctx: Context
    host: str | None
    listener: Listener
    base: list[tuple[str, Arg]]
    asks_service: bool = False
    """True if one of them asks a service about requests, or sends copies."""
    _made: dict[tuple[str, str], Body] = field(default_factory=dict)

    def of(self, one: Candidate) -> Body:
        """Returns the body for requests that a match took."""
        route = self.ctx.routes[one.route]
        matched = one.matched if self._looks_at_prefix(route) else ""
        key = (one.route, matched)
        if key not in self._made:
            self._made[key] = Body(names.NO_ROUTE, ())  # if it is refused
            about = self.ctx.findings.of("route", one.route)
            with about.guarded(""), self.ctx.shared.owned(f"route {one.route}"):
                self._made[key] = self._body(one.route, route, matched)
        return self._made[key]

    def _middlewares(self, route: Route) -> list[tuple[str, str, MiddlewareUse]]:
        """Returns (kind, name of the owner, middleware) of a route's whole chain."""
        host = self.ctx.hosts.get(self.host or "")
        own = [("route", "", used) for used in route.middlewares]
        inherited = [("host", self.host or "", used) for used in host.middlewares] if host else []
        return inherited + own

    def _looks_at_prefix(self, route: Route) -> bool:
        nodes = [node_of(self._named(used)) for _, _, used in self._middlewares(route)]
        nodes.append(route.action.redirect)
        return any(node is not None and node.looks_at_prefix for node in nodes)

    def _named(self, used: MiddlewareUse) -> Middleware | MiddlewareUse:
        return used if used.use is None else self.ctx.middlewares[used.use]

    def _body(self, name: str, route: Route, matched: str) -> Body:
        # Numbered, not named: hosts that differ in names alone are of one shape.
        place = f"route:{len(self._made)}"
        if route.action.split is None:
            return self._one(name, route, matched, place, route.action.upstream)
        parts = [part for part in route.action.split if part.weight]
        if not parts:
            return Body(place, (*self._named_route(name), _unavailable()))
        if len(parts) == 1:
            return self._one(name, route, matched, place, parts[0].upstream)
        bodies = [
            self._one(name, route, matched, f"{place}:{index}", p.upstream)
            for index, p in enumerate(parts)
        ]
        branches = [(part, body.place) for part, body in zip(parts, bodies, strict=True)]
        split = splits.split(self.ctx, name, route, branches)
        jump = directive("rewrite", Regex("^"), split, Word("last"))
        return Body(place, (comment(f"route {name}, split"), jump), tuple(bodies))

    def _named_route(self, name: str, upstream: str = "") -> list[Node]:
        nodes: list[Node] = [
            comment(f"route {name}"),
            directive("set", Var("hg_route"), Literal(name)),
        ]
        if upstream:
            nodes.append(directive("set", Var("hg_upstream"), Literal(upstream)))
        return nodes

    def _one(self, name: str, route: Route, matched: str, place: str, upstream: str | None) -> Body:
        chain = self._chain(name, route, matched, place, upstream or "")
        nodes = self._named_route(name, upstream or "")
        limit = route.body_bytes if route.body_bytes is not None else self.listener.body_bytes
        limited = [directive("client_max_body_size", Word(str(limit)))] if limit else []
        nodes += limited
        refused: list[Node] = []
        target = self.ctx.upstreams.get(upstream or "")
        lacking: list[Node] = []
        if target is not None and chain.answer is None and lua.is_dynamic(target, self.ctx):
            lacking = lua.unavailable()
        guards, beside = self._guards(name, place, chain, may_lack=bool(lacking))
        asks = any(isinstance(one, Consulted) for one, _ in chain.asked)
        guards = [*guards, *lacking] if asks else [*lacking, *guards]
        if limit and not chain.pages.has(_TOO_LARGE):
            large = names.too_large(place)
            refused, told = faults.at_once(chain.response_headers(), large)
            # The first line of a status counts.
            guards = [*refused, *guards, *(faults.pages() if refused else [])]
            known = self._named_route(name, upstream or "")
            beside += (Body(large, (*known, *told)),) if told else ()
        nodes += [*guards, *chain.steps]
        edits = chain.checked_response()
        if chain.answer is not None:
            return Body(place, (*nodes, *self._answer(chain.answer, chain)), beside)
        if route.action.not_imported is not None:
            left_out = faults.not_imported(edits, has_page=chain.pages.has(503))
            return Body(place, (*nodes, *left_out), beside)
        nodes += self.ctx.fault_lines.of(edits)
        if target is None or upstream is None or not upstreams.is_usable(target, self.ctx):
            return Body(place, (*nodes, _unavailable()), beside)
        sent = self._forward(name, route, upstream, target, chain)
        if mirrors := {at: one for at, one in enumerate(route.mirrors, 1) if one.share}:
            about = self.ctx.findings.of("route", name, "mirror")
            own = mirroring.lines(self.ctx, mirrors, place, about)
            sent = [*sent[:-1], *own, sent[-1]]
            for number, mirror in mirrors.items():
                beside += self._copies(name, route, mirror, (place, number), chain)
        if not (chain.pages.statuses or kept.applies(route)):
            return Body(place, (*nodes, *sent), beside)
        taken = [*limited, *refused, *lacking, *(faults.pages() if refused else [])]
        if chain.pages.statuses:
            pages.check(self.ctx, chain, target, self.ctx.findings.of("route", name, "middlewares"))
            paged = (*pages.intercepting(chain, place), *pages.own_lines(self.ctx, chain))
            taken = [*limited, *paged]
        on, senders = self._senders(route, place, [*taken, *sent])
        return Body(place, (*nodes, on), (*beside, *senders))

    def _senders(self, route: Route, place: str, sent: list[Node]) -> tuple[Node, list[Body]]:
        """Returns the line that goes on to the locations that forward, and these."""
        to = names.sent(place)
        bodies = [Body(to, tuple(sent))]
        if not kept.applies(route):
            return kept.forwarding(place, None, self.ctx.shared), bodies
        bodies.append(Body(to + names.KEPT, (*kept.lines(), *sent)))
        return kept.forwarding(place, route.retry, self.ctx.shared), bodies

    def _guards(
        self, name: str, place: str, chain: Chain, *, may_lack: bool
    ) -> tuple[list[Node], tuple[Body, ...]]:
        """Returns what a location does before it answers or forwards, and what stands beside it."""
        beside = tuple(
            Body(at, (*self._named_route(name), *self._answer(answer, chain)))
            for at, answer in (*chain.detours, *chain.refusals.items())
        )
        nodes = [*self._limits(chain), *pages.leading(chain, place)]
        asked = chain.checked_asked()
        if asked is not None:
            found = asking.asking(self.ctx, asked, place, chain, may_lack=may_lack)
            nodes += found.lines
            self.asks_service = self.asks_service or isinstance(asked, Consulted)
            known = self._named_route(name)
            beside += tuple(Body(at, (*known, *one)) for at, one in found.beside)
        elif chain.pages.statuses:
            nodes += faults.pages()
        if chain.pages.statuses:
            beside += (Body(names.page(place), tuple(pages.location(self.ctx, chain))),)
        return nodes, beside

    def _copies(
        self, name: str, route: Route, mirror: Mirror, at: tuple[str, int], chain: Chain
    ) -> tuple[Body, ...]:
        """Returns the locations of the copies for one mirror."""
        ctx = self.ctx
        host = as_arg(chain.host) if chain.host is not None else None
        base = [*self.base, (mirroring.MARK, Literal(name))]
        sent = forwarded.with_edits(
            base, mirroring.replaced(ctx, mirror, host), chain.request, ctx.shared
        )
        url = self._url(route, mirror.upstream, chain)
        made = mirroring.beside(ctx, mirror, at, sent, url)
        self.asks_service = True
        said = comment(f"mirror of route {name}")
        return tuple(Body(where, (said, *one)) for where, one in made)

    def _limits(self, chain: Chain) -> list[Node]:
        limits = chain.checked_limits()
        for one in limits:
            if not self.ctx.has(one.kind) or (
                one.dry_run and not self.ctx.has(f"{one.kind}_dry_run")
            ):
                one.about.refuse("", f"this nginx has no `{one.kind}` that can do it")
        # Its own `limit_conn` lines would hide those of the node; the status comes with them.
        _, inherited = listening.limits(self.ctx)
        return nginx_limits.directives(limits, inherited[:1])

    def _chain(self, name: str, route: Route, matched: str, place: str, upstream: str) -> Chain:
        target = self.ctx.upstreams.get(upstream)
        endpoints = target.endpoints if target else ()
        scope = Scope(
            route=name,
            upstream=upstream,
            endpoint=endpoints[0].address if len(endpoints) == 1 else None,
            shared=self.ctx.shared,
            request_id=forwarded.request_id(self.ctx),
        )
        chain = Chain(
            shared=self.ctx.shared,
            scope=scope,
            place=place,
            matched=len(matched),
            matched_text=matched,
            request_matched=len(matched),
        )
        for about, used in self._in_order(name, route):
            with self.ctx.shared.owned(f"{about.kind} {about.name}"):
                add_middleware(used, chain, about)
        about = self.ctx.findings.of("route", name, "action")
        if chain.answer is None and route.action.respond is not None:
            add_respond(route.action.respond, chain, about.at("respond"))
        elif chain.answer is None and route.action.redirect is not None:
            add_redirect(route.action.redirect, chain, about.at("redirect"), may_pass=False)
        return chain

    def _in_order(self, name: str, route: Route) -> list[tuple[About, Middleware | MiddlewareUse]]:
        """Returns the middlewares of a chain, those of the whole chain first."""
        counts = {"host": 0, "route": 0}
        found: list[tuple[bool, About, Middleware | MiddlewareUse]] = []
        for kind, owner, used in self._middlewares(route):
            about = self.ctx.findings.of(kind, owner or name, f"middlewares[{counts[kind]}]")
            counts[kind] += 1
            if used.use is not None:
                about = self.ctx.findings.of("middleware", used.use)
            named = self._named(used)
            node = node_of(named)
            found.append((node is None or not node.is_of_whole_chain, about, named))
        return [(about, named) for _, about, named in sorted(found, key=lambda one: one[0])]

    def _answer(self, answer: Answer, chain: Chain) -> list[Node]:
        answer = pages.paged(answer, chain)
        nodes = [*asking.reasoned(answer.reason)]
        nodes.append(directive("default_type", Literal(answer.content_type)))
        nodes += asking.fresh(answer.expires)
        nodes += asking.added(answer.lines)
        status = Word(str(answer.status))
        if answer.location is not None:
            return [*nodes, directive("return", status, as_arg(answer.location))]
        if answer.body:
            return [*nodes, directive("return", status, as_arg(answer.body, lines=True))]
        if answer.status < _NO_TEXT_BELOW:
            return [*nodes, directive("return", status, Literal(""))]
        # For an empty text nginx would send its own page for the status.
        return [*nodes, directive("return", status, Var("hg_empty"))]

    def _forward(
        self, name: str, route: Route, upstream: str, target: Upstream, chain: Chain
    ) -> list[Node]:
        ctx = self.ctx
        nodes = timeouts.route(name, route, target, bool(chain.rate), ctx)
        nodes += retries.route(name, route, ctx)
        lines = forwarded.with_edits(
            self.base, self._replaced(route, upstream, chain), chain.request, ctx.shared
        )
        nodes += lines or []
        headers = chain.response_headers()
        if headers.drops:
            hidden = dict.fromkeys((*BASE_HIDDEN, *headers.drops))
            nodes += [directive("proxy_hide_header", Plain(header)) for header in hidden]
        nodes += asking.fresh(headers.freshness.word if headers.freshness else None)
        nodes += asking.added(headers.lines)
        nodes += [*chain.body, *chain.rate]
        nodes += upstreams.tls(target, upstream, ctx)
        return [*nodes, directive("proxy_pass", self._url(route, upstream, chain))]

    def _url(self, route: Route, upstream: str, chain: Chain) -> Template:
        target = self.ctx.upstreams.get(upstream)
        scheme = "https" if target is not None and target.tls is not None else "http"
        path: Parts = (chain.path, Var("hg_query"))
        if route.forward_raw_path and chain.path == Var("hg_path"):
            path = (Var("request_uri"),)
        return Template(merged((f"{scheme}://{names.upstream(upstream)}", *path)))

    def _replaced(self, route: Route, upstream: str, chain: Chain) -> dict[str, Arg]:
        """Returns the base header lines that have another value here."""
        target = self.ctx.upstreams[upstream]
        found: dict[str, Arg] = {}
        if chain.host is not None:
            found["host"] = as_arg(chain.host)
        else:
            about = self.ctx.findings.of("upstream", upstream)
            fixed = forwarded.host_header(target, about)
            found |= {"host": Literal(fixed)} if fixed is not None else {}
        if not route.websocket:
            found["connection"] = found["upgrade"] = Literal("")
        return found


def _unavailable() -> Node:
    return directive("return", Word("503"))
