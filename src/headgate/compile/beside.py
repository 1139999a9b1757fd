"""Finds routes that did not serve as they are now beside what has its last good form. Pure.

A last good form is part of an earlier config: a listener at an address that a new config takes it
from, a TLS policy that does not ask for certificates yet, an upstream that leads elsewhere. What a
new config has requests go through besides may count on what the form lacks. So requests that go
through a last good form go through the same as then (`standing`), and those that another route took
then do not fall to a route that goes through one.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from headgate.compile.closed import CLOSED, REASON, Place, is_closed, place_of
from headgate.compile.references import references
from headgate.compile.standing import ROUTES, Objects, Scene, Spot, at, names_of, reached, widest
from headgate.compile.takers import Taker, Takers
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.objects import Route
from headgate.plan.plan import PlanEntry
from headgate.plan.tcp import TcpRoute

Stood = Mapping[ObjectKey, Mapping[Spot, str]]
"""The digests of what requests of routes went through when that was last good, by spots."""


class Fallen(NamedTuple):
    """A route that is not where it was, and the places where one that goes through `cause` would
    take its requests.
    """

    key: ObjectKey
    places: tuple[Place, ...]
    cause: ObjectKey


class Before(Protocol):
    """The config that was served."""

    @property
    def objects(self) -> Objects:
        """The last good forms."""
        ...

    @property
    def quarantined(self) -> Collection[ObjectKey]:
        """Those that were not served as they were written."""
        ...

    @property
    def stood(self) -> Stood:
        """The objects that count for these routes instead: all there is of quarantined ones."""
        ...


_Spots = Mapping[tuple[Kind, Spot], Takers]


class Beside:
    """Compares what is to be served with what was served."""

    def __init__(self, objects: Objects, last: Before, stale: Iterable[ObjectKey]) -> None:
        """`objects` may change meanwhile, in its routes; `stale`: what has its last good form."""
        self._objects = objects
        self._last = last
        self._stood = last.stood
        self._reached = reached(objects, stale)
        suspects = {str(key.name) for key in self._reached if key.kind == "host"}
        for key, spots in last.stood.items():
            route = place_of(last.objects.get(key) or objects.get(key))
            own = names_of(route) if route is not None else ()
            suspects.update(name for _, name in spots if name not in own)
        self._was = Scene(last.objects, suspects)
        self._now = Scene(objects, self._was.notable)

    def misfits(self, one: PlanEntry, *, is_stale: bool = False) -> dict[Spot, ObjectKey]:
        """Returns where a route goes through a last good form, and not through the same as then,
        with that form. `is_stale`: the route is one itself.
        """
        found: dict[Spot, ObjectKey] = {}
        route = place_of(one)
        if route is None or not self._reached:
            return found
        before: Mapping[Spot, str] | None = None
        for spot, within, cause in self._causes(one, route, is_stale=is_stale):
            before = self._before(one.key) if before is None else before
            if before.get(within, before.get(spot)) != self._now.digest(route, within):
                found.setdefault(spot, cause)
        return found

    def goes_back(self, key: ObjectKey) -> None:
        """Notes that a route is served in its last good form, too."""
        self._reached[key] = key

    def _causes(
        self, one: PlanEntry, route: Place, *, is_stale: bool = False
    ) -> Iterator[tuple[Spot, Spot, ObjectKey]]:
        """Yields where a route goes through a last good form: the spot, the one within it, and the
        form.
        """
        kind, own = one.key.kind, self._own_cause(one)
        if own is None and is_stale:
            own = one.key
        for spot in self._now.spots(route):
            for within in self._now.within(kind, route, spot):
                if within != spot and within[1] in self._was.names(kind, spot[0]):
                    continue  # it had routes of its own: see `fallen`
                cause = self._cause_around(route, within) or own
                if cause is not None:
                    yield spot, within, cause

    def _own_cause(self, one: PlanEntry) -> ObjectKey | None:
        """Returns the last good form that a route goes through wherever it is; maybe itself."""
        named = (key for key in references(one) if key.kind != "listener")
        return next((self._reached[key] for key in (*named, one.key) if key in self._reached), None)

    def _cause_around(self, route: Place, spot: Spot) -> ObjectKey | None:
        """Returns the last good form that is around a route there."""
        around = self._now.around(route, spot)
        return next((self._reached[key] for key in around if key in self._reached), None)

    def _before(self, key: ObjectKey) -> Mapping[Spot, str]:
        """Returns what requests of a route went through when that was last good, by spots."""
        known = self._stood.get(key, {})
        route = place_of(self._last.objects.get(key))
        if route is None or key in self._last.quarantined:
            return known
        spots = (
            within
            for spot in self._was.spots(route)
            for within in self._was.within(key.kind, route, spot)
        )
        return {**{spot: self._was.digest(route, spot) for spot in spots}, **known}

    def fallen(self, quarantined: Collection[ObjectKey]) -> Iterator[Fallen]:
        """Yields the routes whose requests would fall to one that goes through a last good form, or
        to the last good form of one that is closed now, once it is served again.
        """
        takers: dict[tuple[Kind, Spot], Takers] = {}
        for taker in self._takers(quarantined):
            for spot in self._now.spots(taker.route):
                takers.setdefault((taker.one.key.kind, spot), Takers()).add(taker)
        for key, one in self._last.objects.items() if takers else ():
            now = self._objects.get(key)
            if key.kind not in ROUTES or (now is not None and now.digest == one.digest):
                continue
            if (route := place_of(one)) is not None:
                yield from self._fallen(key, route, takers)

    def _takers(self, quarantined: Collection[ObjectKey]) -> Iterator[Taker]:
        """Yields all routes, and the last good forms of those that are closed."""
        held = [
            one
            for key in quarantined
            if key.kind in ROUTES and (one := self._last.objects.get(key)) is not None
        ]
        if not held and not self._reached:
            return
        for one in held:
            if (route := place_of(one)) is not None:
                yield Taker(one, route, is_open=True, is_held=True)
        for key, one in self._objects.items():
            if key.kind in ROUTES and (route := place_of(one)) is not None:
                yield Taker(one, route, is_open=not is_closed(one))

    def _fallen(self, key: ObjectKey, route: Place, takers: _Spots) -> Iterator[Fallen]:
        """Yields a route that is not the same now, if its requests would."""
        part: dict[Spot, ObjectKey] = {}
        whole: dict[Spot, ObjectKey] = {}
        for spot in self._was.spots(route):
            listener, name = spot
            known = self._now.names(key.kind, listener)
            group = widest(name, known)
            if group is None:
                continue
            is_part = group == name
            here = takers.get((key.kind, (listener, group)))
            if here is None:
                continue
            for taker in here.beside(route) if is_part else here.open():
                cause = self._taken(key, route, spot, taker, here.every if is_part else ())
                if cause is not None:
                    (part if is_part else whole)[spot] = cause
                    break
        for cause in list({**part, **whole}.values())[:1]:
            yield Fallen(key, (*pieces(route, part), *pieces(_whole(route), whole)), cause)

    def _taken(
        self,
        key: ObjectKey,
        route: Place,
        spot: Spot,
        taker: Taker,
        here: Sequence[Taker],
    ) -> ObjectKey | None:
        """Returns the last good form that requests of an earlier route would go through if another
        one takes them. `here` are the routes of its name, which it may go before; without any, a
        wider one takes all.
        """
        if taker.one.key == key and (taker.is_held or here):
            return None  # it is itself
        if any(_covers(one, key, route, taker) for one in here):
            return None
        if taker.is_held:
            return taker.one.key
        if not here:
            return self._cause_around(taker.route, spot) or self._own_cause(taker.one)
        causes = self._causes(taker.one, taker.route)
        return next((cause for place, _, cause in causes if place == spot), None)

    def stood(self, quarantined: Collection[ObjectKey]) -> Stood:
        """Returns what counts with the next config instead of this one: all of quarantined routes,
        and what goes through last good forms.
        """
        found = {key: self._before(key) for key in quarantined if key.kind in ROUTES}
        for key, one in self._objects.items() if self._reached else ():
            if key.kind not in ROUTES or key in quarantined or is_closed(one):
                continue
            if (route := place_of(one)) is not None:
                causes = self._causes(one, route)
                spots = {spot for *both, _ in causes for spot in both}
                found[key] = {spot: self._now.digest(route, spot) for spot in spots}
        return {key: spots for key, spots in found.items() if spots}


def pieces(route: Place, spots: Iterable[Spot]) -> Iterator[Place]:
    """Yields a route in these spots alone, in as few parts as listeners allow."""
    names: dict[str, list[str]] = {}
    for listener, name in sorted(spots):
        names.setdefault(listener, []).append(name)
    listeners: dict[tuple[str, ...], list[str]] = {}
    for listener, of_one in names.items():
        listeners.setdefault(tuple(of_one), []).append(listener)
    for of_all, those in listeners.items():
        yield at(route, those, of_all)


def split(route: Place, shut: Collection[Spot]) -> tuple[Place | None, tuple[Place, ...]]:
    """Returns a route where it stays open, and its places that are to be closed.

    What stays open is one route: if it is open for other names on each listener, it stays open on
    those alone where it is for all.
    """
    own = names_of(route)
    open_ = {one: [name for name in own if (one, name) not in shut] for one in route.listeners}
    if len({tuple(names) for names in open_.values() if names}) > 1:
        open_ = {one: names if len(names) == len(own) else [] for one, names in open_.items()}
    listeners = [one for one, names in open_.items() if names]
    kept = at(route, listeners, open_[listeners[0]]) if listeners else None
    closed = [(one, name) for one, names in open_.items() for name in own if name not in names]
    return kept, tuple(pieces(route, closed))


def _whole(route: Place) -> Place:
    """Returns a route of the same names that takes all their requests."""
    if isinstance(route, Route):
        return Route(hosts=route.hosts, listeners=route.listeners, action=CLOSED)
    if isinstance(route, TcpRoute):
        return msgspec.structs.replace(route, client=(), alpn=())
    return msgspec.structs.replace(route, client=())


def _conditions(route: Place) -> tuple[object, ...]:
    """Returns what decides with its names which requests a route takes."""
    match route:
        case Route():
            return (route.match, route.priority)
        case TcpRoute():
            return (route.client, route.alpn, route.tls)
        case _:
            return (route.client,)


def _covers(other: Taker, key: ObjectKey, route: Place, taker: Taker) -> bool:
    """Reports whether another route takes what an earlier one took, before `taker` does."""
    if other is taker or other.is_held or _conditions(other.route) != _conditions(route):
        return False
    is_same = other.one.key.name.partition(f"#{REASON}")[0] == key.name
    return is_same or _conditions(route) != _conditions(taker.route)
