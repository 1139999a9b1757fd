"""Recognises what of `stream` becomes model: a server is TCP listeners with one route, or with one
for each upstream that server names lead to, and UDP listeners with one route.

A server becomes model as a whole or not at all. Nothing listens natively for one that is kept, so
that nothing that was closed is open.
"""

from collections import Counter
from collections.abc import Mapping, Sequence, Set

from headgate.engines.nginx.imports import (
    accesslogs,
    imported,
    listens,
    servernames,
    skeleton,
    splits,
    streamservers,
    streamsplits,
    streamtls,
    tables,
    upstreams,
    values,
)
from headgate.engines.nginx.imports.around import Level
from headgate.engines.nginx.imports.gathering import Gathered
from headgate.engines.nginx.imports.naming import Names
from headgate.engines.nginx.imports.objects import (
    ModelObject,
    NotExpressibleError,
    Table,
    Toml,
    object_path,
    table_in,
    validated,
)
from headgate.engines.nginx.imports.streamservers import StreamServer
from headgate.engines.nginx.imports.streamtls import Certificates
from headgate.nginxtext.includes import Located, Tree
from headgate.nginxtext.tree import Argument

_Route = tuple[str, dict[str, Toml]]
"""The section of a route, and the route without its listeners."""


class Streams:
    """The `stream` blocks of one import. `taken` are names of upstreams of `http`."""

    def __init__(
        self, tree: Tree, gathered: Gathered, taken: Set[str], certificates: Certificates
    ) -> None:
        self._tree = tree
        self._gathered = gathered
        self._taken = taken
        self._certificates = certificates
        self._splits = splits.splits_of(tree, streamsplits.DRAWN)
        self._names = Names()
        self._routes = Names()
        self._pools: dict[str, Table] = {}
        self._blocks: dict[str, Located] = {}
        self._used: dict[str, Table] = {}
        self._objects: list[ModelObject] = []

    def run(self) -> tuple[ModelObject, ...]:
        """Marks what became model; returns the objects."""
        for block in self._tree.top():
            if block.directive.name == b"stream":
                self._block(Level(self._tree.inside(block)))
        pools = [ModelObject("upstreams", name, self._pools[name]) for name in self._used]
        return (*self._objects, *pools, *self._certificates.objects())

    def _block(self, around: Level) -> None:
        for block in around.named(b"upstream"):
            self._pool(block)
        servers = [self._server(one, around) for one in around.named(b"server")]
        heard = [listen for one in servers for listen in one.listens]
        often = Counter((one.address, one.is_udp) for one in heard)
        for one in servers:
            try:
                self._take(one, often)
            except NotExpressibleError as error:
                self._gathered.keep(one.located, str(error))
        for name, block in self._blocks.items():
            if name in self._used:
                self._take_pool(block, name)
            else:
                self._gathered.keep(block, "no TCP or UDP route leads to it")
        self._blocks = {}

    def _server(self, located: Located, around: Level) -> StreamServer:
        level = Level(self._tree.inside(located))
        found = [listens.listen_of(one, of_stream=True) for one in level.named(b"listen")]
        return StreamServer(
            located, (level, around), tuple(one for one in found if one is not None)
        )

    def _pool(self, block: Located) -> None:
        name = block.directive.values[0].decode(errors="replace") if block.directive.args else ""
        lines = list(self._tree.inside(block))
        try:
            self._gathered.check_own_file(block)
            if name in self._taken or name in self._pools:
                raise NotExpressibleError("the name is taken")
            if any(one.file != block.file for one in lines):
                raise NotExpressibleError("it includes another file")
            table = upstreams.table_of(lines)
            self._pools[name] = validated(ModelObject("upstreams", name, table)).table
            self._blocks[name] = block
        except NotExpressibleError as error:
            self._gathered.keep(block, str(error))

    def _take(self, server: StreamServer, often: Mapping[tuple[str, bool], int]) -> None:
        """Makes the objects of a server; raises `NotExpressibleError` before it marks anything."""
        own = server.levels[0]
        streamservers.check_lines(server)
        self._gathered.check_own_file(server.located)
        for one in server.listens:
            streamservers.check_listen(one)
            if often[one.address, one.is_udp] > 1:
                raise NotExpressibleError(f"another server listens on {one.address}, too")
        passed = own.named(b"proxy_pass")
        if len(passed) != 1 or not server.listens:
            raise NotExpressibleError("it proxies nothing")
        if any(not self._gathered.is_own(one) for one in (*passed, *own.named(b"listen"))):
            raise NotExpressibleError("its file is included more than once")
        routes = [*self._routes_of(server, passed[0]), *self._udp_routes_of(server, passed[0])]
        secured: Table = {}
        if any(one.tls for one in server.listens):
            secured = self._certificates.listener(server)
        heard = [
            streamservers.listener(server, one, secured if one.tls else {})
            for one in server.listens
        ]
        targets = [target for _, one in routes for target in splits.upstreams_of(one)]
        pools = {target: self._pool_of(server, target) for target in targets}
        for target, pool in pools.items():
            self._pools[target] = pool
            self._used[target] = streamservers.told(server)
        self._add(server, passed[0], routes, heard)

    def _routes_of(self, server: StreamServer, line: Located) -> list[_Route]:
        """Returns the TCP routes of a server: one, or one for each upstream that names lead to."""
        if all(one.is_udp for one in server.listens):
            return []
        return [("tcp_routes", route) for route in self._tcp_routes_of(server, line)]

    def _tcp_routes_of(self, server: StreamServer, line: Located) -> list[dict[str, Toml]]:
        target = (*line.directive.values, b"")[0]
        if not values.has_variables(target):
            if server.value(servernames.PREREAD, b"off") != b"off":
                raise NotExpressibleError("`ssl_preread` without a choice has no counterpart")
            return [streamservers.route(server, {"upstream": values.text(target)})]
        known = [*self._pools, *self._taken]
        reads = server.value(servernames.PREREAD, b"off") == b"on"
        split = splits.branches_of(target, self._splits)
        if split is not None and not reads:
            return [streamservers.route(server, streamsplits.leads(split, known))]
        if not reads:
            raise NotExpressibleError("`proxy_pass` of a variable has no counterpart")
        branches = servernames.branches_of(line.directive, server.levels[1], known)
        return [streamservers.route(server, branch.to_model()) for branch in branches]

    def _udp_routes_of(self, server: StreamServer, line: Located) -> list[_Route]:
        if not any(one.is_udp for one in server.listens):
            return []
        target = (*line.directive.values, b"")[0]
        if values.has_variables(target):
            raise NotExpressibleError("`proxy_pass` of a variable has no counterpart for UDP")
        route = streamservers.udp_route(server, values.text(target))
        name = str(route["upstream"])
        table = self._pools.get(name) or upstreams.table_of_address(name)
        if any(address.startswith("unix:") for address in upstreams.addresses_of(table)):
            raise NotExpressibleError("an endpoint of UDP at a Unix socket has no counterpart")
        return [("udp_routes", route)]

    def _pool_of(self, server: StreamServer, target: str) -> Table:
        """Returns an upstream with what a server says of connections to it."""
        if target not in self._pools:
            if target in self._taken:
                raise NotExpressibleError(f"an upstream of `http` is called {target}, too")
            if not target.startswith("unix:") and not target.rpartition(":")[2].isdigit():
                raise NotExpressibleError(f"{target} stays verbatim")
            table: Table = upstreams.table_of_address(target)
        else:
            table = self._pools[target]
        told = streamservers.told(server)
        if self._used.get(target, told) != told:
            raise NotExpressibleError(
                f"another server connects to {target} with another timeout or PROXY header"
            )
        table = {**table, **told}
        validated(ModelObject("upstreams", target, table))
        return table

    def _add(
        self,
        server: StreamServer,
        passed: Located,
        routes: Sequence[_Route],
        heard: Sequence[Table],
    ) -> None:
        names: dict[str, list[str]] = {"tcp_routes": [], "udp_routes": []}
        for one, table in zip(server.listens, heard, strict=True):
            kind = "udp" if one.is_udp else "tcp"
            name = self._names.take(tables.listener_name(kind, one.address))
            names[f"{kind}_routes"].append(name)
            if "tls" in table:
                self._certificates.use(str(table_in(table, "tls")["default_certificate"]))
            listener = ModelObject("listeners", name, table)
            self._objects.append(listener)
            if one.place is not None:
                words: list[str | Argument] = [one.address, *one.kept]
                instead = skeleton.placeholder(imported.LISTEN, words)
                self._gathered.replace(one.place, listener.path, instead)
        made = [
            ModelObject(
                section,
                self._routes.take(names[section][0]),
                {"listeners": names[section], **route},
            )
            for section, route in routes
        ]
        self._objects += made
        target = passed.directive.args[0]
        own = [target] if values.has_variables(target.value) else []
        is_tcp = made[0].section == "tcp_routes"
        stands = imported.TCP_ROUTE if is_tcp else imported.UDP_ROUTE
        instead = skeleton.placeholder(stands, [made[0].name, *own])
        self._gathered.replace(passed, made[0].path, instead)
        self._gathered.became(server.located, made[0].path)
        accesslogs.keep_of_streams(self._gathered, server.levels)
        has_names = any("sni" in table for _, table in routes)
        notes = streamservers.notes(server, has_names=has_names)
        divided = (note for _, table in routes for note in splits.notes_of(table))
        for note in (*notes, *streamtls.notes_of(server), *divided):
            self._gathered.note(server.located, note)

    def _take_pool(self, block: Located, name: str) -> None:
        kept = skeleton.kept_children(block.directive, upstreams.is_kept)
        path = object_path("upstreams", name)
        self._gathered.replace(block, path, skeleton.placeholder(imported.UPSTREAM, [name], kept))
        for note in upstreams.notes_of(self._pools[name]):
            self._gathered.note(block, note)
        for one in block.directive.directives():
            if not upstreams.is_kept(one):
                self._gathered.became(Located(block.file, one), path)
