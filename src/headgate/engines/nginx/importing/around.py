"""What a location inherits, and the other locations it stands among."""

from collections.abc import Sequence
from typing import NamedTuple

from headgate.engines.nginx.importing import effects
from headgate.engines.nginx.importing.objects import NotExpressibleError
from headgate.nginxtext.includes import Located


class Sibling(NamedTuple):
    """A location of the same server by its path; `exact` for `=`."""

    exact: bool
    path: bytes


class Around(NamedTuple):
    """The lines of a location and of what it stands in.

    `levels` are the lines of the location, the server and `http`, nearest first. `siblings` are
    the other prefix and exact locations of the server, `upgrades` the variables that a `map` makes
    of `$http_upgrade`.
    """

    levels: tuple[Sequence[Located], ...]
    siblings: tuple[Sibling, ...] = ()
    upgrades: frozenset[bytes] = frozenset()

    def nearest(self, name: bytes) -> list[Located]:
        """The lines of that name at the nearest level that has any: nginx's inheritance."""
        for level in self.levels:
            found = [line for line in level if line.directive.name == name]
            if found:
                return found
        return []

    def value(self, name: bytes, default: bytes) -> bytes:
        """The first argument of a setting, or what nginx takes without it."""
        found = self.nearest(name)
        return found[0].directive.values[0] if found and found[0].directive.args else default


def check_kept_around(lines: Sequence[Located]) -> None:
    """Raises `NotExpressibleError` for the first line of a server or of `http` that may change
    what the locations in it answer."""
    for file, line in lines:
        name = line.name.decode(errors="replace")
        if name in effects.FOLDED or name in effects.SERVER_OWN or effects.is_kept_around(name):
            continue
        raise NotExpressibleError(f"`{name}` ({file}:{line.line}) applies to it")
