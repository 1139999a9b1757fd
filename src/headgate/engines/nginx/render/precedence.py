"""Finds which matches may take a request in one location of a host, in the router's order.

nginx finds the location: an exact path, the paths below a prefix, or everything. Within it the
first match in order that holds wins. Pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from headgate._core import normalise_path
from headgate.features.nginx_registry import literal_prefix
from headgate.plan.objects import Match, Route


class Rank(NamedTuple):
    """The order of two matches; the smaller goes first."""

    priority: int
    path_kind: int
    prefix_length: int
    any_method: bool
    headers: int
    query: int
    any_client: bool
    name: bytes
    place: int


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One match of a route.

    `exact` and `prefix` are normal paths, the prefix without trailing slash; at most one of them
    and `regex` is set. `index` is its place in the route, None for a route without matches.
    """

    route: str
    rank: Rank
    match: Match
    index: int | None
    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None

    @property
    def is_certain(self) -> bool:
        """True if it takes every request at its places."""
        match = self.match
        return self.regex is None and not (
            match.methods
            or match.headers
            or match.cookies
            or match.query
            or match.client
            or match.client_subject
            or match.client_certificate is not None
        )

    @property
    def matched(self) -> str:
        """The part of the path that it takes."""
        return self.exact or self.prefix or ""


class Place(NamedTuple):
    """A path, or with `below` the paths that begin with it and a slash; `("", True)` is all."""

    path: str
    below: bool


_EVERYTHING = Match()


def candidates(name: str, route: Route) -> Iterable[Candidate]:
    """Returns the matches of a route; a match on `*`, the target of OPTIONS,
    never holds in nginx.
    """
    matches: Sequence[tuple[int | None, Match]] = list(enumerate(route.match))
    for index, match in matches or [(None, _EVERYTHING)]:
        path = match.path
        exact = prefix = regex = None
        if path is not None and path.exact is not None:
            if path.exact == "*":
                continue
            exact = normalise_path(path.exact)
        elif path is not None and path.regex is not None:
            regex = path.regex
        elif path is not None and path.prefix is not None:
            prefix = normalise_path(path.prefix).rstrip("/")
        rank = Rank(
            priority=-route.priority,
            path_kind=0 if exact is not None else 1 if regex is not None else 2,
            prefix_length=-len(prefix or ""),
            any_method=not match.methods,
            headers=-len(match.headers)
            - len(match.cookies)
            - (match.client_subject is not None)
            - (match.client_certificate is not None),
            query=-len(match.query),
            any_client=not match.client,
            name=name.encode(),
            place=index or 0,
        )
        yield Candidate(name, rank, match, index, exact, prefix, regex)


@dataclass(slots=True)
class _Index:
    exact: dict[str, list[Candidate]] = field(default_factory=dict)
    prefix: dict[str, list[Candidate]] = field(default_factory=dict)
    regex: list[tuple[str, Candidate]] = field(default_factory=list)


def places(found: Iterable[Candidate]) -> Mapping[Place, tuple[Candidate, ...]]:
    """Returns every place of a host and the matches
    that may take a request there, first to last.

    A list ends at a match that takes everything, or with the last match. The order is that of
    paths; the place of all paths is always among them.
    """
    index = _Index()
    for one in found:
        if one.exact is not None:
            index.exact.setdefault(one.exact, []).append(one)
        elif one.regex is not None:
            index.regex.append((literal_prefix(one.regex), one))
        else:
            index.prefix.setdefault(one.prefix or "", []).append(one)
    # nginx redirects from a path to that with a slash, unless a location has it.
    bare = {path[:-1] for path in index.exact if path.endswith("/")}
    paths = {*index.exact, *index.prefix, *bare} - {""}
    result = {Place(path, False): _at(index, path, below=False) for path in sorted(paths)}
    for prefix in sorted(index.prefix.keys() | {""}):
        result[Place(prefix, True)] = _at(index, prefix, below=True)
    return result


def _at(index: _Index, path: str, *, below: bool) -> tuple[Candidate, ...]:
    found: list[Candidate] = [] if below else list(index.exact.get(path, ()))
    for prefix in _ancestors(path):
        found += index.prefix.get(prefix, ())
    start = path + "/" if below else path
    for literal, one in index.regex:
        fits = start.startswith(literal) or (below and literal.startswith(start))
        if fits:
            found.append(one)
    found.sort(key=lambda one: one.rank)
    kept = []
    for one in found:
        kept.append(one)
        if one.is_certain:
            break
    return tuple(kept)


def _ancestors(path: str) -> Iterable[str]:
    """Returns the prefixes of a path: itself, and each part before a slash."""
    yield ""
    at = path.find("/", 1)
    while at > 0:
        yield path[:at]
        at = path.find("/", at + 1)
    if path:
        yield path
