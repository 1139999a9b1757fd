"""Renders what a location asks before it goes on: for a password, or a service about the request.

The service is asked in a location of its own, whose name no client can ask for. nginx runs the
lines of a server for such a request again, which would lead it to the route itself: `at_first` is
what must stand before them.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from headgate.engines.nginx.render import faults, forwarded, names, timeouts, upstreams
from headgate.engines.nginx.render.context import Context
from headgate.features.nginx import Parts, as_arg
from headgate.features.nginx_chain import Asked, Chain, Consulted
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    FilePath,
    Literal,
    MapKey,
    Plain,
    Regex,
    Template,
    Var,
    Word,
    directive,
    if_,
)

_OVER: Final = 401
_PLACE: Final = re.compile(r"\[[0-9]+\]")
"""The place of a middleware in its list."""
_MOVED: Final = (301, 302, 303, 307, 308)
_MOVED_PLACE: Final = "@hg_asked_moved"


class Asking(NamedTuple):
    """The lines that ask in a route's location, and locations beside it: name and directives."""

    lines: list[Node]
    beside: list[tuple[str, list[Node]]]


def asking(
    ctx: Context, asked: Asked | Consulted, place: str, chain: Chain, *, may_lack: bool
) -> Asking:
    """Returns how the location at a place asks; refuses what this nginx cannot. `may_lack`: 500 is
    what nginx says of the route's upstream when it has no endpoint.
    """
    if isinstance(asked, Asked):
        return _password(ctx, asked, names.asked(place))
    return _service(ctx, asked, place, chain, may_lack=may_lack)


def at_first(ctx: Context) -> list[Node]:
    """Returns the first line of a server in which services are asked."""
    own = Regex(f"{ctx.plain}^{names.SERVICE}")
    return [directive("rewrite", own, Var("uri"), Word("last"))]


def moved() -> Node:
    """Returns the location that gives out redirects of services as an answer that nginx knows."""
    closed = directive("return", Word(str(_OVER)))
    return directive("location", Plain(_MOVED_PLACE), children=[closed])


def added(lines: Sequence[tuple[str, Parts]]) -> list[Node]:
    """Returns header lines of every answer of a location."""
    return [
        directive("add_header", Plain(name), as_arg(value), Word("always")) for name, value in lines
    ]


def fresh(expires: Word | None) -> list[Node]:
    """Returns what says how long caches may use the answers of a location."""
    return [directive("expires", expires)] if expires is not None else []


def reasoned(reason: Arg | None) -> list[Node]:
    """Returns what has the log say why a request was refused."""
    return [directive("set", Var("hg_reason"), reason)] if reason is not None else []


def _password(ctx: Context, asked: Asked, refused: str) -> Asking:
    """Leads who does not pass to an answer of ours, which keeps the status and the challenge."""
    about = asked.about
    if not ctx.has("auth_basic"):
        about.refuse("", "this nginx has no `auth_basic`")
    # A chain asks once: its file keeps its name when the middleware moves within the chain, so that
    # a rollback finds today's users.
    within = _PLACE.sub("", about.within)
    users = ctx.users(f"{about.kind} {about.name} {within}", asked.users)
    answer: list[Node] = [
        *reasoned(asked.answer.reason),
        directive("default_type", Literal(asked.answer.content_type)),
        *added(asked.answer.lines),
        directive("return", Word("200"), as_arg(asked.answer.body, lines=True)),
    ]
    lines: list[Node] = [
        directive("auth_basic", Literal(asked.realm)),
        directive("auth_basic_user_file", FilePath(users)),
        directive("error_page", Word("401"), Word(refused)),
        *faults.pages(),
    ]
    return Asking(lines, [(refused, answer)])


def _service(ctx: Context, asked: Consulted, place: str, chain: Chain, *, may_lack: bool) -> Asking:
    if not ctx.has("auth_request"):
        asked.about.refuse("", "this nginx has no `auth_request`")
    service, refused = names.service(place), names.asked(place)
    lines: list[Node] = [
        directive("auth_request", Plain(service)),
        *(directive("auth_request_set", variable, value) for variable, value in asked.kept),
        # The first line of a status counts.
        directive("error_page", *map(Word, ("401", "403", "500")), Word("="), Word(refused)),
        *faults.pages(),
    ]
    answer = _refused(_lacking(asked, chain) if may_lack else asked, chain)
    return Asking(lines, [(service, _subrequest(ctx, asked)), (refused, answer)])


