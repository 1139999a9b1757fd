"""Makes the routes of one server: for each location its routes, or a refusal at its rank."""

import posixpath
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import (
    contents,
    expiring,
    hostifs,
    imported,
    matching,
    ranks,
    refusals,
    returns,
    routing,
    skeleton,
    splits,
)
from headgate.engines.nginx.imports.around import Around, Level, Siblings, UserFiles, Zones
from headgate.engines.nginx.imports.gathering import Gathered
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    object_path,
)
from headgate.engines.nginx.imports.proxies import Pools
from headgate.engines.nginx.imports.ranks import Ranks, Spot
from headgate.engines.nginx.imports.routing import Attachment, Routed
from headgate.engines.nginx.imports.servers import Server
from headgate.nginxtext.includes import Located, Tree

_SLASH: Final = "-slash"
"""The end of the names of routes that redirect to a directory's slash."""


class Site(NamedTuple):
    """A server and what its routes have in common; `own` is the base of their names."""

    server: Server
    http: Level
    attached: Sequence[Attachment]
    upgrades: frozenset[bytes]
    own: str

    @property
    def suffixes(self) -> list[str]:
        """The ends of the names of its routes."""
        return [one.suffix for one in self.attached]


class _Return(NamedTuple):
    """A `return`, which answers all of `attached`; `within` is itself, or the `if` around it.

    `levels` are those whose directives count for it, `word` ends its route's name.
    """

    within: Located
    levels: tuple[Level, ...]
    word: str
    rank: int
    attached: Sequence[Attachment]


class Locations:
    """Imports servers one after the other."""

    def __init__(
        self, tree: Tree, gathered: Gathered, pools: Pools, users: UserFiles | None, zones: Zones
    ) -> None:
        self._tree = tree
        self._zones = zones
        self._gathered = gathered
        self._pools = pools
        self._users = users
        self._prefix = posixpath.dirname(tree.entry)

    def take(self, site: Site) -> bool:
        """Imports a server; returns whether a location of it,
        or its own `return`, became a route.
        """
        lines = site.server.lines
        blocks = lines.named(b"location")
        insides = [Level(self._tree.inside(block)) for block in blocks]
        spots = [
            self._spot(one, at, Around((inside, lines, site.http)))
            for at, (one, inside) in enumerate(zip(blocks, insides, strict=True))
        ]
        order = Ranks(spots)
        if site.server.whys:
            self._gathered.keep(site.server.located, "; ".join(site.server.whys))
        taken = self._whole(site, order)
        for block in hostifs.blocks_of(lines.lines, site.server.names):
            taken = self._host(site, block) or taken
        siblings = Siblings(
            (spot.path for spot in spots if spot.modifier == b"="),
            (spot.path for spot in spots if spot.is_prefix),
        )
        asked = _services(spots, insides)
        for index, (block, spot) in enumerate(zip(blocks, spots, strict=True)):
            levels = (insides[index], lines, site.http)
            around = Around(
                levels,
                siblings,
                site.upgrades,
                order.is_ranked,
                self._prefix,
                self._users,
                asked,
                self._zones,
            )
            taken = self._location(site, block, spot, around, order) or taken
        self._note_internal(contents.accelerated(blocks, insides, (lines, site.http)))
        if lines.named(b"return") and not site.server.whys and taken:
            return taken
        self._around(site, spots, order, is_open=taken)
        return taken

    def _spot(self, block: Located, at: int, around: Around) -> Spot:
        spot = ranks.spot_of(block.directive, at, around.access())
        return spot._replace(holds_first=ranks.holds_first(self._tree, around.levels[0]))

    def _note_internal(self, blocks: Sequence[Located]) -> None:
        for one in blocks:
            if self._gathered.fate(one).object:
                self._gathered.note(one, contents.ACCELERATED)

    def _whole(self, site: Site, order: Ranks) -> bool:
        """Imports the `return` of a server; returns whether it became a route."""
        line = next(iter(site.server.lines.named(b"return")), None)
        if line is None or site.server.whys:
            return False
        whole = _Return(line, (site.server.lines,), "all", order.whole, site.attached)
        return self._return(site, line, whole)

    def _host(self, site: Site, block: Located) -> bool:
        """Imports an `if` for one of the server's names; returns whether it became a route."""
        asked = hostifs.asked_by(block.directive)
        attached = [one._replace(hosts=[asked]) for one in site.attached if asked in one.hosts]
        if site.server.whys or not attached:
            return False
        line = Located(block.file, next(block.directive.directives()))
        levels = (Level([line]), site.server.lines)
        if not self._return(site, line, _Return(block, levels, "if", ranks.HOST, attached)):
            return False
        for note in _host_notes(site, asked):
            self._gathered.note(line, note)
        return True

    def _return(self, site: Site, line: Located, one: _Return) -> bool:
        name = self._gathered.names.take(f"{site.own}-{one.word}", site.suffixes)
        path = object_path("routes", name)
        try:
            self._gathered.check_own_file(one.within)
            around = Around((*one.levels, site.http))
            table = routing.route_server(line, around, site.server, one.rank)
            made = [routing.built(name, place, (), table) for place in one.attached]
        except NotExpressibleError as error:
            text = refusals.text_of(one.within, str(error))
            self._gathered.routes += [
                refusals.refusal(name, place, (), text, one.rank) for place in one.attached
            ]
            self._gathered.keep(one.within, str(error))
            self._gathered.refuse(one.within, path)
            return False
        self._gathered.routes += made
        self._gathered.places.append(around)
        for note in (*returns.type_notes(table, around), *expiring.notes_of(table, around)):
            self._gathered.note(line, note)
        self._gathered.replace(line, path, skeleton.placeholder(imported.RETURN, [name]))
        if one.within is not line:
            self._gathered.became(one.within, path)
        return True

    def _location(
        self, site: Site, block: Located, spot: Spot, around: Around, order: Ranks
    ) -> bool:
        try:
            if site.server.whys:
                raise NotExpressibleError("; ".join(site.server.whys))
            self._gathered.check_own_file(block)
            lines = around.levels[0].lines
            if spot.is_regex and order.why_no_regex:
                raise NotExpressibleError(order.why_no_regex)
            routed = routing.route_location(block, lines, around, site.server, self._pools)
            redirects = ["", _SLASH] if routed.matched.redirected is not None else [""]
            suffixes = [f"{word}{end}" for word in redirects for end in site.suffixes]
            name = self._gathered.names.take(_name(site, spot), suffixes)
            self._gathered.routes += _built(name, routed, site, order.of(spot))
            self._gathered.middlewares.update(routed.named)
            self._gathered.places.append(around)
        except NotExpressibleError as error:
            self._refuse(site, block, spot, str(error), order)
            return False
        self._became(block, name, routed)
        return True

    def _became(self, block: Located, name: str, routed: Routed) -> None:
        wanted = routed.wanted
        words = [name, wanted.modifier] if wanted.modifier else [name]
        words += [wanted.path] if wanted.expression else []
        kept = skeleton.kept_children(block.directive, routed.content.is_kept)
        path = object_path("routes", name)
        self._gathered.replace(block, path, skeleton.placeholder(imported.ROUTE, words, kept))
        for one in block.directive.directives():
            if not routed.content.is_kept(one):
                self._gathered.became(Located(block.file, one), path)
        for note in routed.notes:
            self._gathered.note(block, note)

    def _refuse(self, site: Site, block: Located, spot: Spot, why: str, order: Ranks) -> None:
        if not site.server.whys:
            self._gathered.keep(block, why)
        match = refusals.matches_of(spot)
        if match is None or not site.attached:
            return
        name = self._gathered.names.take(_name(site, spot), site.suffixes)
        text = refusals.text_of(block, why)
        self._gathered.routes += [
            refusals.refusal(name, one, match, text, order.of(spot)) for one in site.attached
        ]
        self._gathered.refuse(block, object_path("routes", name))

    def _around(self, site: Site, spots: Sequence[Spot], order: Ranks, *, is_open: bool) -> None:
        """Refuses what no location takes, and what nginx would route to another one."""
        if not site.attached:
            return
        block = site.server.located
        guards = refusals.guards(spots, order) if is_open else []
        if guards:
            name = self._gathered.names.take(f"{site.own}-encoded-slash", site.suffixes)
            text = refusals.text_of(block, refusals.ENCODED_SLASH)
            self._gathered.routes += [
                refusals.refusal(name, one, guards, text, ranks.ENCODED) for one in site.attached
            ]
        if any(one.is_prefix and one.path in (b"", b"/") for one in spots):
            return
        name = self._gathered.names.take(f"{site.own}-rest", site.suffixes)
        text = refusals.text_of(block, "; ".join(site.server.whys) or refusals.REST)
        self._gathered.routes += [refusals.refusal(name, one, (), text) for one in site.attached]
        self._gathered.refuse(block, object_path("routes", name))


