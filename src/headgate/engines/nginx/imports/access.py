"""Converts `allow` and `deny` to conditions on the client's address, and back."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from headgate.engines.nginx.imports import values
from headgate.engines.nginx.imports.objects import NotExpressibleError, Table, Toml, items_in
from headgate.nginxtext.includes import Located
from headgate.nginxtext.tree import Directive
from headgate.nginxtext.writer import Plain, Word, directive

DENIED: Final = 403
SUFFIX: Final = "-denied"
"""The suffix of the route that answers the clients that are not let in."""

_ALL: Final = "all"


class Access(NamedTuple):
    """Who is let in: nobody but `allowed`, or everybody but `denied`."""

    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()

    @property
    def is_closed(self) -> bool:
        """Whether it lets nobody in."""
        return not self.allowed and not self.denied


def access_of(lines: Sequence[Located]) -> Access | None:
    """Returns what the lines in effect say; None if they let everybody in.

    Raises `NotExpressibleError` where they allow and deny alternately.
    """
    kinds: list[bytes] = []
    networks: list[str] = []
    for _, line in lines:
        value = values.text(line.values[0])
        if value == _ALL:
            kinds.append(line.name)
            return _closed_by(line.name, kinds, networks)
        kinds.append(line.name)
        networks.append(value)
    return _closed_by(b"allow", kinds, networks)


def _closed_by(last: bytes, kinds: Sequence[bytes], networks: Sequence[str]) -> Access | None:
    others = set(kinds[: len(networks)])
    if not others - {last}:
        return Access() if last == b"deny" else None
    if len(others) > 1:
        raise NotExpressibleError("`allow` and `deny` in turns have no counterpart")
    found = tuple(dict.fromkeys(networks))
    return Access(allowed=found) if last == b"deny" else Access(denied=found)


def with_clients(match: Sequence[Table], networks: Sequence[str]) -> list[Table]:
    """Returns the matches, of these clients only."""
    return [{**one, "client": list(networks)} for one in match or ({},)]


def clients_of(route: Table) -> list[str]:
    """Returns the networks of a route's clients; none if it is for everybody."""
    first = next(iter(items_in(route, "match")), {})
    return [str(one) for one in items_in(first, "client")] if isinstance(first, Mapping) else []


def without_clients(match: Sequence[Toml]) -> list[Toml]:
    """Returns the matches, of every client."""
    every = [
        {key: value for key, value in one.items() if key != "client"}
        for one in match
        if isinstance(one, Mapping)
    ]
    return [one for one in every if one]


def to_nginx(allowed: Sequence[str], denied: Sequence[str]) -> list[Directive]:
    """Returns the lines that let in nobody but those, or everybody but these."""
    lines = [directive("allow", Plain(one)) for one in allowed]
    lines += [directive("deny", Plain(one)) for one in denied]
    return [*lines, directive("deny", Word(_ALL))] if allowed else lines
