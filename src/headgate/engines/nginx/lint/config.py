"""Presents a tree to checks: every directive with the blocks around it, includes resolved."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from headgate.nginxtext.includes import Located, Tree
from headgate.nginxtext.tree import Directive

_DEEPEST: Final = 100


class Seen(NamedTuple):
    """A directive with the blocks it stands in, outermost first."""

    located: Located
    parents: tuple[Located, ...]

    @property
    def line(self) -> Directive:
        """The directive itself."""
        return self.located.directive

    @property
    def name(self) -> str:
        """Its name."""
        return self.line.name.decode(errors="replace")

    @property
    def words(self) -> tuple[str, ...]:
        """Its arguments, unquoted; what is not UTF-8 is replaced."""
        return tuple([value.decode(errors="replace") for value in self.line.values])

    def is_in(self, *names: str) -> bool:
        """Reports whether it stands right inside a block of such a name."""
        return bool(self.parents) and self.parents[-1].directive.name.decode() in names


class Config:
    """A whole config, read once for all checks."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree
        self.all = tuple(_walk(tree))
        self._inside: dict[tuple[int, str], dict[bytes, list[Directive]]] = {}
        self._top = _by_name(tree.top())
        self._by_name: dict[str, list[Seen]] = {}
        for seen in self.all:
            self._by_name.setdefault(seen.name, []).append(seen)

    def named(self, *names: str) -> Iterator[Seen]:
        """Yields the directives of these names, in the order of the text for each."""
        for name in names:
            yield from self._by_name.get(name, ())

    def inside(self, block: Located) -> Sequence[Located]:
        """Returns the lines of a block."""
        return list(self.tree.inside(block))

    def own(self, block: Located, name: str) -> list[Directive]:
        """Returns the lines of that name right in a block."""
        # By identity: the tree keeps its directives alive, and a hash of one would hash its block.
        key = (id(block.directive), block.file)
        if key not in self._inside:
            self._inside[key] = _by_name(self.inside(block))
        return self._inside[key].get(name.encode(), [])

    def nearest(self, seen: Seen, name: str) -> list[Directive]:
        """Returns the lines of that name in effect at a directive:
        those of the innermost block around it that has any, or of the top.
        """
        for block in reversed(seen.parents):
            found = self.own(block, name)
            if found:
                return found
        return self._top.get(name.encode(), [])


def _by_name(lines: Iterable[Located]) -> dict[bytes, list[Directive]]:
    found: dict[bytes, list[Directive]] = {}
    for one in lines:
        found.setdefault(one.directive.name, []).append(one.directive)
    return found


def _walk(tree: Tree) -> Iterator[Seen]:
    stack: list[tuple[Iterator[Located], tuple[Located, ...]]] = [(tree.top(), ())]
    while stack:
        lines, parents = stack[-1]
        for located in lines:
            yield Seen(located, parents)
            if located.directive.children and len(stack) < _DEEPEST:
                stack.append((tree.inside(located), (*parents, located)))
                break
        else:
            stack.pop()
