"""Decides what is served of a config in which objects that a provider wrote have errors. Pure.

One bad object must not take its neighbours with it, and must not open what it closed:

- A broken certificate, TLS policy, upstream or listener keeps its last good form. Without one it is
  absent, and what refers to it is broken too; a listener that never opened gets no requests.
- Whatever goes through a last good form goes through the same as when that was last good: a new
  config may count on what the form lacks, such as another address or client certificates. A route
  that was not there, or went through something else, serves its last good form or is closed there.
  What a route took that is no longer there does not fall to one that goes through such a form
  (`beside`).
- A broken middleware lets nothing pass: whatever names it is broken.
- A broken host answers 503 to everything; its TLS keeps its last good form.
- A broken route keeps its place. It serves its last good form if listeners, hosts, matches,
  priority and middlewares are written as they were then, and answers 503 otherwise: where it is
  written now, and where it was. A route that never served and whose place cannot be read could be
  anywhere; then the whole config is refused.
- A broken TCP or UDP route does the same, by its listeners, networks, server names, protocols and
  `tls`. Where it would answer 503, its connections are closed and its datagrams are dropped.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from headgate.compile.beside import Beside, Stood, split
from headgate.compile.certified import uncertified
from headgate.compile.claims import unclaimed
from headgate.compile.clientauth import most_specific, served_without
from headgate.compile.closed import (
    CLOSED,
    NOBODY,
    REASON,
    TAKES_NOTHING,
    Place,
    closed,
    is_closed,
    place_of,
    stands,
)
from headgate.compile.crosscheck import hedged_over_http2, mirrored_to_itself, raw_paths
from headgate.compile.forms import Form, served_as
from headgate.compile.references import references
from headgate.compile.standing import ROUTES, Spot
from headgate.compile.tcp import misattached
from headgate.compile.udp import misattached_udp
from headgate.kernel.ids import BlobId, ObjectName
from headgate.model.problems import Problem
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.objects import Host, Listener, Route
from headgate.plan.plan import PlanEntry, entry

_ORDER: Final[tuple[Kind, ...]] = ("certificate", "tls_policy", "upstream", "middleware")
_SECTIONS: Final[Mapping[str, Kind]] = {"tcp_routes": "tcp_route", "udp_routes": "udp_route"}
_WORDS: Final = {"tcp_route": "TCP route", "udp_route": "UDP route", "tls_policy": "TLS policy"}

_UNLIKE: Final = "is served in its last good form, with which this route did not serve like this"
_FALLS: Final = (
    "it is removed or stands elsewhere, and its requests would go through the last good form of"
)


@dataclass(frozen=True, slots=True)
class LastGood:
    """The last good form of each object that was served, with its blobs and secrets."""

    objects: Mapping[ObjectKey, PlanEntry] = field(default_factory=dict)
    blobs: Mapping[BlobId, bytes] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()
    defaults: Mapping[str, bool] = field(default_factory=dict)
    """The listeners among them, and whether routes took them by default."""
    quarantined: Collection[ObjectKey] = ()
    """Those of them that were not served as they were written."""
    stood: Stood = field(default_factory=dict)
    """The things that requests of routes went through that `objects` does not say it of."""


@dataclass(frozen=True, slots=True)
class Broken:
    """An object with an error. `place`: what a route's place was read as, None if unreadable;
    `is_whole`: with its middlewares.
    """

    key: ObjectKey
    why: str
    place: Place | None = None
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Refusal:
    """An object that compiled and that an engine refuses. `path`: of the field at fault in the
    plan's object, may be empty. `is_last_refused`: its last good form, too."""

    key: ObjectKey
    why: str
    path: str = ""
    is_last_refused: bool = False


@dataclass(frozen=True, slots=True)
class Quarantined:
    """An object that is not served as it is written, and why."""

    key: ObjectKey
    form: Form
    why: str

    @property
    def served_as(self) -> str:
        """Returns what is served in its place, in words."""
        return served_as(self.key.kind, self.form)


class NoPlaceError(Exception):
    """A broken route could be anywhere: nothing but a refusal of the whole config is safe."""

    def __init__(self, key: ObjectKey) -> None:
        super().__init__(f"{_said(key)} was never served, and where it belongs is not known")
        self.key = key


