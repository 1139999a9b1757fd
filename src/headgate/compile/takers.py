"""Finds among the routes of one name those that may take requests of another one. Pure."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from headgate.compile.closed import Place
from headgate.plan.objects import Match, Route
from headgate.plan.plan import PlanEntry


class Taker(NamedTuple):
    """A route that takes requests; `is_held`: its last good form, while it is closed; `is_open`: it
    does not just close a place.
    """

    one: PlanEntry
    route: Place
    is_open: bool
    is_held: bool = False


class Takers:
    """The routes of one name on a listener, in their order."""

    def __init__(self) -> None:
        self.every: list[Taker] = []
        self._open: list[Taker] = []
        self._of_prefix: dict[tuple[int, str], list[int]] = {}
        """Places in `_open` of routes with one prefix and no other condition on the path, by their
        priority and that prefix: a host may have thousands of them, and few go before another."""
        self._of_priority: dict[int, list[int]] = {}
        self._others: list[int] = []

    def add(self, taker: Taker) -> None:
        """Adds a route."""
        self.every.append(taker)
        if not taker.is_open:
            return
        at = len(self._open)
        self._open.append(taker)
        prefixes = _prefixes(taker.route)
        if isinstance(taker.route, Route) and prefixes is not None and len(prefixes) == 1:
            priority = taker.route.priority
            self._of_prefix.setdefault((priority, prefixes[0]), []).append(at)
            self._of_priority.setdefault(priority, []).append(at)
        else:
            self._others.append(at)

    def open(self) -> Sequence[Taker]:
        """Returns the open routes."""
        return self._open

    def beside(self, route: Place) -> Iterator[Taker]:
        """Yields the open routes before which this one of the name may go with some requests."""
        for at in self._near(route):
            if may_go_before(route, self._open[at].route):
                yield self._open[at]

    def _near(self, route: Place) -> Iterable[int]:
        """Returns the places of open routes, in order, without most that this one never meets."""
        prefixes = _prefixes(route)
        if not isinstance(route, Route) or prefixes is None:
            return range(len(self._open))
        found = set(self._others)
        for priority, places in self._of_priority.items():
            if priority != route.priority:
                found.update(places)
        for wider in {one for prefix in prefixes for one in _wider(prefix)}:
            found.update(self._of_prefix.get((route.priority, wider), ()))
        return sorted(found)


def may_go_before(one: Place, other: Place) -> bool:
    """Reports whether a route may take requests of a name that another one fits, too."""
    if not isinstance(one, Route) or not isinstance(other, Route):
        return True
    pairs = product(one.match or (Match(),), other.match or (Match(),))
    if one.priority != other.priority:
        return one.priority > other.priority and any(_may_meet(a, b) for a, b in pairs)
    return any(_may_win(a, b) for a, b in pairs)


def _may_win(one: Match, other: Match) -> bool:
    """Reports whether a match may go before another of the same priority, by their paths."""
    mine, theirs = _prefix(one), _prefix(other)
    return mine is None or (theirs is not None and mine.startswith(theirs))


def _may_meet(one: Match, other: Match) -> bool:
    """Reports whether a request may fit both, by their paths."""
    mine, theirs = _prefix(one), _prefix(other)
    return mine is None or theirs is None or mine.startswith(theirs) or theirs.startswith(mine)


def _prefixes(route: Place) -> list[str] | None:
    """Returns the prefixes that a route asks for; None if it has another condition on the path."""
    if not isinstance(route, Route):
        return None
    found = [_prefix(one) for one in route.match or (Match(),)]
    known = [one for one in found if one is not None]
    return known if len(known) == len(found) else None


def _prefix(match: Match) -> str | None:
    """Returns the prefix that a match asks for, with a slash at its end; None for one with another
    condition on the path.
    """
    if match.path is None:
        return "/"
    return None if match.path.prefix is None else f"{match.path.prefix.rstrip('/')}/"


def _wider(prefix: str) -> Iterator[str]:
    """Yields the prefixes that this one begins with, up to itself."""
    return (prefix[: at + 1] for at, letter in enumerate(prefix) if letter == "/")
