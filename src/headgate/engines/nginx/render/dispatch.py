"""Renders the locations of a server: from a place of a path to the body
of the route that takes it.

A place with one certain route is that route's location. Where several may win, maps try their
conditions one after the other and name the location to use. Locations of routes are named
`route:…`: a request's path begins with a slash, so none can ask for one.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from headgate.engines.nginx.lint.regexes import has_nested_repetition
from headgate.engines.nginx.render.bodies import Bodies, Body
from headgate.engines.nginx.render.context import Context
from headgate.engines.nginx.render.names import NO_ROUTE, UNDECIDED
from headgate.engines.nginx.render.precedence import Candidate, Place, candidates, places
from headgate.features import nginx
from headgate.features.nginx_registry import conditions, expressions, may_give_up
from headgate.nginxtext import writer
from headgate.nginxtext.tree import Node
from headgate.nginxtext.writer import (
    Arg,
    Literal,
    MapKey,
    Op,
    Plain,
    Regex,
    Template,
    Var,
    Word,
    comment,
    directive,
)

LONGEST_CHAIN: Final = 32
"""The most matches in one chain of nested maps; nginx nests 100 variables at most."""

_NOT_FOUND: Final = directive("return", Word("404"))
_NOWHERE: Final = directive("location", Op("="), Plain(NO_ROUTE), children=[_NOT_FOUND])
_GIVEN_UP: Final = directive("return", Word("500"))
"""As nginx does by itself where an expression of a location takes too long."""
_SLOW: Final = (
    "a repetition is repeated: nginx tries some texts in very many ways, "
    "which takes a worker long, and then answers 500"
)
_NOBODY_KNOWS: Final = directive("location", Op("="), Plain(UNDECIDED), children=[_GIVEN_UP])


def locations(ctx: Context, routes: Sequence[str], bodies: Bodies) -> list[Node]:
    """Returns every location of a host with these routes."""
    found = [
        one
        for name in routes
        for one in candidates(name, ctx.routes[name])
        if _is_writable(ctx, one)
    ]
    by_place = places(found)
    made = {one: bodies.of(one) for tried in by_place.values() for one in tried}
    uses = Counter(_uses(by_place.values(), made))
    nodes: list[Node] = []
    inlined: set[str] = set()
    jumps: dict[tuple[Candidate, ...], list[Node]] = {}
    for place, tried in by_place.items():
        if tried and tried[0].is_certain and uses[made[tried[0]].place] == 1:
            body = made[tried[0]]
            inlined.add(body.place)
            nodes.append(_location(place, body.nodes))
            continue
        if tried not in jumps:
            jumps[tried] = _jump(ctx, tried, made)
        nodes.append(_location(place, jumps[tried]))
    for name, body in {body.place: body for body in made.values()}.items():
        if name not in inlined:
            nodes.append(_named(body))
        nodes += [_named(one) for one in _beside(body)]
    if any(map(_may_miss, by_place.values())):
        nodes.append(_NOWHERE)
    if any(may_give_up(one.match) for tried in by_place.values() for one in tried):
        nodes.append(_NOBODY_KNOWS)
    return nodes


def _is_writable(ctx: Context, one: Candidate) -> bool:
    """Reports whether nginx can read the path of a match; refuses it if not."""
    about = ctx.findings.of("route", one.route, f"match[{one.index}]")
    kind = "exact" if one.exact is not None else "prefix"
    with about.guarded(f"path.{kind}"):
        writer.argument(Plain(one.matched + "/"))
        return True
    return False


def _may_miss(tried: Sequence[Candidate]) -> bool:
    """Reports whether maps may name no route; every location costs memory in each server."""
    return len(tried) > LONGEST_CHAIN or bool(tried and not any(one.is_certain for one in tried))


def _uses(lists: Iterable[tuple[Candidate, ...]], made: Mapping[Candidate, Body]) -> Iterator[str]:
    """Yields the place of a body for each location that needs it; twice where a map names it."""
    for tried in lists:
        for one in tried:
            place = made[one].place
            yield place
            if not (one is tried[0] and one.is_certain):
                yield place


def _beside(body: Body) -> list[Body]:
    return [found for one in body.beside for found in (one, *_beside(one))]


def _location(place: Place, children: Sequence[Node]) -> Node:
    if not place.below:
        return directive("location", Op("="), Plain(place.path), children=children)
    if not place.path:
        return directive("location", Word("/"), children=children)
    return directive("location", Op("^~"), Plain(place.path + "/"), children=children)


def _named(body: Body) -> Node:
    words = (Plain(body.place),) if body.place.startswith("@") else (Op("="), Plain(body.place))
    return directive("location", *words, children=body.nodes)


def _jump(ctx: Context, tried: Sequence[Candidate], made: Mapping[Candidate, Body]) -> list[Node]:
    if not tried:
        return [_NOT_FOUND]
    if tried[0].is_certain:
        first = made[tried[0]]
        return [comment(f"route {tried[0].route}"), _rewrite(Literal(first.place))]
    names = ", ".join(dict.fromkeys(one.route for one in tried))
    text = comment(f"the first that fits: {names}"[:300])
    blocks = [tried[i : i + LONGEST_CHAIN] for i in range(0, len(tried), LONGEST_CHAIN)]
    if len(blocks) == 1:
        return [text, _rewrite(_picked(ctx, tried, made, Literal(NO_ROUTE)))]
    nodes: list[Node] = [text]
    for index, block in enumerate(blocks):
        picked = _picked(ctx, block, made, Literal(""))
        take = directive("set", Var("hg_place"), picked)
        if index:
            take = writer.if_(Var("hg_place"), "=", Literal(""), children=[take])
        nodes.append(take)
    missed = directive("set", Var("hg_place"), Literal(NO_ROUTE))
    nodes.append(writer.if_(Var("hg_place"), "=", Literal(""), children=[missed]))
    return [*nodes, _rewrite(Var("hg_place"))]


def _rewrite(to: Arg) -> Node:
    return directive("rewrite", Regex("^"), to, Word("last"))


def _picked(
    ctx: Context, tried: Sequence[Candidate], made: Mapping[Candidate, Body], otherwise: Arg
) -> Arg:
    """Returns the place of the first of these whose conditions hold, as a variable."""
    picked = otherwise
    for one in reversed(tried):
        place = Literal(made[one].place)
        if one.is_certain:
            picked = place
            continue
        about = ctx.findings.of("route", one.route, f"match[{one.index}]")
        for key, expression in expressions(one.match):
            if has_nested_repetition(expression):
                about.note(key, _SLOW)
        with ctx.shared.owned(f"route {one.route}"):
            held = conditions(one.match, ctx.shared, about)
            source: Arg = held[0] if len(held) == 1 else Template(held)
            entries: list[nginx.Entry] = [(MapKey("1" * len(held)), place)]
            if may_give_up(one.match):
                # A condition that does not hold decides, whatever the others are.
                unknown = Regex(f"~{ctx.plain}^[1{nginx.UNDECIDED.text}]+$")
                entries.append((unknown, Literal(UNDECIDED)))
            picked = ctx.shared.map("pick", source, entries, picked)
    return picked
