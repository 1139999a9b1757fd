"""Renders `split` of a route: which of its locations a request goes to, or which upstream a
connection does.
"""

from collections.abc import Sequence
from typing import Final

from headgate.engines.nginx.render.context import Context
from headgate.features.nginx import About
from headgate.features.nginx_balance import key_variable
from headgate.nginxtext.writer import Arg, Literal, Template, Var
from headgate.plan.objects import Route, SplitPart
from headgate.plan.tcp import TcpRoute

_SHARES: Final = 10_000
_MOVES: Final = (
    "nginx gives each branch a range of hashes: when weights change, clients move between branches "
    "whose share stayed, too"
)
_CONNECTION: Final = Template((Var("msec"), " ", Var("pid"), " ", Var("connection")))
"""Another text for each connection."""


def split(ctx: Context, name: str, route: Route, branches: Sequence[tuple[SplitPart, str]]) -> Var:
    """Returns the variable of the place to go to; each branch has a part and its place."""
    shares = _shares(branches, ctx.findings.of("route", name, "action.split"))
    return ctx.shared.split("split", _hashed(ctx, name, route), shares)


def of_connections(ctx: Context, name: str, route: TcpRoute) -> Arg:
    """Returns the name of the upstream of a TCP route's connection."""
    parts = [part for part in route.parts if part.weight]
    if len(parts) == 1:
        return Literal(parts[0].upstream)
    about = ctx.findings.of("tcp_route", name)
    by: Arg = _CONNECTION
    if route.sticky is not None:
        by = Var("remote_addr")
        about.note("sticky.by", _MOVES)
    branches = [(part, part.upstream) for part in parts]
    return ctx.shared.split("split", by, _shares(branches, about.at("split")))


def _shares(branches: Sequence[tuple[SplitPart, str]], about: About) -> list[tuple[str, Arg]]:
    total = sum(part.weight for part, _ in branches)
    shares: list[tuple[str, Arg]] = []
    for part, place in branches[:-1]:
        share = max(round(part.weight * _SHARES / total), 1)
        if abs(share / _SHARES - part.weight / total) > 0.1 * part.weight / total:
            about.note("", f"nginx splits in steps of 0.01 %: {part.upstream} is rounded")
        shares.append((f"{share // 100}.{share % 100:02}%", Literal(place)))
    shares.append(("*", Literal(branches[-1][1])))
    return shares


def _hashed(ctx: Context, name: str, route: Route) -> Var:
    """Returns what a split hashes: the first key that a request has, else its number."""
    by = Var("request_id")
    about = ctx.findings.of("route", name, "sticky")
    if route.sticky is None:
        return by
    if route.sticky.cookie is not None:
        about.refuse("cookie", "nginx signs no cookies; `by` can hash one of the application")
    keys = route.sticky.by or ()
    for key in reversed(keys):
        variable = key_variable(key, ctx.shared, about.at("by"))
        if variable is None:
            continue
        entries = ((Literal(""), by),)
        by = ctx.shared.map("sticky", variable, entries, variable)
    if keys:
        about.note("by", _MOVES)
    return by
