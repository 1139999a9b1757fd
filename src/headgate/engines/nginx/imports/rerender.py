"""Turns an import back into a whole nginx config, to prove that nothing was lost.

It writes the modelled part from the model alone, by the one writer; the rest is the kept text.
"""

from typing import Final

from msgspec.structs import replace

from headgate.engines.nginx.imports import (
    access,
    accesslogs,
    compression,
    expiring,
    imported,
    limits,
    matching,
    pacing,
    passwords,
    proxies,
    returns,
    services,
    splits,
    upstreams,
)
from headgate.engines.nginx.imports.headers import added_lines
from headgate.engines.nginx.imports.objects import ModelObject, Table, items_in
from headgate.nginxtext.parse import parse
from headgate.nginxtext.tree import Directive, Node, Space, to_bytes, walk
from headgate.nginxtext.writer import FilePath, Plain, Word, argument, directive

UPGRADE: Final = "upgrade"
_NEW_LINE: Final = Space(b"\n")


_OF_STREAM: Final = {imported.TCP_ROUTE: "tcp_routes", imported.UDP_ROUTE: "udp_routes"}
"""The counterpart of a `proxy_pass` of `stream`: the section of its route."""


class NoSuchObjectError(LookupError):
    """The kept text names an object that the model does not have."""


def rerender(one: imported.Imported) -> dict[str, bytes]:
    """Returns the files of an nginx config that does what the imported one did, by path.

    Raises `NoSuchObjectError` if model and kept text do not belong together.
    """
    kept = {file: parse(data, file) for file, data in one.verbatim.items()}
    everything = [node for document in kept.values() for node in walk(document.nodes)]
    writer = _Rerender(one.objects, everything)
    return {file: to_bytes(writer.nodes(document.nodes)) for file, document in kept.items()}


class _Rerender:
    """Writes placeholders from the objects they name."""

    def __init__(self, objects: tuple[ModelObject, ...], kept: list[Directive]) -> None:
        self._tables = {(one.section, one.name): one.table for one in objects}
        self._tls: dict[str, bool] = {}
        for one in objects:
            if one.section == "listeners":
                address = str(one.table["address"])
                self._tls[address] = "tls" in one.table or self._tls.get(address, False)
        maps = (node.values for node in kept if node.name == b"map")
        self._kept = kept
        self._within: list[Directive] = []
        self._named = {one.name: one.table for one in objects if one.section == "middlewares"}
        self._upgrade = next(
            (words[1].decode() for words in maps if words[:1] == (b"$http_upgrade",)), UPGRADE
        )

    def nodes(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """Returns the nodes with placeholders expanded."""
        out: list[Node] = []
        for node in nodes:
            if not isinstance(node, Directive):
                out.append(node)
            elif node.name in imported.PLACEHOLDERS:
                out += self._written(node)
            elif node.children:
                self._within.append(node)
                out.append(replace(node, children=self.nodes(node.children)))
                self._within.pop()
            else:
                out.append(node)
        return tuple(out)

    def _written(self, node: Directive) -> list[Node]:
        match node.name:
            case imported.UPSTREAM:
                return [self._upstream(node)]
            case imported.LISTEN:
                return [self._listen(node)]
            case imported.NAMES:
                return [Directive(b"server_name", node.args)]
            case imported.ROUTE:
                return [self._location(node)]
            case imported.RETURN:
                return self._returned(node)
            case _:
                return [self._line(node)]

    def _log(self, node: Directive) -> Directive:
        try:
            return accesslogs.to_nginx(node, self._table("node", accesslogs.KEY))
        except LookupError as error:
            raise NoSuchObjectError(str(error)) from None

    def _line(self, node: Directive) -> Directive:
        if node.name in (imported.ACCESS_LOG, imported.LOG_FORMAT):
            return self._log(node)
        section = _OF_STREAM.get(node.name)
        if section is not None:
            route = self._table(section, node.values[0].decode())
            if len(node.args) > 1:
                return Directive(b"proxy_pass", node.args[1:])
            return directive("proxy_pass", Plain(str(route["upstream"])))
        return self._certificate(node)

    def _table(self, section: str, name: str) -> Table:
        try:
            return self._tables[section, name]
        except KeyError:
            raise NoSuchObjectError(f"{section}.{name}") from None

    def _upstream(self, node: Directive) -> Directive:
        name = node.values[0].decode()
        lines = upstreams.to_nginx(self._table("upstreams", name))
        return directive("upstream", Plain(name), children=_with(lines, node))

    def _listen(self, node: Directive) -> Directive:
        address = node.values[0].decode()
        if address not in self._tls:
            raise NoSuchObjectError(f"a listener on {address}")
        words = [argument(Plain(address))]
        is_udp = any(word.value == b"udp" for word in node.args)
        words += [argument(Word("ssl"))] if self._tls[address] and not is_udp else []
        return Directive(b"listen", (*words, *node.args[1:]))

    def _certificate(self, node: Directive) -> Directive:
        table = self._table("certificates", node.values[0].decode())
        if node.name == imported.KEY:
            return directive("ssl_certificate_key", FilePath(str(table["key_file"])))
        return directive("ssl_certificate", FilePath(str(table["cert_file"])))

    def _location(self, node: Directive) -> Directive:
        route = self._route(node)
        _, modifier, pattern = (*(value.decode() for value in node.values), "", "")[:3]
        words = matching.location_words(items_in(route, "match"), modifier, pattern or None)
        return directive("location", *words, children=_with(self._lines(route, node), node))

    def _returned(self, node: Directive) -> list[Node]:
        """Returns a server's own `return`; the rest of the route is still in the kept server."""
        return [line for line in self._lines(self._route(node), node) if line.name == b"return"]

    def _route(self, node: Directive) -> Table:
        return self._table("routes", node.values[0].decode())

    def _lines(self, route: Table, node: Directive) -> list[Directive]:
        """Returns the lines of a route for its placeholder."""
        return [*self._doing(route, node), *accesslogs.switched_off(route)]

    def _doing(self, route: Table, node: Directive) -> list[Directive]:
        """Returns those that say what it does with a request."""
        names = splits.upstreams_of(route)
        if not names and any(line.name == b"internal" for line in node.directives()):
            return added_lines(route)
        if not names:
            fresh = expiring.to_nginx(route)
            return [*returns.to_nginx(route), *added_lines(route), *fresh]
        pool = self._table("upstreams", names[0])
        around = [node, *reversed(self._within)]
        near = [*(line for block in around for line in block.directives()), *self._kept]
        if services.is_asked(route, self._named):
            route = {**route, "forward_path": "raw"}
        return [
            *proxies.to_nginx(route, pool, self._host(route), self._upgrade),
            *limits.to_nginx(route, self._named, self._kept),
            *access.to_nginx(route),
            *passwords.to_nginx(route, self._named),
            *compression.to_nginx(route),
            *pacing.to_nginx(route),
            *expiring.to_nginx(route),
            *services.to_nginx(route, self._named, near),
        ]

    def _host(self, route: Table) -> str:
        try:
            return splits.host_of(route, self._kept)
        except LookupError as error:
            raise NoSuchObjectError(str(error)) from None


def _with(lines: list[Directive], node: Directive) -> list[Node]:
    """Returns lines, one each, and what was kept in the block."""
    out: list[Node] = []
    for line in lines:
        out += [_NEW_LINE, line]
    return [*out, *(node.children or ())]
