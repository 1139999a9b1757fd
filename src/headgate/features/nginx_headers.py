"""Header edits as nginx applies them: those of a middleware, and those of a chain composed."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple

from headgate.features.nginx import About, Parts
from headgate.nginxtext.writer import Word

FRESHNESS: Final = frozenset({"cache-control", "expires"})
"""The headers that `expires` of nginx sets."""

WITHOUT_ERRORS: Final = frozenset({200, 201, 204, 206, 301, 302, 303, 304, 307, 308})
"""The statuses of the answers that it sets them of."""


class Freshness(NamedTuple):
    """The `expires` of nginx: of which middleware it is, and its word."""

    about: About
    word: Word


@dataclass(slots=True)
class Edits:
    """One middleware's header edits, with values as parts; or its `expires`."""

    remove: tuple[str, ...] = ()
    set: tuple[tuple[str, Parts], ...] = ()
    add: tuple[tuple[str, Parts], ...] = ()
    freshness: Freshness | None = None


@dataclass(slots=True)
class Headers:
    """Composed edits: names whose lines to drop, lines to add, `expires`.

    nginx sets the headers of `expires` once it has dropped lines, and before it adds any:
    `is_in_order` is false where the edits say otherwise.
    """

    drops: list[str] = field(default_factory=list)
    lines: list[tuple[str, Parts]] = field(default_factory=list)
    freshness: Freshness | None = None
    is_in_order: bool = True

    def then(self, edits: Edits) -> None:
        """Appends another middleware's edits: remove, then set, then add."""
        if edits.freshness is not None:
            self.freshness = edits.freshness
            self.is_in_order &= FRESHNESS.isdisjoint(name for name, _ in self.lines)
        elif self.freshness is not None:
            gone = (*edits.remove, *(name for name, _ in edits.set))
            self.is_in_order &= FRESHNESS.isdisjoint(gone)
        for name in edits.remove:
            self._drop(name)
        for name, value in edits.set:
            self._drop(name)
            self.lines.append((name, value))
        self.lines += edits.add

    def _drop(self, name: str) -> None:
        self.lines = [line for line in self.lines if line[0] != name]
        if name not in self.drops:
            self.drops.append(name)

    @property
    def is_empty(self) -> bool:
        """True if it changes nothing."""
        return not (self.drops or self.lines)
