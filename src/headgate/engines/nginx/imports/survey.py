"""Collects facts about a tree before the recogniser begins."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from headgate.engines.nginx.imports import imported
from headgate.engines.nginx.imports.around import Around, Level
from headgate.nginxtext.includes import Problem, Tree, includes_in
from headgate.nginxtext.tree import Directive, Document, Node, walk

_DEEPEST: Final = 100
_OFTEN: Final = 2
_WORDED: Final = frozenset(
    {
        *(b"access_log", b"add_header", b"allow", b"auth_basic", b"auth_basic_user_file"),
        *(b"auth_request", b"auth_request_set", b"deny", b"error_page", b"expires", b"hash"),
        *(b"keepalive", b"limit_conn", b"limit_conn_zone", b"limit_req", b"limit_req_zone"),
        *(b"log_format", b"mirror", b"proxy_hide_header", b"proxy_pass", b"proxy_set_header"),
        *(b"real_ip_header", b"return", b"rewrite", b"set", b"set_real_ip_from", b"split_clients"),
    }
)
"""Directives that nginx refuses without arguments; what becomes of them is in their first."""
_LEAST: Final = {**dict.fromkeys(_WORDED, 1), b"proxy_buffers": 2}


def refusals(tree: Tree) -> tuple[Problem, ...]:
    """Returns why an import cannot keep a whole config: files that are missing or broken,
    directives named as our own or without the arguments that they need, blocks nested more than 100
    deep.
    """
    found = list(tree.problems)
    for file, document in tree.documents.items():
        for one in walk(document.nodes):
            if one.name.startswith(imported.PREFIX):
                name = one.name.decode(errors="replace")
                message = f'"{name}": names that begin with headgate_ are ours'
                found.append(Problem(file, one.line, one.column, message))
            elif len(one.args) < (1 if _is_endpoint(one) else _LEAST.get(one.name, 0)):
                message = f"`{one.name.decode()}` has too few arguments, and nginx refuses that"
                found.append(Problem(file, one.line, one.column, message))
        if is_deep(document.nodes):
            found.append(Problem(file, 0, 0, f"blocks are nested more than {_DEEPEST} deep"))
    return tuple(found)


def _is_endpoint(one: Directive) -> bool:
    """Reports whether it is a `server` of an upstream, which has no block."""
    return one.name == b"server" and one.children is None


def is_deep(nodes: Sequence[Node]) -> bool:
    """Reports whether blocks are nested more than 100 deep."""
    level = [node for node in nodes if isinstance(node, Directive) and node.children]
    for _ in range(_DEEPEST):
        level = [
            node
            for block in level
            for node in block.children or ()
            if isinstance(node, Directive) and node.children
        ]
    return bool(level)


def is_longer(tree: Tree, most: int) -> bool:
    """Reports whether a config has more directives and files than that, with included files in
    place of each `include`; costs a step for each directive and each file of a pattern as written.
    The tree has no problems: includes nest no deeper than a tree may have them.
    """
    return _Size(tree).of_file(tree.entry) > most


class _Size:
    """The directives and files of parts of a tree, with included ones."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._of_files: dict[str, int] = {}
        self._of_includes: dict[bytes, int] = {}

    def of_file(self, path: str) -> int:
        """Returns that of a file, itself among them."""
        if path not in self._of_files:
            document = self._tree.documents.get(path)
            self._of_files[path] = 1 if document is None else self._of_document(document)
        return self._of_files[path]

    def _of_document(self, document: Document) -> int:
        size = 1 + sum(1 for _ in walk(document.nodes))
        return size + sum(self._of_include(one) for _, one in includes_in(document))

    def _of_include(self, one: Directive) -> int:
        value = one.args[0].value
        if value not in self._of_includes:
            targets = self._tree.targets.get(value, ())
            self._of_includes[value] = sum(self.of_file(path) for path in targets)
        return self._of_includes[value]


def uses(tree: Tree) -> Counter[str]:
    """Returns how often includes read each file; counts up to three."""
    uses: Counter[str] = Counter()
    files = [tree.entry]
    while files:
        file = files.pop()
        uses[file] += 1
        if uses[file] > _OFTEN or file not in tree.documents:
            continue
        for _, one in includes_in(tree.documents[file]):
            files += tree.targets.get(one.args[0].value, ())
    return uses


def upgrade_variables(http: Level) -> frozenset[bytes]:
    """Returns the variables that a `map` makes of `$http_upgrade`."""
    return frozenset(
        one.directive.values[1]
        for one in http.named(b"map")
        if one.directive.values[:1] == (b"$http_upgrade",) and len(one.directive.values) > 1
    )


def places(tree: Tree, http: Level, servers: Iterable[Level]) -> Iterator[Around]:
    """Yields the surroundings of each location that does not only answer with a `return`, also of
    those within others.
    """
    for server in servers:
        yield from _within(tree, (server, http))


def _within(tree: Tree, levels: tuple[Level, ...]) -> Iterator[Around]:
    for block in levels[0].named(b"location"):
        inside = Level(tree.inside(block))
        if not inside.named(b"return"):
            yield Around((inside, *levels))
        yield from _within(tree, (inside, *levels))
