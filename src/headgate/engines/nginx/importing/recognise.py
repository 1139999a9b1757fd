"""The recogniser: from a tree to an import.

Sound before complete: a directive becomes model only with everything that stands in and around it
understood; whatever is left stays as it is written.
"""

import posixpath
from collections.abc import Sequence
from typing import Final

from headgate.engines.nginx.importing import (
    imported,
    naming,
    proof,
    routing,
    skeleton,
    survey,
    tables,
    upstreams,
)
from headgate.engines.nginx.importing.around import Around, check_kept_around
from headgate.engines.nginx.importing.imported import Fate, Imported, ImportRefusedError, Note
from headgate.engines.nginx.importing.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    object_path,
    validated,
)
from headgate.engines.nginx.importing.proxies import Pools
from headgate.engines.nginx.importing.routing import Attachment, Routed
from headgate.engines.nginx.importing.servers import (
    Pair,
    Server,
    default_servers,
    server_notes,
    server_of,
)
from headgate.nginxtext.includes import Located, Tree
from headgate.nginxtext.tree import Argument, Directive, to_bytes, walk

_CERTIFICATE_LINES: Final = (
    (b"ssl_certificate", imported.CERTIFICATE),
    (b"ssl_certificate_key", imported.KEY),
)


def import_tree(tree: Tree) -> Imported:
    """Takes over a config; raises `ImportRefusedError` where something would be lost: a file that
    is missing or broken, blocks nested more than 100 deep, or directives named as our own."""
    problems = survey.refusals(tree)
    if problems:
        raise ImportRefusedError(problems)
    one = _Recogniser(tree).run()
    lost = proof.lost(tree, one)
    if lost:
        raise ImportRefusedError(lost)
    return one


