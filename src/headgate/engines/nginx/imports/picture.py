"""Draws the picture of a tree."""

import posixpath
from collections.abc import Iterator
from typing import Final

from headgate.engines.nginx.imports.picture_types import (
    Picture,
    PictureCertificate,
    PictureHost,
    PictureRoute,
    PictureUpstream,
    Place,
)
from headgate.engines.nginx.imports.servers import default_servers
from headgate.engines.nginx.lint.lint import lint
from headgate.nginxtext.includes import Located, Tree
from headgate.nginxtext.tree import walk

__all__ = [
    "Picture",
    "PictureCertificate",
    "PictureHost",
    "PictureRoute",
    "PictureUpstream",
    "Place",
    "picture",
]

_PASSES: Final = {
    b"proxy_pass": "proxy",
    b"fastcgi_pass": "fastcgi",
    b"uwsgi_pass": "uwsgi",
    b"scgi_pass": "scgi",
    b"grpc_pass": "grpc",
    b"memcached_pass": "memcached",
    b"return": "return",
}
_BALANCES: Final = frozenset({b"least_conn", b"ip_hash", b"hash", b"random", b"least_time"})


def picture(tree: Tree) -> Picture:
    """Returns hosts, routes, upstreams, certificates and findings
    of a config; reads no further file.
    """
    drawn = _Drawing(tree)
    return Picture(
        tree.entry,
        tuple(tree.documents),
        sum(1 for one in tree.documents.values() for _ in walk(one.nodes)),
        tuple(drawn.hosts),
        tuple(drawn.routes),
        (*drawn.upstreams, *drawn.implicit()),
        tuple(drawn.certificates.values()),
        lint(tree),
        tuple(str(problem) for problem in tree.problems),
    )


class _Drawing:
    """The parts of the picture that were found so far."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.hosts: list[PictureHost] = []
        self.routes: list[PictureRoute] = []
        self.upstreams: list[PictureUpstream] = []
        self.certificates: dict[tuple[str, str], PictureCertificate] = {}
        for block in tree.top():
            if block.directive.name in (b"http", b"stream", b"mail"):
                self._protocol(block)

    def _protocol(self, block: Located) -> None:
        lines = list(self._tree.inside(block))
        servers = [one for one in lines if one.directive.name == b"server"]
        inside = [list(self._tree.inside(one)) for one in servers]
        defaults = default_servers(inside)
        for index, (server, own) in enumerate(zip(servers, inside, strict=True)):
            protocol = _text(block.directive.name)
            self._server(protocol, server, own, lines, is_default=index in defaults)
        for one in lines:
            if one.directive.name == b"upstream":
                self.upstreams.append(self._upstream(one))

    def _server(
        self,
        protocol: str,
        server: Located,
        lines: list[Located],
        around: list[Located],
        *,
        is_default: bool,
    ) -> None:
        names = tuple(value for value in _values(lines, b"server_name") if value not in ("", "_"))
        listens = [one.directive.values for one in lines if one.directive.name == b"listen"]
        tls = any(b"ssl" in words for words in listens)
        certs = _values(lines, b"ssl_certificate") or _values(around, b"ssl_certificate")
        keys = _values(lines, b"ssl_certificate_key") or _values(around, b"ssl_certificate_key")
        self.hosts.append(
            PictureHost(
                protocol,
                names,
                tuple(_address(words[0]) for words in listens if words) or ("*:80",),
                tls,
                is_default,
                tuple(certs) if tls else (),
                _place(server),
            )
        )
        if tls:
            for cert, key in zip(certs, [*keys, *[""] * len(certs)], strict=False):
                self._certificate(cert, key, names, server)
        self.routes += self._routes(names, "", server)

    def _certificate(self, cert: str, key: str, names: tuple[str, ...], server: Located) -> None:
        path, key_path = self._path(cert), self._path(key) if key else ""
        known = self.certificates.get((path, key_path))
        merged = tuple(dict.fromkeys([*known.names, *names])) if known else names
        place = known.place if known else _place(server)
        self.certificates[path, key_path] = PictureCertificate(path, key_path, merged, place)

    def _path(self, path: str) -> str:
        return posixpath.join(posixpath.dirname(self._tree.entry), path)

    def _routes(self, hosts: tuple[str, ...], match: str, block: Located) -> Iterator[PictureRoute]:
        lines = list(self._tree.inside(block))
        if route := _route(hosts, match, block, lines):
            yield route
        for one in lines:
            if one.directive.name == b"location":
                words = " ".join(_text(value) for value in one.directive.values)
                yield from self._routes(hosts, words, one)

    def _upstream(self, block: Located) -> PictureUpstream:
        lines = [one.directive for one in self._tree.inside(block)]
        balance = next((_text(one.name) for one in lines if one.name in _BALANCES), "round_robin")
        return PictureUpstream(
            " ".join(_text(value) for value in block.directive.values),
            tuple(_text(one.values[0]) for one in lines if one.name == b"server" and one.args),
            balance,
            False,
            _place(block),
        )

    def implicit(self) -> Iterator[PictureUpstream]:
        """Yields the addresses that passes name directly, each once."""
        known = {one.name for one in self.upstreams}
        for route in self.routes:
            if route.action not in _PASSES.values() or route.action == "return":
                continue
            name = _host(route.target)
            if name and "$" not in name and name not in known:
                known.add(name)
                yield PictureUpstream(name, (name,), "round_robin", True, route.place)


def _route(
    hosts: tuple[str, ...], match: str, block: Located, lines: list[Located]
) -> PictureRoute | None:
    """Returns what a location, or a server by itself, does;
    None for a server that has locations only.
    """
    for one in lines:
        action = _PASSES.get(one.directive.name)
        if action is not None:
            target = " ".join(_text(value) for value in one.directive.values)
            return PictureRoute(hosts, match, action, target, _place(one))
    if not match and not any(one.directive.name in (b"root", b"try_files") for one in lines):
        return None
    directory = (_values(lines, b"alias") or _values(lines, b"root") or [""])[0]
    return PictureRoute(hosts, match, "files", directory, _place(block))


def _values(lines: list[Located], name: bytes) -> list[str]:
    found = (one.directive.values for one in lines if one.directive.name == name)
    return [_text(value) for words in found for value in words]


def _address(word: bytes) -> str:
    text = _text(word)
    return f"*:{text}" if text.isdigit() else text


def _host(target: str) -> str:
    scheme, separator, rest = target.partition("://")
    rest = rest if separator else scheme
    return rest if rest.startswith("unix:") else rest.partition("/")[0]


def _text(value: bytes) -> str:
    return value.decode(errors="replace")


def _place(located: Located) -> Place:
    return Place(located.file, located.directive.line)
