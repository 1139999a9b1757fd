"""Renders an imported config as the nginx.conf of a release:
the original's directives, word by word.

It replaces `include` by the files, makes relative paths absolute, and adds what a release must have
of its own: the pid file and error log we look at, the generation and the status server.
"""

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from msgspec.structs import replace

from headgate.engines.nginx.imports import ignored, listens
from headgate.nginxtext.includes import Located, Tree, is_include
from headgate.nginxtext.tree import Directive, Node, walk
from headgate.nginxtext.writer import FilePath, Plain, argument, directive

_TO_CONF: Final = frozenset(
    {
        *(b"ssl_certificate", b"ssl_certificate_key", b"ssl_trusted_certificate", b"ssl_crl"),
        *(b"ssl_client_certificate", b"ssl_dhparam", b"ssl_password_file", b"ssl_stapling_file"),
        *(b"ssl_session_ticket_key", b"auth_basic_user_file", b"xslt_stylesheet"),
        *(b"geoip_country", b"geoip_city", b"geoip_org"),
        *(
            f"{kind}_ssl_{rest}".encode()
            for kind in ("proxy", "grpc", "uwsgi")
            for rest in ("certificate", "certificate_key", "trusted_certificate", "crl")
        ),
        *(f"{kind}_ssl_password_file".encode() for kind in ("proxy", "grpc", "uwsgi")),
    }
)
_TO_PREFIX: Final = frozenset(
    {
        *(b"root", b"alias", b"access_log", b"error_log", b"load_module", b"lock_file"),
        *(
            f"{kind}_{rest}".encode()
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
            for rest in ("temp_path", "cache_path")
        ),
    }
)
_NO_PATH: Final = (b"/", b"$", b"unix:", b"syslog:", b"memory:", b"data:", b"engine:", b"store:")
_SCHEMES: Final = (b"data:", b"engine:", b"store:")
_WORDS: Final = frozenset({b"off", b"stderr"})
_OURS: Final = frozenset({b"pid", b"daemon", b"master_process"})
"""Top-level directives about the start of nginx, which is ours."""

_BEFORE_MAPS: Final = frozenset({b"map_hash_max_size", b"map_hash_bucket_size"})
"""Directives of `http` that nginx takes for repeated ones behind a `map`, and we add some."""


class Frame(NamedTuple):
    """The parts specific to a release. `prefix` is the base of relative paths, `root` where our
    files are; `kinds` are the gateways that this nginx has temporary files for, `http` the lines to
    put into `http`. `secrets` are files of the release that stand for files of the imported host,
    by their path there.
    """

    prefix: str
    root: str
    pid_path: str
    error_log: str
    user: str | None
    kinds: Sequence[str]
    http: Sequence[Node]
    secrets: Mapping[str, str] = {}


class Release(NamedTuple):
    """The directives of nginx.conf, and what they do otherwise than the original's."""

    nodes: list[Node]
    notes: tuple[str, ...]


def released(tree: Tree, frame: Frame) -> Release:
    """Returns the release of a config."""
    writer = _Released(tree, frame)
    entry = tree.documents[tree.entry]
    nodes = [one for one in writer.nodes(entry.nodes) if _name(one) not in _OURS]
    out: list[Node] = [
        directive("pid", FilePath(frame.pid_path)),
        directive("error_log", FilePath(frame.error_log)),
    ]
    if frame.user is not None and not any(_name(one) == b"user" for one in nodes):
        out.append(directive("user", Plain(frame.user)))
    is_first = True
    notes: tuple[str, ...] = ()
    for node in nodes:
        if is_first and isinstance(node, Directive) and node.name == b"http":
            is_first = False
            inside, notes = ignored.left_out(node.children or ())
            first = [one for one in inside if _name(one) in _BEFORE_MAPS]
            rest = [one for one in inside if _name(one) not in _BEFORE_MAPS]
            out.append(replace(node, children=(*first, *writer.around(node), *rest)))
        else:
            out.append(node)
    return Release(out, notes)


def host_files(tree: Tree) -> Iterator[tuple[str, str]]:
    """Yields the files of certificates, keys and users that nginx reads beside its config, each
    with the directive that names it."""
    conf = posixpath.dirname(tree.entry)
    for document in tree.documents.values():
        for node in walk(document.nodes):
            if node.name in _TO_CONF and node.args and not node.args[0].value.startswith(_SCHEMES):
                word = node.args[0].value.decode(errors="surrogateescape")
                if word and "$" not in word and node.args[0].value not in _WORDS:
                    yield node.name.decode(), posixpath.join(conf, word)


def addresses(tree: Tree) -> tuple[str, ...]:
    """Returns the TCP addresses that its servers listen on."""
    found: set[str] = set()
    for block in tree.top():
        kind = block.directive.name
        if kind not in (b"http", b"stream"):
            continue
        for server in tree.inside(block):
            if server.directive.name == b"server":
                found.update(_addresses(tree, server, is_http=kind == b"http"))
    return tuple(sorted(found))


def _addresses(tree: Tree, server: Located, *, is_http: bool) -> list[str]:
    lines = [one for one in tree.inside(server) if one.directive.name == b"listen"]
    lines = [one for one in lines if b"udp" not in one.directive.values]
    if not lines:
        return [listens.DEFAULT_ADDRESS] if is_http else []
    every = [listens.listen_of(one) for one in lines]
    return [one.address for one in every if one is not None and one.is_address]


def _name(node: Node) -> bytes:
    return node.name if isinstance(node, Directive) else b""


class _Released:
    def __init__(self, tree: Tree, frame: Frame) -> None:
        self._tree = tree
        self._frame = frame
        self._conf = posixpath.dirname(tree.entry)

    def nodes(self, nodes: Sequence[Node]) -> list[Node]:
        """Returns the nodes with included files in place, absolute paths and no comments."""
        out: list[Node] = []
        for node in nodes:
            if not isinstance(node, Directive):
                continue
            if is_include(node) and node.args[0].value in self._tree.targets:
                for target in self._tree.targets[node.args[0].value]:
                    out += self.nodes(self._tree.documents[target].nodes)
            elif node.children is not None:
                children = () if node.body is not None else tuple(self.nodes(node.children))
                out.append(replace(node, children=children))
            else:
                out.append(self._absolute(node))
        return out

    def around(self, http: Directive) -> list[Node]:
        """Returns what `http` needs beside its own lines:
        what nginx would look for below the release.
        """
        names = {one.name for one in http.directives()}
        out = list(self._frame.http)
        if b"root" not in names:
            out.append(directive("root", FilePath(posixpath.join(self._frame.prefix, "html"))))
        if b"access_log" not in names:
            log = posixpath.join(self._frame.root, "logs", "imported-access.log")
            out.append(directive("access_log", FilePath(log)))
        for kind in self._frame.kinds:
            if f"{kind}_temp_path".encode() not in names:
                path = posixpath.join(self._frame.root, "run", kind)
                out.append(directive(f"{kind}_temp_path", FilePath(path)))
        return out

    def _absolute(self, node: Directive) -> Directive:
        base = self._conf if node.name in _TO_CONF else self._frame.prefix
        if (node.name not in _TO_CONF and node.name not in _TO_PREFIX) or not node.args:
            return node
        first = node.args[0]
        path = posixpath.join(base, first.value.decode(errors="surrogateescape"))
        if node.name in _TO_CONF and path in self._frame.secrets:
            path = self._frame.secrets[path]
        elif first.value in _WORDS or not first.value or first.value.startswith(_NO_PATH):
            return node
        word = argument(Plain(path))
        return replace(node, args=(replace(word, before=first.before), *node.args[1:]))
