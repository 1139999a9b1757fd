"""Expresses nginx's order of a server's locations as priorities of routes.

`=` comes first, then the longest prefix if it has `^~`, then regular expressions, then the longest
prefix. Routes rank alike by themselves in a server without regular expressions, without prefixes
that differ within a segment, and without a `=` that is refused by an expression of ours; elsewhere
each route gets a priority.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.imports.around import Level, Siblings
from headgate.engines.nginx.imports.matching import is_safe, split
from headgate.nginxtext.includes import Located, Tree
from headgate.nginxtext.tree import Directive

WHOLE_SERVER: Final = 1000
"""The priority of a server's own `return` where routes have none: nginx runs it first."""

WHOLE_RANKED: Final = 900_000
HOST: Final = 950_000
"""The priority of `if ($host = …)` in a server: nginx runs it before it looks for a location."""

ENCODED: Final = 800_000
"""The priority of refusals for what nginx decodes and we do not."""

EXACT: Final = 700_000
_LIFTED: Final = 600_000
_REGEX: Final = 500_000
_MOST: Final = 90_000
_PREFIXES: Final = (b"", b"^~")
_ANSWERING: Final = frozenset({b"return", b"internal"})


class Spot(NamedTuple):
    """A location by what it takes; `answers` where it does not proxy, `order` among the others.

    `holds_first` says that nginx takes one within it before it tries the expressions outside.
    """

    modifier: bytes
    path: bytes
    answers: bool = False
    order: int = 0
    holds_first: bool = False

    @property
    def is_prefix(self) -> bool:
        """True if it takes the paths that begin with its own."""
        return self.modifier in _PREFIXES

    @property
    def is_regex(self) -> bool:
        """True if it is a regular expression."""
        return self.modifier in (b"~", b"~*")


def spot_of(location: Directive, order: int, rules: Sequence[Located] = ()) -> Spot:
    """Returns the spot of a location block; `rules` are its `allow` and `deny` lines in effect."""
    modifier, path = split(location)
    names = {one.name for one in location.directives()}
    first = rules[0].directive if rules else None
    is_closed = first is not None and first.name == b"deny" and first.values == (b"all",)
    answers = b"proxy_pass" not in names or bool(_ANSWERING & names) or is_closed
    return Spot(modifier, path, answers, order)


def holds_first(tree: Tree, inside: Level) -> bool:
    """Reports whether a location with these lines holds, at any depth, one that ends nginx's search
    before it tries the expressions outside: an expression, `=`, or a directory that redirects.
    """
    pending = [inside]
    while pending:
        for block in pending.pop().named(b"location"):
            modifier, path = split(block.directive)
            lines = Level(tree.inside(block))
            passes = any(one.directive.name.endswith(b"_pass") for one in lines.lines)
            if modifier not in _PREFIXES or (passes and path.endswith(b"/")):
                return True
            pending.append(lines)
    return False


class Ranks:
    """The order of one server's locations."""

    def __init__(self, spots: Sequence[Spot]) -> None:
        self._prefixes = [one for one in spots if one.is_prefix]
        self._plain = Siblings((), (one.path for one in spots if one.modifier == b""))
        self.has_regex = any(one.is_regex for one in spots)
        is_special = any(one.modifier == b"=" and not is_safe(one.path) for one in spots)
        self.is_ranked = self.has_regex or is_special or _parts_within_segments(self._prefixes)
        self.why_no_regex = self._why_no_regex()
        """The reason why nginx does not try expressions before every prefix that does not precede
        them all; empty if it does.
        """

    def of(self, spot: Spot) -> int:
        """Returns the priority of a location's routes; 0 where none is needed."""
        if not self.is_ranked:
            return 0
        if spot.modifier == b"=":
            return EXACT
        if spot.is_regex:
            return _REGEX + max(_MOST - spot.order, 0)
        length = min(len(spot.path), _MOST)
        return _LIFTED + length if self._is_lifted(spot) else length

    @property
    def whole(self) -> int:
        """The priority of a server's own `return`."""
        return WHOLE_RANKED if self.is_ranked else WHOLE_SERVER

    def _why_no_regex(self) -> str:
        if not self.has_regex:
            return ""
        if not all(self._is_lifted(one) for one in self._prefixes if one.modifier == b"^~"):
            return "a `^~` location has others within it"
        if any(one.holds_first for one in self._prefixes if one.modifier == b""):
            return "a location holds others that nginx takes before it"
        return ""

    def _is_lifted(self, spot: Spot) -> bool:
        """Reports whether nginx tries no regular expression for any path below it, unlike
        below a prefix without `^~`.
        """
        if spot.modifier != b"^~" or not self.has_regex:
            return False
        return not (self._plain.has_prefix(spot.path) or self._plain.has_longer(spot.path))


def _parts_within_segments(prefixes: Sequence[Spot]) -> bool:
    """Reports whether a prefix ends within a segment of another, or takes only what is below it
    while another stands there: routes take whole segments.
    """
    paths = sorted({one.path for one in prefixes})
    answering = {one.path for one in prefixes if one.answers}
    return any(_is_parted(path, later, path in answering) for path, later in _nested(paths))


def _nested(paths: Sequence[bytes]) -> list[tuple[bytes, bytes]]:
    """Returns each path with those that begin with it, as far as the order shows them."""
    found = []
    open_: list[bytes] = []
    for path in paths:
        while open_ and not path.startswith(open_[-1]):
            open_.pop()
        found += [(one, path) for one in open_]
        open_.append(path)
    return found


def _is_parted(path: bytes, later: bytes, answers: bool) -> bool:
    if path in (b"", b"/"):
        return False
    if path.endswith(b"/"):
        return answers
    return later[len(path) : len(path) + 1] != b"/"