def _host_notes(site: Site, asked: str) -> tuple[str, ...]:
    """Returns what differs for a request without a host, whose `$host` is the first name."""
    if site.server.written[0] != asked or not any("*" in one.hosts for one in site.attached):
        return ()
    return ("`$host`: a request without a host is not one for the server's first name here",)


def _services(spots: Sequence[Spot], insides: Sequence[Level]) -> dict[str, Level]:
    """Returns the locations that nginx chooses for a subrequest of their own path: that of no
    prefix is theirs where an expression might take it.
    """
    has_regex = any(spot.is_regex for spot in spots)
    chosen = (b"=", b"^~") if has_regex else (b"=", b"^~", b"")
    found: dict[str, Level] = {}
    for modifier in reversed(chosen):
        for spot, inside in zip(spots, insides, strict=True):
            if spot.modifier == modifier and matching.is_safe(spot.path):
                found[spot.path.decode()] = inside
    return found


def _name(site: Site, spot: Spot) -> str:
    path = spot.path.decode(errors="replace").replace("/", "-")
    return f"{site.own}{'-' if spot.is_regex else ''}{path}"


def _built(name: str, routed: Routed, site: Site, priority: int) -> list[ModelObject]:
    if len(site.attached) > 1 and "sticky" in routed.table:
        raise NotExpressibleError(splits.SEVERAL)
    found = []
    for one in site.attached:
        found.append(routing.built(name, one, routed.matched.match, routed.table, priority))
        if routed.matched.redirected is not None:
            slash: Table = {"path": {"exact": routed.matched.redirected}}
            table = routing.redirect_to_slash(routed.matched.redirected, routed.table)
            exact = ranks.EXACT if priority else 0
            found.append(routing.built(f"{name}{_SLASH}", one, (slash,), table, exact))
    return found


def unknown_hosts(
    gathered: Gathered, addresses: Sequence[str], listeners: Mapping[str, str], block: Located
) -> None:
    """Refuses hosts that match none of our names, where a server may have them
    by a name we cannot read.
    """
    attached = Attachment(["*"], [listeners[one] for one in addresses])
    name = gathered.names.take("other-hosts")
    text = refusals.text_of(block, "a server has names here that hosts cannot be matched by")
    gathered.routes.append(refusals.refusal(name, attached, (), text))