@dataclass(slots=True)
class Outcome:
    """The objects that are served, all but the settings, and what became of the broken ones."""

    objects: dict[ObjectKey, PlanEntry]
    quarantined: dict[ObjectKey, Quarantined] = field(default_factory=dict)
    stood: Stood = field(default_factory=dict)
    """See `LastGood`."""


def quarantine(
    good: Mapping[ObjectKey, PlanEntry],
    broken: Iterable[Broken],
    last: LastGood,
    unusable: Collection[ObjectKey] = (),
) -> Outcome:
    """Returns what to serve; `good` are the objects without an error of their own, `unusable` those
    whose last good form must not be served.

    Raises NoPlaceError if that would open something.
    """
    return _Quarantine(good, {one.key: one for one in broken}, last, unusable).outcome()


class _Quarantine:
    def __init__(
        self,
        good: Mapping[ObjectKey, PlanEntry],
        broken: Mapping[ObjectKey, Broken],
        last: LastGood,
        unusable: Collection[ObjectKey],
    ) -> None:
        self._good = good
        self._broken = broken
        self._before = last
        self._last = {key: one for key, one in last.objects.items() if key not in unusable}
        self._out = Outcome({})
        self._shut: set[str] = set()
        """Hosts on which every request gets 503."""
        self._bare: set[str] = set()
        """Those whose TLS is not known either."""
        self._dated: set[ObjectKey] = set()
        """Those whose TLS is that of their last good form."""
        self._heard: dict[str, Listener] = {}
        """The listeners that are open."""
        self._cut: dict[str, Listener] = {}
        """Those of them that lack addresses of their last good form."""
        self._nobody = self._free("upstream", NOBODY)

    def outcome(self) -> Outcome:
        """Goes from what refers to nothing to what refers to everything."""
        for kind in _ORDER:
            for key in self._keys(kind):
                self._simple(key)
        self._listeners()
        for key in self._keys("host"):
            self._host(key)
        for kind in ROUTES:
            for key in self._keys(kind):
                self._route(key)
        if self._out.quarantined:
            beside = self._beside()
            self._recheck()
            self._shut_hosts()
            self._catch(beside)
            self._out.stood = beside.stood(self._out.quarantined)
        for name, listener in self._cut.items():
            self._put(entry("listener", name, listener))
        return self._out

    def _keys(self, kind: Kind) -> list[ObjectKey]:
        keys = [key for key in (*self._good, *self._broken) if key.kind == kind]
        return list(dict.fromkeys(keys))

    def _why(self, entry_: PlanEntry) -> str:
        """Returns why what an object refers to cannot be used; empty if all of it can."""
        for key in references(entry_):
            if key in self._out.objects:
                continue
            if key in self._broken or key in self._good or key in self._out.quarantined:
                return f"{_said(key)} cannot be used"
        return ""

    def _simple(self, key: ObjectKey) -> None:
        """Serves an object as written, else its last good form, else not at all."""
        entry_, why = self._good.get(key), ""
        if key in self._broken:
            why = self._broken[key].why
        elif entry_ is not None:
            why = self._why(entry_)
            if not why:
                self._out.objects[key] = entry_
                return
        last = self._last.get(key)
        if last is not None and key.kind != "middleware" and self._resolves(last):
            self._out.objects[key] = last
            self._note(key, "last good", why)
        else:
            self._note(key, "absent", why)

    def _listeners(self) -> None:
        """Opens listeners; one in its last good form where no other one is by now."""
        objects, taken = self._out.objects, set[str]()
        for key in self._keys("listener"):
            self._simple(key)
            value = objects[key].value if key in objects else None
            if isinstance(value, Listener):
                self._heard[key.name] = value
                if key not in self._out.quarantined:
                    taken.update(value.places)
        for name, one in list(self._heard.items()):
            key = ObjectKey("listener", ObjectName(name))
            if key not in self._out.quarantined or taken.isdisjoint(one.places):
                continue
            pairs = zip(one.addresses, one.places, strict=True)
            left = tuple(address for address, place in pairs if place not in taken)
            if left:
                self._cut[name] = msgspec.structs.replace(one, addresses=left)
            else:
                del self._heard[name], objects[key]
                self._note(key, "absent", self._out.quarantined[key].why)

    def _host(self, key: ObjectKey) -> None:
        entry_ = self._good.get(key)
        why = self._broken[key].why if key in self._broken else ""
        if not why and entry_ is not None:
            why = self._why(entry_)
            if not why:
                self._out.objects[key] = entry_
                return
        self._shut.add(key.name)
        self._note(key, "closed", why)
        for form in (entry_, self._last.get(key)):
            value = form.value if form is not None else None
            if isinstance(value, Host):
                bare = entry("host", key.name, msgspec.structs.replace(value, middlewares=()))
                if self._resolves(bare):
                    self._out.objects[key] = bare
                    if form is not entry_:
                        self._dated.add(key)
                    return
        self._bare.add(key.name)

    def _route(self, key: ObjectKey) -> None:
        entry_ = self._good.get(key)
        found = self._broken.get(key)
        why = found.why if found is not None else ""
        if not why and entry_ is not None:
            route = self._on_open_listeners(entry_)
            if route is None:
                self._note(key, "absent", "none of its listeners can be opened")
                return
            why = self._why(route)
            if not why:
                self._out.objects[key] = route
                return
        place = found.place if found is not None else place_of(entry_)
        self._hold(key, place, why, is_whole=found is None or found.is_whole)

    def _hold(self, key: ObjectKey, place: Place | None, why: str, *, is_whole: bool) -> None:
        """Keeps a route's place: with its last good form if that is safe, else closed.

        `is_whole`: the middlewares of the place are known, too.
        """
        last = self._last.get(key)
        before = place_of(last)
        if place is None and before is None:
            raise NoPlaceError(key)
        is_same = place is not None and before is not None and stands(place, before)
        if last is not None and is_whole and is_same and self._resolves(last):
            self._out.objects[key] = last
            self._note(key, "last good", why)
            return
        self._close(key, [one for one in (place, before) if one is not None], why)

    def _close(
        self, key: ObjectKey, places: Iterable[Place], why: str, kept: Place | None = None
    ) -> None:
        """Closes places of a route, which stays open in what is `kept` of it."""
        self._note(key, "closed", why)
        self._out.objects.pop(key, None)
        if kept is not None:
            self._put(entry(key.kind, key.name, kept))
        self._shut_places(key, places)

    def _shut_places(self, key: ObjectKey, places: Iterable[Place]) -> None:
        shapes: list[Place] = []
        for place in places:
            shapes += [shape for shape in self._closed(place) if shape not in shapes]
        for shape in shapes:
            is_free = key not in self._out.objects
            name = key.name if is_free else self._free(key.kind, f"{key.name}#{REASON}")
            self._put(entry(key.kind, name, shape))

    def _closed(self, place: Place) -> list[Place]:
        """Returns the routes that close a place; none where no listener is open."""
        shapes = list(closed(place, self._heard, self._nobody))
        if shapes and not isinstance(place, Route):
            self._put(entry("upstream", self._nobody, TAKES_NOTHING))
        return shapes

    def _put(self, made: PlanEntry) -> None:
        self._out.objects[made.key] = made

    def _on_open_listeners(self, entry_: PlanEntry) -> PlanEntry | None:
        route = place_of(entry_)
        if route is None:
            return None
        listeners = tuple(name for name in route.listeners if name in self._heard)
        if not listeners:
            return None
        if listeners == route.listeners:
            return entry_
        made = msgspec.structs.replace(route, listeners=listeners)
        return entry(entry_.key.kind, entry_.key.name, made)

    def _resolves(self, entry_: PlanEntry) -> bool:
        return all(key in self._out.objects for key in references(entry_))

    def _beside(self) -> Beside:
        """Closes routes where they did not serve like this with what has its last good form."""
        objects, quarantined = self._out.objects, self._out.quarantined
        stale = {key for key, one in quarantined.items() if one.form == "last good"}
        beside = Beside(objects, self._before, stale | self._dated)
        for key in [key for key in objects if key.kind in ROUTES]:
            one = objects[key]
            if not is_closed(one) and (found := beside.misfits(one)):
                self._part(beside, one, found)
        return beside

    def _catch(self, beside: Beside) -> None:
        """Closes places of earlier routes whose requests would go through a last good form now."""
        closed = [key for key, one in self._out.quarantined.items() if one.form == "closed"]
        for key, places, cause in list(beside.fallen(closed)):
            self._note(key, "closed", f"{_FALLS} {_said(cause)}")
            self._shut_places(key, places)

    def _part(self, beside: Beside, one: PlanEntry, shut: Mapping[Spot, ObjectKey]) -> None:
        """Serves a route in its last good form if that served like this, else closes it there."""
        key, route = one.key, place_of(one)
        last, cause = self._last.get(key), next(iter(shut.values()))
        before = place_of(last)
        if route is None:
            return
        own = self._out.quarantined.get(key)
        why = own.why if own is not None and cause == key else f"{_said(cause)} {_UNLIKE}"
        if last is not None and before is not None and last.digest != one.digest:
            is_same = stands(route, before) and self._resolves(last)
            if is_same and not beside.misfits(last, is_stale=True):
                self._out.objects[key] = last
                self._note(key, "last good", why)
                beside.goes_back(key)
                return
        kept, places = split(route, shut)
        self._close(key, places, why, kept)

    def _recheck(self) -> None:
        """Closes last good forms that do not go with what else is served now."""
        objects = self._out.objects

        def entries(kind: Kind) -> list[PlanEntry]:
            return sorted(
                (one for key, one in objects.items() if key.kind == kind), key=lambda one: one.key
            )

        old = {k for k, q in self._out.quarantined.items() if q.form == "last good"}
        routes = [objects[key] for key in old if key.kind == "route" and key in objects]
        found: list[Problem] = []
        if any(key.kind in ("tcp_route", "udp_route") for key in old):
            streams = [*misattached(entries, objects), *misattached_udp(entries, objects)]
            found += [one for one in streams if _key_of(one) in old]
        found += served_without(entries, objects)
        found += uncertified(entries, objects, objects.values())
        found += unclaimed(entries, objects, objects.values())
        found += [*raw_paths(routes, objects), *hedged_over_http2(routes, objects)]
        found += mirrored_to_itself(routes)
        for problem in found:
            key = _key_of(problem)
            one = objects.get(key)
            route = place_of(one)
            if one is not None and route is not None and not is_closed(one):
                self._close(key, [route], problem.message)

    def _shut_hosts(self) -> None:
        """Answers 503 to all requests of hosts that are closed, whoever takes them."""
        if not self._shut:
            return
        objects = self._out.objects
        listeners = tuple(sorted(key.name for key in objects if key.kind == "listener"))
        hosts = {key.name for key in self._keys("host")}

        def is_shut(name: str) -> bool:
            return name in self._shut or most_specific(name, hosts) in self._bare

        for key in [key for key in objects if key.kind == "route"]:
            route = _route_of(objects[key])
            shut = tuple(host for host in route.hosts if is_shut(host)) if route else ()
            if route is None or not shut:
                continue
            open_ = tuple(host for host in route.hosts if host not in shut)
            if open_:
                kept = msgspec.structs.replace(route, hosts=open_)
                self._put(entry("route", key.name, kept))
            name = self._free("route", f"{key.name}#{REASON}") if open_ else key.name
            for shape in self._closed(msgspec.structs.replace(route, hosts=shut)):
                self._put(entry("route", name, shape))
            if route.action != CLOSED:
                self._note(key, "closed", f'host "{shut[0]}" is quarantined')
        for host in sorted(self._shut):
            for shape in self._closed(Route(hosts=(host,), listeners=listeners, action=CLOSED)):
                self._put(entry("route", self._free("route", f"{host}#{REASON}"), shape))

    def _free(self, kind: Kind, name: str) -> str:
        """Returns a name that no object of a kind has."""
        taken = self._out.objects.keys() | self._good.keys() | self._broken.keys()
        while ObjectKey(kind, ObjectName(name)) in taken:
            name += "#"
        return name

    def _note(self, key: ObjectKey, form: Form, why: str) -> None:
        self._out.quarantined[key] = Quarantined(key, form, why)


def _said(key: ObjectKey) -> str:
    """Returns an object in words."""
    return f'{_WORDS.get(key.kind, key.kind)} "{key.name}"'


def _route_of(entry_: PlanEntry | None) -> Route | None:
    value = entry_.value if entry_ is not None else None
    return value if isinstance(value, Route) else None


def _key_of(problem: Problem) -> ObjectKey:
    """Returns the route that a problem is about."""
    section, name = problem.path[:2]
    return ObjectKey(_SECTIONS.get(str(section), "route"), ObjectName(str(name)))
