"""Renders `split` of a route: which of its locations a request goes to."""

from collections.abc import Sequence
from typing import Final

from headgate.engines.nginx.render.context import Context
from headgate.features.nginx_balance import key_variable
from headgate.nginxtext.writer import Arg, Literal, Var
from headgate.plan.objects import Route, SplitPart

_SHARES: Final = 10_000


def split(ctx: Context, name: str, route: Route, branches: Sequence[tuple[SplitPart, str]]) -> Var:
    """Returns the variable of the place to go to; each branch has a part and its place."""
    total = sum(part.weight for part, _ in branches)
    shares: list[tuple[str, Arg]] = []
    about = ctx.findings.of("route", name, "action.split")
    for part, place in branches[:-1]:
        share = max(round(part.weight * _SHARES / total), 1)
        if abs(share / _SHARES - part.weight / total) > 0.1 * part.weight / total:
            about.note("", f"nginx splits in steps of 0.01 %: {part.upstream} is rounded")
        shares.append((f"{share // 100}.{share % 100:02}%", Literal(place)))
    shares.append(("*", Literal(branches[-1][1])))
    return ctx.shared.split("split", _hashed(ctx, name, route), shares)


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
        about.note(
            "by",
            "nginx gives each branch a range of hashes: when weights change, clients move "
            "between branches whose share stayed, too",
        )
    return by
