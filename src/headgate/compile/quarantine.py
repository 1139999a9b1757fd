"""Decides what is served of a config in which objects that a provider wrote have errors. Pure.

One bad object must not take its neighbours with it, and must not open what it closed:

- A broken certificate, TLS policy, upstream or listener keeps its last good form. Without one it is
  absent, and what refers to it is broken too; a listener that never opened gets no requests.
- A broken middleware lets nothing pass: whatever names it is broken.
- A broken host answers 503 to everything; its TLS keeps its last good form.
- A broken TCP route keeps its last good form. Without one the whole config is refused.
- A broken route keeps its place. It serves its last good form if listeners, hosts, matches,
  priority and middlewares are written as they were then, and answers 503 otherwise: where it is
  written now, and where it was. A route that never served and whose place cannot be read could be
  anywhere; then the whole config is refused.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from headgate.compile.certified import uncertified
from headgate.compile.claims import unclaimed
from headgate.compile.clientauth import most_specific, served_without
from headgate.compile.crosscheck import hedged_over_http2, mirrored_to_itself, raw_paths
from headgate.compile.references import references
from headgate.kernel.ids import BlobId, ObjectName
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.middleware import Respond
from headgate.plan.objects import Action, Host, Route
from headgate.plan.plan import PlanEntry, entry

Form = Literal["last good", "closed", "absent"]
"""The form in which a quarantined object is served: its last good form, 503, nothing."""

REASON: Final = "quarantined"
STATUS: Final = 503
_PROXY_STATUS: Final = f'headgate; error=destination_unavailable; details="{REASON}"'
_CLOSED: Final = Action(
    respond=Respond(
        status=STATUS,
        body=f"503 Service Unavailable\n{REASON}: the config of this place has an error\n",
        headers={"content-type": "text/plain; charset=utf-8", "proxy-status": _PROXY_STATUS},
    )
)
_ORDER: Final[tuple[Kind, ...]] = ("certificate", "tls_policy", "upstream", "middleware")


@dataclass(frozen=True, slots=True)
class LastGood:
    """The last good form of each object that was served, with its blobs and secrets."""

    objects: Mapping[ObjectKey, PlanEntry] = field(default_factory=dict)
    blobs: Mapping[BlobId, bytes] = field(default_factory=dict)
    secrets: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Broken:
    """An object with an error. `place`: what a route's place was read as, None if unreadable;
    `is_whole`: with its middlewares.
    """

    key: ObjectKey
    why: str
    place: Route | None = None
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


class NoPlaceError(Exception):
    """A broken route could be anywhere: nothing but a refusal of the whole config is safe."""

    def __init__(self, key: ObjectKey) -> None:
        super().__init__(f'route "{key.name}" was never served, and where it belongs is not known')
        self.key = key


@dataclass(slots=True)
class Outcome:
    """The objects that are served, all but the settings, and what became of the broken ones."""

    objects: dict[ObjectKey, PlanEntry]
    quarantined: dict[ObjectKey, Quarantined] = field(default_factory=dict)


def quarantine(
    good: Mapping[ObjectKey, PlanEntry], broken: Iterable[Broken], last: LastGood
) -> Outcome:
    """Returns what to serve; `good` are the objects without an error of their own.

    Raises NoPlaceError if that would open something.
    """
    return _Quarantine(good, {one.key: one for one in broken}, last).outcome()


def is_closed(entry_: PlanEntry) -> bool:
    """Reports whether a route of a plan answers 503 because it is quarantined."""
    if entry_.key.kind != "route" or REASON.encode() not in entry_.canonical:
        return False
    value = entry_.value
    return isinstance(value, Route) and value.action == _CLOSED


class _Quarantine:
    def __init__(
        self,
        good: Mapping[ObjectKey, PlanEntry],
        broken: Mapping[ObjectKey, Broken],
        last: LastGood,
    ) -> None:
        self._good = good
        self._broken = broken
        self._last = last.objects
        self._out = Outcome({})
        self._shut: set[str] = set()
        """Hosts on which every request gets 503."""
        self._bare: set[str] = set()
        """Those whose TLS is not known either."""

    def outcome(self) -> Outcome:
        """Goes from what refers to nothing to what refers to everything."""
        for kind in _ORDER:
            for key in self._keys(kind):
                self._simple(key)
        for key in self._keys("listener"):
            self._simple(key)
        for key in self._keys("host"):
            self._host(key)
        routes = list(self._keys("route"))
        for key in routes:
            self._route(key)
        for key in (*self._keys("tcp_route"), *self._keys("udp_route")):
            self._unread_route(key)
        self._recheck()
        self._shut_hosts()
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
                return f'{key.kind.replace("_", " ")} "{key.name}" cannot be used'
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
        place = found.place if found is not None else _route_of(entry_)
        self._hold(key, place, why, is_whole=found is None or found.is_whole)

    def _unread_route(self, key: ObjectKey) -> None:
        """Serves a route of TCP or UDP as written, else its last good form: without one what it
        takes could fall to a broader route.
        """
        self._simple(key)
        if key not in self._out.objects:
            raise NoPlaceError(key)

    def _hold(self, key: ObjectKey, place: Route | None, why: str, *, is_whole: bool) -> None:
        """Keeps a route's place: with its last good form if that is safe, else closed.

        `is_whole`: the middlewares of the place are known, too.
        """
        last = self._last.get(key)
        before = _route_of(last)
        if place is None and before is None:
            raise NoPlaceError(key)
        is_same = place is not None and before is not None and _stands(place, before)
        if last is not None and is_whole and is_same and self._resolves(last):
            self._out.objects[key] = last
            self._note(key, "last good", why)
            return
        self._close(key, [one for one in (place, before) if one is not None], why)

    def _close(self, key: ObjectKey, places: list[Route], why: str) -> None:
        self._note(key, "closed", why)
        self._out.objects.pop(key, None)
        shapes: list[Route] = []
        for place in places:
            shape = self._closed(place)
            if shape is not None and shape not in shapes:
                shapes.append(shape)
        for index, shape in enumerate(shapes):
            name = key.name if index == 0 else self._free(f"{key.name}#{REASON}")
            made = entry("route", name, shape)
            self._out.objects[made.key] = made

    def _closed(self, place: Route) -> Route | None:
        """Returns the route that answers 503 at a place; None where no listener is open."""
        listeners = self._open(place.listeners)
        if not listeners:
            return None
        return Route(
            hosts=place.hosts,
            listeners=listeners,
            action=_CLOSED,
            match=place.match,
            priority=place.priority,
        )

    def _on_open_listeners(self, entry_: PlanEntry) -> PlanEntry | None:
        route = _route_of(entry_)
        if route is None:
            return None
        listeners = self._open(route.listeners)
        if listeners == route.listeners:
            return entry_
        if not listeners:
            return None
        return entry("route", entry_.key.name, msgspec.structs.replace(route, listeners=listeners))

    def _open(self, listeners: tuple[str, ...]) -> tuple[str, ...]:
        here = self._out.objects
        return tuple(one for one in listeners if ObjectKey("listener", ObjectName(one)) in here)

    def _resolves(self, entry_: PlanEntry) -> bool:
        return all(key in self._out.objects for key in references(entry_))

    def _recheck(self) -> None:
        """Closes last good forms that do not go with what else is served now."""
        objects = self._out.objects

        def entries(kind: Kind) -> list[PlanEntry]:
            return sorted(
                (one for key, one in objects.items() if key.kind == kind), key=lambda one: one.key
            )

        old = {k for k, q in self._out.quarantined.items() if q.form == "last good"}
        routes = [objects[key] for key in old if key.kind == "route" and key in objects]
        found = served_without(entries, objects)
        found += uncertified(entries, objects, objects.values())
        found += unclaimed(entries, objects, objects.values())
        found += [*raw_paths(routes, objects), *hedged_over_http2(routes, objects)]
        found += mirrored_to_itself(routes)
        for problem in found:
            key = ObjectKey("route", ObjectName(str(problem.path[1])))
            route = _route_of(objects.get(key))
            if route is not None and route.action != _CLOSED:
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
                objects[key] = entry("route", key.name, kept)
            name = self._free(f"{key.name}#{REASON}") if open_ else key.name
            shape = self._closed(msgspec.structs.replace(route, hosts=shut))
            if shape is not None:
                made = entry("route", name, shape)
                objects[made.key] = made
            if route.action != _CLOSED:
                self._note(key, "closed", f'host "{shut[0]}" is quarantined')
        for host in sorted(self._shut):
            shape = self._closed(Route(hosts=(host,), listeners=listeners, action=_CLOSED))
            if shape is not None:
                made = entry("route", self._free(f"{host}#{REASON}"), shape)
                objects[made.key] = made

    def _free(self, name: str) -> str:
        """Returns a route's name that nothing has."""
        while ObjectKey("route", ObjectName(name)) in {**self._out.objects, **self._good}:
            name += "#"
        return name

    def _note(self, key: ObjectKey, form: Form, why: str) -> None:
        self._out.quarantined[key] = Quarantined(key, form, why)


def _route_of(entry_: PlanEntry | None) -> Route | None:
    value = entry_.value if entry_ is not None else None
    return value if isinstance(value, Route) else None


def _stands(now: Route, before: Route) -> bool:
    """Reports whether a route has the place and the middlewares that it had."""
    one, other = ((r.listeners, r.hosts, r.match, r.priority, r.middlewares) for r in (now, before))
    return one == other