def _lacking(asked: Consulted, chain: Chain) -> Consulted:
    """Returns it with the answer of an upstream without endpoints to a request that passed."""
    shared, fault, answer = chain.shared, faults.NO_ENDPOINT, asked.answer

    def then(hint: str, text: str, otherwise: Arg, *, lines: bool = False) -> Var:
        entry = (MapKey(asked.passed), Literal(text, lines))
        return shared.map(f"asked_{hint}", asked.verdict, [entry], otherwise)

    routes = chain.response_headers().lines
    own = answer.lines[: len(answer.lines) - len(routes)]
    told = [
        (name, (then("line", fault.status if name == faults.STATUS else "", as_arg(value)),))
        for name, value in own
    ]
    body = then("text", fault.text, as_arg(answer.body, lines=True), lines=True)
    return replace(
        asked,
        reason=then("reason", fault.reason, asked.reason),
        answer=replace(answer, lines=[*told, *routes], body=(body,)),
    )


def _subrequest(ctx: Context, asked: Consulted) -> list[Node]:
    """Returns the location that asks; without an answer it has none of ours either."""
    closed = directive("return", Word(str(_OVER)))
    nodes: list[Node] = [
        directive("internal"),
        if_(asked.looped, "=", Literal(""), children=[closed]),
    ]
    target = ctx.upstreams.get(asked.upstream)
    if target is None or not upstreams.is_usable(target, ctx):
        return [*nodes, closed]
    about = ctx.findings.of("upstream", asked.upstream)
    fixed = forwarded.host_header(target, about)
    host: Parts = (_host(ctx) if fixed is None else fixed,)
    body = "0" if asked.method == "POST" else ""
    own: list[tuple[str, Parts]] = [("host", host), ("connection", ()), ("content-length", (body,))]
    limit = upstreams.time(asked.timeout_ms)
    connect = upstreams.time(min(asked.timeout_ms, target.connect_timeout_ms or asked.timeout_ms))
    scheme = "https" if target.tls is not None else "http"
    url = (f"{scheme}://{names.upstream(asked.upstream)}{asked.target}", Var("hg_empty"))
    return [
        *nodes,
        directive("client_max_body_size", Word("0")),
        directive("proxy_method", Word(asked.method)),
        directive("proxy_pass_request_body", Word("off")),
        *_lines(asked, own),
        directive("proxy_connect_timeout", connect),
        directive("proxy_send_timeout", limit),
        directive("proxy_read_timeout", limit),
        directive("proxy_next_upstream_timeout", limit),
        *timeouts.buffers(asked.head_bytes),
        directive("proxy_intercept_errors", Word("on")),
        directive(
            "error_page",
            *(Word(str(status)) for status in _MOVED),
            Word(f"={_OVER}"),
            Word(_MOVED_PLACE),
        ),
        *upstreams.tls(target, asked.upstream, ctx),
        directive("proxy_pass", Template(url)),
    ]


def _lines(asked: Consulted, own: list[tuple[str, Parts]]) -> list[Node]:
    """Returns what the head of the request to the service has, and has not.

    An empty value drops a line of the client; where nothing of the client passes, none needs it.
    """
    lines = [*own, *asked.lines]
    nodes: list[Node] = []
    if asked.passes_all:
        written = {name for name, _ in lines}
        lines += [(name, ()) for name in forwarded.NOT_CLIENTS if name not in written]
    else:
        nodes.append(directive("proxy_pass_request_headers", Word("off")))
    return [
        *nodes,
        *(directive("proxy_set_header", Plain(name), as_arg(value)) for name, value in lines),
    ]


def _host(ctx: Context) -> Var:
    """Returns what the client asked for, never nothing. `hg_host` would then be the service's for
    the route's own upstream as well, since a request and its subrequest share the values of maps.
    """
    asked = Var("http_host")
    return ctx.shared.map("asked_host", asked, [(MapKey(""), Literal("localhost"))], asked)


def _refused(asked: Consulted, chain: Chain) -> list[Node]:
    """Returns the answer to who does not pass. After a pass it is that of an error of nginx's."""
    pages = chain.pages
    own = as_arg(asked.answer.body, lines=True)

    def text(status: int) -> Arg:
        return pages.text(chain.shared) if pages.has(status) else own

    answers = [
        if_(
            asked.verdict,
            "=",
            Literal(str(status)),
            children=[
                directive("return", Word(str(status)), as_arg(where) if where else text(status))
            ],
        )
        for status, where in asked.statuses
    ]
    nodes: list[Node] = [directive("set", Var("hg_reason"), asked.reason)]
    if any(pages.has(status) for status in (*dict(asked.statuses), asked.answer.status)):
        kind = pages.kind(chain.shared, asked.answer.content_type)
        nodes += [directive("default_type", Literal("")), *added([("content-type", (kind,))])]
    else:
        nodes.append(directive("default_type", Literal(asked.answer.content_type)))
    return [
        *nodes,
        *added(asked.answer.lines),
        *answers,
        directive("return", Word(str(asked.answer.status)), text(asked.answer.status)),
    ]