class _Recogniser:
    """One import; objects and edits are gathered as they are found."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._prefix = posixpath.dirname(tree.entry)
        self._uses = survey.uses(tree)
        self._edits: dict[skeleton.Key, Directive] = {}
        self._objects: dict[skeleton.Key, str] = {}
        self._why: dict[skeleton.Key, str] = {}
        self._notes: list[Note] = []
        self._routes: list[ModelObject] = []
        self._names = naming.Names()
        self._servers: list[Server] = []
        self._http: list[Located] = []
        self._pending: list[tuple[Located, bytes, Pair]] = []

    def run(self) -> Imported:
        """The import."""
        blocks = [one for one in self._tree.top() if one.directive.name == b"http"]
        self._http = [line for block in blocks for line in self._tree.inside(block)]
        pools = self._pools()
        try:
            check_kept_around(self._http)
        except NotExpressibleError as error:
            self._keep_all(str(error))
        else:
            self._all_servers(pools)
        self._take_certificates()
        self._take_upstreams(pools)
        return Imported(
            self._tree.entry,
            self._gathered(pools),
            {
                file: to_bytes(skeleton.edited(document.nodes, file, self._edits))
                for file, document in self._tree.documents.items()
            },
            self._fates(),
            tuple(self._notes),
        )

    def _keep_all(self, why: str) -> None:
        for one in self._http:
            if one.directive.name == b"server":
                self._why[skeleton.key_of(one)] = why

    def _pools(self) -> Pools:
        """The upstream blocks: their tables, or that they are kept."""
        explicit: dict[str, Table] = {}
        kept: set[str] = set()
        for block in self._http:
            if block.directive.name != b"upstream" or not block.directive.args:
                continue
            name = block.directive.values[0].decode(errors="replace")
            lines = list(self._tree.inside(block))
            try:
                self._check_own_file(block)
                if name in explicit or name in kept:
                    raise NotExpressibleError("the name is taken")
                self._check_one_file(block, lines)
                explicit[name] = validated(
                    ModelObject("upstreams", name, upstreams.table_of(lines))
                ).table
            except NotExpressibleError as error:
                kept.add(name)
                explicit.pop(name, None)
                self._why[skeleton.key_of(block)] = str(error)
        return Pools(explicit, frozenset(kept))

    def _all_servers(self, pools: Pools) -> None:
        blocks = [one for one in self._http if one.directive.name == b"server"]
        inside = [list(self._tree.inside(block)) for block in blocks]
        defaults = default_servers(inside)
        for index, (block, lines) in enumerate(zip(blocks, inside, strict=True)):
            own = frozenset(address for address, at in defaults.items() if at == index)
            try:
                self._check_own_file(block)
                self._server(server_of(block, lines, self._http, own, self._prefix), pools)
            except NotExpressibleError as error:
                self._why[skeleton.key_of(block)] = str(error)

    def _server(self, server: Server, pools: Pools) -> None:
        """The routes of a server, and with the first of them the server itself."""
        tables.host_objects([*self._servers, server])
        listeners = tables.listener_names([*self._servers, server])
        attached = routing.attachments(server, listeners)
        before = len(self._routes)
        upgrades = survey.upgrade_variables(self._http)
        whole = next((one for one in server.lines if one.directive.name == b"return"), None)
        if whole is not None:
            self._whole_server(whole, server, attached)
        for line in server.lines:
            if line.directive.name == b"location":
                siblings = routing.siblings_of(server.lines, line)
                inside = list(self._tree.inside(line))
                around = Around((inside, server.lines, self._http), siblings, upgrades)
                try:
                    self._location(line, inside, around, server, attached, pools)
                except NotExpressibleError as error:
                    self._why[skeleton.key_of(line)] = str(error)
        if len(self._routes) == before:
            raise NotExpressibleError("nothing in it became a route")
        self._servers.append(server)
        self._take_server(server, listeners)
        place = server.located.file, server.located.directive.line
        self._notes += [Note(*place, note) for note in server_notes(server)]

    def _whole_server(self, line: Located, server: Server, attached: list[Attachment]) -> None:
        self._check_own_file(line)
        table = routing.route_server(line, Around((server.lines, self._http)), server)
        name = self._names.take(f"{_first_name(server)}-all")
        self._routes += [routing.built(name, one, (), table) for one in attached]
        self._replace(
            line, object_path("routes", name), skeleton.placeholder(imported.RETURN, [name])
        )

    def _location(
        self,
        block: Located,
        lines: Sequence[Located],
        around: Around,
        server: Server,
        attached: list[Attachment],
        pools: Pools,
    ) -> None:
        self._check_own_file(block)
        routing.check_included(block.directive, lines, block.file)
        routed = routing.route_location(block, lines, around, server, pools)
        name = self._names.take(f"{_first_name(server)}{routed.wanted.path.replace('/', '-')}")
        self._routes += self._built(name, routed, attached)
        words = [name, routed.wanted.modifier] if routed.wanted.modifier else [name]
        kept = skeleton.kept_children(block.directive, routing.is_kept)
        place = skeleton.placeholder(imported.ROUTE, words, kept)
        path = object_path("routes", name)
        self._replace(block, path, place)
        for one in block.directive.directives():
            if not routing.is_kept(one):
                self._objects[skeleton.key_of(Located(block.file, one))] = path
        self._notes += [Note(block.file, block.directive.line, note) for note in routed.notes]

    def _built(self, name: str, routed: Routed, attached: list[Attachment]) -> list[ModelObject]:
        found = []
        for one in attached:
            found.append(routing.built(name, one, routed.matched.match, routed.table))
            if routed.matched.redirected is not None:
                match: Table = {"path": {"exact": routed.matched.redirected}}
                table = routing.redirect_to_slash(routed.matched.redirected)
                found.append(routing.built(f"{name}-slash", one, (match,), table))
        return found

    def _take_server(self, server: Server, listeners: dict[str, str]) -> None:
        """Marks the server's own lines as model."""
        path = _server_path(server, listeners)
        self._objects[skeleton.key_of(server.located)] = path
        for one in server.listens:
            if one.place is not None and self._is_own(one.place):
                words: list[str | Argument] = [one.address, *one.kept]
                instead = skeleton.placeholder(imported.LISTEN, words)
                self._replace(one.place, object_path("listeners", listeners[one.address]), instead)
        for line in server.lines:
            if line.directive.name == b"server_name" and self._is_own(line):
                instead = skeleton.placeholder(imported.NAMES, line.directive.args)
                self._replace(line, path, instead)
        for name, instead_of in _CERTIFICATE_LINES:
            lines = [one for one in server.lines if one.directive.name == name]
            for line, pair in zip(lines, server.pairs, strict=False):
                if self._is_own(line):
                    self._pending.append((line, instead_of, pair))

    def _take_certificates(self) -> None:
        """Marks the certificates' lines, once all have their names."""
        names = tables.certificate_names(self._servers)
        for line, instead_of, pair in self._pending:
            place = skeleton.placeholder(instead_of, [names[pair]])
            self._replace(line, object_path("certificates", names[pair]), place)

    def _take_upstreams(self, pools: Pools) -> None:
        for block in self._http:
            if block.directive.name == b"upstream" and block.directive.args:
                name = block.directive.values[0].decode(errors="replace")
                if name in self._used():
                    self._take_upstream(block, name)
                elif name in pools.explicit:
                    self._why[skeleton.key_of(block)] = "no route leads to it"

    def _take_upstream(self, block: Located, name: str) -> None:
        kept = skeleton.kept_children(block.directive, upstreams.is_kept)
        path = object_path("upstreams", name)
        self._replace(block, path, skeleton.placeholder(imported.UPSTREAM, [name], kept))
        for one in block.directive.directives():
            if not upstreams.is_kept(one):
                self._objects[skeleton.key_of(Located(block.file, one))] = path

    def _gathered(self, pools: Pools) -> tuple[ModelObject, ...]:
        """Every object, section by section."""
        used = self._used()
        both = {**pools.explicit, **pools.implicit}
        named = {name: table for name, table in both.items() if name in used}
        listeners = tables.listener_names(self._servers)
        return (
            *tables.listener_objects(self._servers, listeners),
            *tables.host_objects(self._servers),
            *self._routes,
            *(ModelObject("upstreams", name, table) for name, table in named.items()),
            *tables.certificate_objects(self._servers),
        )

    def _used(self) -> set[str]:
        """The upstreams that routes lead to; others may be FastCGI's or nobody's."""
        return {str(one.table["upstream"]) for one in self._routes if "upstream" in one.table}

    def _fates(self) -> tuple[Fate, ...]:
        return tuple(
            self._fate(Located(file, one))
            for file, document in self._tree.documents.items()
            for one in walk(document.nodes)
        )

    def _fate(self, located: Located) -> Fate:
        key = skeleton.key_of(located)
        name = located.directive.name.decode(errors="replace")
        return Fate(*key, name, self._objects.get(key, ""), self._why.get(key, ""))

    def _replace(self, located: Located, path: str, instead: Directive) -> None:
        key = skeleton.key_of(located)
        self._edits[key] = instead
        self._objects[key] = path

    def _is_own(self, located: Located) -> bool:
        """Whether nothing else includes the file it stands in."""
        return self._uses[located.file] == 1

    def _check_own_file(self, located: Located) -> None:
        if not self._is_own(located):
            raise NotExpressibleError(f"{located.file} is included more than once")

    def _check_one_file(self, block: Located, lines: Sequence[Located]) -> None:
        if any(one.file != block.file for one in lines):
            raise NotExpressibleError("it includes another file")


def _first_name(server: Server) -> str:
    """The name that routes and certificates of a server are called by."""
    return (server.names or ("default",))[0].removeprefix("*.")


def _server_path(server: Server, listeners: dict[str, str]) -> str:
    if server.names:
        return object_path("hosts", server.names[0])
    return object_path("listeners", listeners[server.listens[0].address])
