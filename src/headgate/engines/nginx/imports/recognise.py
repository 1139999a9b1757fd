"""Recognises what of a config's tree becomes model.

Sound before complete: a directive becomes model only if the recogniser understands everything in
and around it; the rest stays as written, and a route refuses what it would have answered.
"""

import posixpath
from collections.abc import Sequence
from typing import Final

from headgate.engines.nginx.imports import (
    accesslogs,
    http2,
    imported,
    limits,
    locations,
    mirrors,
    proof,
    routing,
    services,
    skeleton,
    splits,
    streams,
    survey,
    tables,
    upstreams,
)
from headgate.engines.nginx.imports.around import Level, UserFiles, Zones
from headgate.engines.nginx.imports.gathering import Gathered
from headgate.engines.nginx.imports.imported import Imported, ImportRefusedError
from headgate.engines.nginx.imports.locations import Locations, Site
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    by_section,
    object_path,
    validated,
)
from headgate.engines.nginx.imports.proxies import Pools
from headgate.engines.nginx.imports.realip import ClientsByAddress
from headgate.engines.nginx.imports.servers import Pair, Server, server_notes, servers_of
from headgate.engines.nginx.imports.streamtls import Certificates
from headgate.nginxtext.includes import Located, Tree
from headgate.nginxtext.tree import Argument, to_bytes, walk

_CERTIFICATE_LINES: Final = (
    (b"ssl_certificate", imported.CERTIFICATE),
    (b"ssl_certificate_key", imported.KEY),
)

_HOSTS_OF_OTHERS: Final = (
    "unknown hosts may be another server's, by a name that hosts cannot be matched by"
)


def import_tree(tree: Tree, users: UserFiles | None = None) -> Imported:
    """Imports a config; `users` reads files of users, without it these are not at hand.

    Raises `ImportRefusedError` where it would lose something: a file that is missing or broken,
    blocks nested more than 100 deep, or directives named as our own.
    """
    problems = survey.refusals(tree)
    if problems:
        raise ImportRefusedError(problems)
    one = _Recogniser(tree, users).run()
    lost = proof.lost(tree, one)
    if lost:
        raise ImportRefusedError(lost)
    return one


