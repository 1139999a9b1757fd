"""Knows what a location inherits, and its sibling locations."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import effects, hostifs
from headgate.nginxtext.includes import Located

_AFTER_SLASH: Final = bytes([ord("/") + 1])


class Siblings:
    """The prefix and exact locations of one server by their paths, which nginx has once each."""

    def __init__(self, exact: Iterable[bytes] = (), prefixes: Iterable[bytes] = ()) -> None:
        self._exact = frozenset(exact)
        self._prefixes = sorted(set(prefixes))

    def has_exact(self, path: bytes) -> bool:
        """Reports whether there is `= path`."""
        return path in self._exact

    def has_prefix(self, path: bytes) -> bool:
        """Reports whether there is a prefix location of that path."""
        at = bisect_left(self._prefixes, path)
        return self._prefixes[at : at + 1] == [path]

    def has_longer(self, path: bytes) -> bool:
        """Reports whether a prefix location has a longer path that begins with this one."""
        at = bisect_right(self._prefixes, path)
        return at < len(self._prefixes) and self._prefixes[at].startswith(path)

    def has_longer_within(self, path: bytes) -> bool:
        """Reports whether one of those goes on with another byte than a slash."""
        beyond = bisect_left(self._prefixes, path + _AFTER_SLASH)
        first = bisect_right(self._prefixes, path)
        found = (*self._prefixes[first : first + 1], *self._prefixes[beyond : beyond + 1])
        return any(one.startswith(path) and not one.startswith(path + b"/") for one in found)


_NO_SIBLINGS: Final = Siblings()


class Level:
    """The lines of one block by name: `http` may hold thousands."""

    def __init__(self, lines: Iterable[Located]) -> None:
        self.lines: Sequence[Located] = tuple(lines)
        self._named: dict[bytes, list[Located]] = {}
        for line in self.lines:
            self._named.setdefault(line.directive.name, []).append(line)
        self.access = [one for one in self.lines if one.directive.name in (b"allow", b"deny")]
        """The `allow` and `deny` lines, in their order, which each location needs."""

    def named(self, name: bytes) -> list[Located]:
        """Returns the lines of that name."""
        return self._named.get(name, [])

    def has_any(self, prefix: bytes) -> bool:
        """Reports whether a line's name begins with this."""
        return any(name.startswith(prefix) for name in self._named)


UserFiles = Callable[[str], bytes]
"""Reads a file of users; raises `OSError`, with a reason where every user of the host may."""


Zones = Mapping[tuple[bytes, str], str]
"""The reasons why limits have no counterpart, by their directive and their zone."""


class Around(NamedTuple):
    """The lines of a location and of what it stands in.

    `levels` are those of the location, the server and `http`, nearest first. `siblings` are the
    prefix and exact locations of the server, itself among them, `upgrades` the variables that a
    `map` makes of `$http_upgrade`. `ranked` says that the server's routes have priorities of their
    own. `prefix` is the base of relative paths, `users` reads files of users, None where these are
    not at hand. `services` are the lines of locations by the path that nginx asks them for.
    """

    levels: tuple[Level, ...]
    siblings: Siblings = _NO_SIBLINGS
    upgrades: frozenset[bytes] = frozenset()
    ranked: bool = False
    prefix: str = ""
    users: UserFiles | None = None
    services: Mapping[str, Level] = MappingProxyType({})
    zones: Zones = MappingProxyType({})

    def nearest(self, name: bytes) -> list[Located]:
        """Returns the lines of that name at the nearest level that has any: nginx's inheritance."""
        return next((found for level in self.levels if (found := level.named(name))), [])

    def access(self) -> list[Located]:
        """Returns the `allow` and `deny` lines in effect, in their order."""
        return next((level.access for level in self.levels if level.access), [])

    def constants(self) -> dict[bytes, bytes]:
        """Returns the variables set once, to a text without variables, by their names."""
        lines = [one.directive for level in self.levels for one in level.named(b"set")]
        every = Counter(one.values[0] for one in lines)
        return {
            one.values[0][1:]: one.values[1]
            for one in lines
            if effects.is_plain_set(one) and every[one.values[0]] == 1 and b"$" not in one.values[1]
        }

    def value(self, name: bytes, default: bytes) -> bytes:
        """Returns the first argument of a setting, or nginx's default."""
        found = self.nearest(name)
        return found[0].directive.values[0] if found and found[0].directive.args else default


def unknown_around(lines: Sequence[Located], names: Sequence[str] = ()) -> list[str]:
    """Returns the lines of a server or of `http` that may change what the locations in it answer.

    `names` are the server's: an `if` for one of them is a route of its own.
    """
    found: dict[str, str] = {}
    routed = hostifs.blocks_of(lines, names)
    for located in lines:
        file, line = located
        if any(located is one for one in routed):
            continue
        name = line.name.decode(errors="replace")
        if effects.is_plain_set(line) or effects.is_inert(line):
            continue
        if name in effects.FOLDED or name in effects.SERVER_OWN or effects.is_kept_around(name):
            continue
        found.setdefault(name, f"`{name}` ({file}:{line.line}) applies to it")
    return list(found.values())