class _Recogniser:
    """One import."""

    def __init__(self, tree: Tree, users: UserFiles | None) -> None:
        self._tree = tree
        self._users = users
        self._gathered = Gathered(survey.uses(tree))
        blocks = [one for one in tree.top() if one.directive.name == b"http"]
        self._http = Level(line for block in blocks for line in tree.inside(block))
        self._servers: list[Server] = []
        self._listeners: dict[str, str] = {}
        self._pending: list[tuple[Located, bytes, Pair]] = []

    def run(self) -> Imported:
        """Returns the import."""
        pools = self._pools()
        self._all_servers(pools)
        self._take_certificates()
        used = self._used()
        self._take_upstreams(pools, used)
        secured = Certificates(self._servers, posixpath.dirname(self._tree.entry))
        of_tcp = streams.Streams(self._tree, self._gathered, used, secured).run()
        log = self._log(has_streams=bool(of_tcp))
        return Imported(
            self._tree.entry,
            by_section((*log, *self._objects(pools, used), *of_tcp)),
            {
                file: to_bytes(skeleton.edited(document.nodes, file, self._gathered.edits))
                for file, document in self._tree.documents.items()
            },
            tuple(
                self._gathered.fate(Located(file, one))
                for file, document in self._tree.documents.items()
                for one in walk(document.nodes)
            ),
            tuple(self._gathered.notes),
            self._gathered.originals,
        )

    def _pools(self) -> Pools:
        """Returns the upstream blocks: the tables of modelled ones, the names of kept ones."""
        explicit: dict[str, Table] = {}
        kept: set[str] = set()
        for block in self._http.named(b"upstream"):
            if not block.directive.args:
                continue
            name = block.directive.values[0].decode(errors="replace")
            lines = list(self._tree.inside(block))
            try:
                self._gathered.check_own_file(block)
                if name in explicit or name in kept:
                    raise NotExpressibleError("the name is taken")
                _check_one_file(block, lines)
                explicit[name] = validated(
                    ModelObject("upstreams", name, upstreams.table_of(lines))
                ).table
            except NotExpressibleError as error:
                kept.add(name)
                explicit.pop(name, None)
                self._gathered.keep(block, str(error))
        return Pools(explicit, frozenset(kept), splits.splits_of(self._tree))

    def _all_servers(self, pools: Pools) -> None:
        blocks = [(one, list(self._tree.inside(one))) for one in self._http.named(b"server")]
        prefix = posixpath.dirname(self._tree.entry)
        found, unknown = servers_of(blocks, self._http, prefix)
        self._servers = self._checked(found)
        self._listeners = tables.listener_names(self._servers)
        taker = Locations(self._tree, self._gathered, pools, self._users, self._zones())
        upgrades = survey.upgrade_variables(self._http)
        spoken = http2.spoken_on(self._servers)
        for one in self._servers:
            attached = routing.attachments(one, self._listeners, unknown)
            server = one if attached or one.whys else one._replace(whys=(_HOSTS_OF_OTHERS,))
            site = Site(server, self._http, attached, upgrades, _first_name(server))
            if taker.take(site):
                self._take_server(server)
                for note in [*http2.notes(server, spoken), *server_notes(server)]:
                    self._gathered.note(server.located, note)
            else:
                self._gathered.keep(server.located, "nothing in it became a route")
        if unknown:
            addresses = [one for one in self._listeners if one in unknown]
            first = next(s for s in self._servers if unknown.intersection(s.addresses))
            locations.unknown_hosts(self._gathered, addresses, self._listeners, first.located)

    def _zones(self) -> Zones:
        """Returns why limits by a zone have no counterpart."""
        if not limits.are_declared(self._http):
            return {}
        lines = (one.lines for one in self._servers)
        return limits.without_counterpart(survey.places(self._tree, self._http, lines))

    def _checked(self, servers: Sequence[Server]) -> list[Server]:
        """Returns the servers after the checks among them all."""
        certificates = tables.CertificatesByName()
        clients = ClientsByAddress()
        found = []
        for one in servers:
            whys = certificates.conflicts(one)
            if conflict := clients.conflict(one.addresses, one.client):
                whys.append(conflict)
            if not self._gathered.is_own(one.located):
                whys.append(f"{one.located.file} is included more than once")
            found.append(one._replace(whys=(*one.whys, *whys)))
        return found

    def _take_server(self, server: Server) -> None:
        """Marks the server's own lines as model."""
        path = self._server_path(server)
        self._gathered.became(server.located, path)
        for one in server.listens:
            if one.place is not None and self._gathered.is_own(one.place):
                words: list[str | Argument] = [one.address, *one.kept]
                instead = skeleton.placeholder(imported.LISTEN, words)
                listener = object_path("listeners", self._listeners[one.address])
                self._gathered.replace(one.place, listener, instead)
        for line in server.lines.named(b"server_name"):
            if self._gathered.is_own(line):
                instead = skeleton.placeholder(imported.NAMES, line.directive.args)
                self._gathered.replace(line, path, instead)
        for name, instead_of in _CERTIFICATE_LINES:
            for line, pair in zip(server.lines.named(name), server.pairs, strict=False):
                if self._gathered.is_own(line):
                    self._pending.append((line, instead_of, pair))

    def _server_path(self, server: Server) -> str:
        names = tables.reached(server)
        if names:
            return object_path("hosts", names[0])
        return object_path("listeners", self._listeners[server.addresses[0]])

    def _take_certificates(self) -> None:
        """Marks the certificates' lines, once all have their names."""
        names = tables.certificate_names(self._servers)
        for line, instead_of, pair in self._pending:
            place = skeleton.placeholder(instead_of, [names[pair]])
            self._gathered.replace(line, object_path("certificates", names[pair]), place)

    def _take_upstreams(self, pools: Pools, used: set[str]) -> None:
        for block in self._http.named(b"upstream"):
            if block.directive.args:
                name = block.directive.values[0].decode(errors="replace")
                if name in used:
                    self._take_upstream(block, name, pools)
                elif name in pools.explicit:
                    self._gathered.keep(block, "no route leads to it")

    def _take_upstream(self, block: Located, name: str, pools: Pools) -> None:
        kept = skeleton.kept_children(block.directive, upstreams.is_kept)
        path = object_path("upstreams", name)
        self._gathered.replace(block, path, skeleton.placeholder(imported.UPSTREAM, [name], kept))
        for note in upstreams.notes_of(pools.explicit[name]):
            self._gathered.note(block, note)
        for one in block.directive.directives():
            if not upstreams.is_kept(one):
                self._gathered.became(Located(block.file, one), path)

    def _objects(self, pools: Pools, used: set[str]) -> tuple[ModelObject, ...]:
        """Returns every object, section by section."""
        both = {**pools.explicit, **pools.implicit}
        named = {name: table for name, table in both.items() if name in used}
        return (
            *tables.listener_objects(self._servers, self._listeners),
            *tables.host_objects(self._servers),
            *self._gathered.routes,
            *(ModelObject("middlewares", *one) for one in self._gathered.middlewares.items()),
            *(ModelObject("upstreams", name, table) for name, table in named.items()),
            *tables.policy_objects(self._servers),
            *tables.certificate_objects(self._servers),
        )

    def _log(self, *, has_streams: bool) -> tuple[ModelObject, ...]:
        servers = [one.lines for one in self._servers]
        is_trusting = any("client_ip" in one.client for one in self._servers)
        log = accesslogs.NodeLog(self._tree, self._gathered, self._http, servers)
        return log.run(has_streams=has_streams, is_trusting=is_trusting)

    def _used(self) -> set[str]:
        """Returns the upstreams that routes lead to; others may serve FastCGI or nothing."""
        routes = self._gathered.routes
        asked = services.upstreams_of(self._gathered.middlewares.values())
        copied = (name for one in routes for name in mirrors.upstreams_of(one.table))
        return {*asked, *copied, *(n for one in routes for n in splits.upstreams_of(one.table))}


def _check_one_file(block: Located, lines: Sequence[Located]) -> None:
    if any(one.file != block.file for one in lines):
        raise NotExpressibleError("it includes another file")


def _first_name(server: Server) -> str:
    """Returns the base of the names of a server's routes and certificates."""
    return (server.names or ("default",))[0].removeprefix("*.")
