"""Applies the quarantine to a load: finds which objects are broken, and says what became of them.

It also asks the core, which refuses what the model cannot see (patterns, key pairs): an object that
only the core refuses is broken like any other. So is one that an engine refused.
"""

import errno
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath

import msgspec
from pydantic import BaseModel, ValidationError

from headgate._core import PlanError, check_tls
from headgate.compile.beside import Stood
from headgate.compile.closed import Place, is_closed, place_of
from headgate.compile.quarantine import (
    Broken,
    LastGood,
    NoPlaceError,
    Outcome,
    Quarantined,
    Refusal,
    quarantine,
)
from headgate.compile.reads import Reads
from headgate.compile.routes import route
from headgate.compile.routing import Routing
from headgate.compile.sources import EntryKey, Sources
from headgate.compile.table import UnitTable
from headgate.compile.tcp import tcp_route
from headgate.compile.udp import udp_route
from headgate.compile.unit import Unit
from headgate.kernel.diagnostics import Diagnostic, Severity, dotted
from headgate.kernel.ids import BlobId, ObjectName
from headgate.kernel.nearest import nearest
from headgate.model.config import SECTION_OF
from headgate.model.problems import Problem
from headgate.model.route import Route as RouteModel
from headgate.model.tcp_route import TcpRoute as TcpRouteModel
from headgate.model.udp_route import UdpRoute as UdpRouteModel
from headgate.plan.kinds import KINDS, ObjectKey
from headgate.plan.plan import PlanEntry, plan_of

_PLACE: Mapping[str, tuple[str, ...]] = {
    "route": ("hosts", "listeners", "match", "priority"),
    "tcp_route": ("listeners", "client", "sni", "alpn", "tls"),
    "udp_route": ("listeners", "client", "sni"),
}
"""The keys that say what a route takes, by its kind."""
_MODELS: Mapping[str, type[BaseModel]] = {
    "route": RouteModel,
    "tcp_route": TcpRouteModel,
    "udp_route": UdpRouteModel,
}
_ROUNDS = 3
"""Once for the errors of the text, twice for those of the core."""

Blamed = Mapping[EntryKey, Sequence[Problem]]


@dataclass(frozen=True, slots=True)
class Isolated:
    """The part of a config that is served in spite of errors, and warnings that stand for them."""

    outcome: Outcome
    blobs: Mapping[BlobId, bytes]
    secrets: frozenset[str]
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class LoadedPlan:
    """The parts of a load that count for the next one."""

    objects: Mapping[ObjectKey, PlanEntry]
    blobs: Mapping[BlobId, bytes]
    secrets: frozenset[str]
    quarantined: Mapping[ObjectKey, Quarantined]
    defaults: Collection[str]
    """The default listeners."""
    stood: Stood


class NotIsolableError(Exception):
    """The errors cannot be isolated; `diagnostics` are more of them, maybe none."""

    def __init__(self, diagnostics: tuple[Diagnostic, ...] = ()) -> None:
        super().__init__("refused whole")
        self.diagnostics = diagnostics


def isolate(
    blamed: Blamed,
    sources: Sources,
    table: UnitTable,
    last: LastGood,
    refused: Collection[Refusal] = (),
) -> Isolated:
    """Returns what to serve of entries of which these have errors, and of objects that an engine
    refused; raises NotIsolableError.
    """
    unusable = frozenset(one.key for one in refused if one.is_last_refused)
    isolation = _Isolation(sources, table, last, unusable)
    for key, problems in blamed.items():
        isolation.blame(key, [one for one in problems if one.severity is Severity.ERROR])
    for one in refused:
        isolation.blame_refused(one)
    return isolation.result()


class _NoFiles:
    """Files, of which there is none: what stands in them is not compared."""

    def read(self, path: PurePath) -> bytes:
        """Raises FileNotFoundError."""
        raise FileNotFoundError(errno.ENOENT, "it is not read here", str(path))

    def glob(self, pattern: PurePath) -> Sequence[PurePath]:
        """Returns nothing."""
        del pattern
        return ()

    def is_public(self, path: PurePath) -> bool:
        """Raises FileNotFoundError."""
        return bool(self.read(path))

    def is_directory(self, path: PurePath) -> bool:
        """Returns False."""
        del path
        return False


class _Isolation:
    def __init__(
        self, sources: Sources, table: UnitTable, last: LastGood, unusable: frozenset[ObjectKey]
    ) -> None:
        self._sources = sources
        self._unusable = unusable
        self._table = table
        self._last = last
        self._broken: dict[ObjectKey, Broken] = {}
        self._blobs = {**last.blobs, **table.blobs()}
        self._said: list[tuple[ObjectKey, Diagnostic]] = []

    def blame(self, key: EntryKey, problems: Sequence[Problem]) -> None:
        unit = self._table.units[key]
        name = ObjectKey(unit.section.kind, ObjectName(unit.name))
        source = self._sources.owner(key)
        for problem in problems:
            if source is not None:
                self._said.append((name, source.diagnostic(problem)))
        first = str(problems[0].message) if problems else "it has an error"
        place = self._place(key, unit, ("middlewares",))
        is_whole = place is not None
        if place is None:
            place = self._place(key, unit)  # its middlewares are what is wrong
        self._broken.setdefault(name, Broken(name, first, place, is_whole=is_whole))

    def blame_refused(self, one: Refusal) -> None:
        """Blames the entry of an object that an engine refused; raises NotIsolableError."""
        if one.key not in self._broken:
            self._blame_core(one.key.kind, one.key.name, one.path, one.why)

    def result(self) -> Isolated:
        for _ in range(_ROUNDS):
            view = self._table.view()
            good = {key: one for key, one in view.items() if key not in self._broken}
            try:
                outcome = quarantine(good, self._broken.values(), self._last, self._unusable)
            except NoPlaceError as error:
                raise NotIsolableError(self._homeless(error)) from error
            found = list(self._refused(outcome))
            if not found:
                return self._isolated(outcome)
            for kind, name, path, message in found:
                self._blame_core(kind, name, path, message)
        raise NotIsolableError

    def _isolated(self, outcome: Outcome) -> Isolated:
        named = {blob for one in outcome.objects.values() for blob in one.blobs}
        blobs = {name: one for name, one in self._blobs.items() if name in named}
        secrets = self._table.secrets() | self._last.secrets
        return Isolated(outcome, blobs, secrets, tuple(self._warnings(outcome)))

    def _refused(self, outcome: Outcome) -> Iterable[tuple[str, str, str, str]]:
        plan = plan_of(outcome.objects.values())
        try:
            Routing(plan)
        except PlanError as error:
            return list(error.problems)
        objects = [(e.key.kind, e.key.name, e.canonical) for e in outcome.objects.values()]
        errors, _ = check_tls(objects, {str(k): v for k, v in self._blobs.items()})
        return errors

    def _blame_core(self, kind: str, name: str, path: str, message: str) -> None:
        """Blames the entry of an object that the core refuses; raises NotIsolableError."""
        known = next((one for one in KINDS if one == kind), None)
        entry = self._table.names[known].get(name) if known is not None else None
        key = ObjectKey(known, ObjectName(name)) if known is not None else None
        if entry is None or key is None or key in self._broken:
            raise NotIsolableError(
                (Diagnostic(file="config", message=f"{kind} {name}: {message}"),)
            )
        words = [part for part in path.replace("[", ".").replace("]", "").split(".") if part]
        parts = tuple(int(part) if part.isdecimal() else part for part in words)
        self.blame(entry, [Problem((*entry, *parts), message, "")])

    def _place(self, key: EntryKey, unit: Unit, more: tuple[str, ...] = ()) -> Place | None:
        """Returns where a broken route belongs, with these further keys, as far as its text says
        it; None if it does not.
        """
        kind = unit.section.kind
        if kind not in _PLACE:
            return None
        if (known := place_of(unit.plan)) is not None:
            return known
        source = self._sources.owner(key)
        raw = source.document.entry(*key) if source is not None and source.document else None
        if not isinstance(raw, dict):
            return None
        named = _PLACE[kind] + (more if kind == "route" else ())
        kept = {name: raw[name] for name in named if name in raw}
        if _is_misspelt(raw, named, _MODELS[kind]) or "${env:" in repr(kept):
            return None
        aim = {"respond": {"status": 503}} if kind == "route" else {"upstream": "none"}
        try:
            context = Reads(_NoFiles(), PurePath())
            model = unit.section.validate({**kept, **aim}, context=context)
        except (ValidationError, ValueError, TypeError):
            return None
        return self._read(model)

    def _read(self, model: object) -> Place | None:
        """Returns the route of a model."""
        match model:
            case RouteModel():
                found = route(model, self._table.default_listeners()).value
            case TcpRouteModel():
                found = tcp_route(model).value
            case UdpRouteModel():
                found = udp_route(model).value
            case _:
                return None
        return found if isinstance(found, Place) else None

    def _homeless(self, error: NoPlaceError) -> tuple[Diagnostic, ...]:
        place = self._diagnostic(error.key, str(error))
        allowed = "write its hosts and matches so that they can be read"
        return (msgspec.structs.replace(place, allowed=allowed, severity=Severity.ERROR),)

    def _warnings(self, outcome: Outcome) -> Iterable[Diagnostic]:
        said = set()
        for key, diagnostic in self._said:
            found = outcome.quarantined.get(key)
            ends = f"quarantined: {found.served_as}" if found is not None else ""
            said.add(key)
            message = f"{diagnostic.message} ({ends})" if ends else diagnostic.message
            yield msgspec.structs.replace(diagnostic, message=message, severity=Severity.WARNING)
        for key, found in outcome.quarantined.items():
            if key not in said:
                yield self._diagnostic(key, f"{found.why} (quarantined: {found.served_as})")

    def _diagnostic(self, key: ObjectKey, message: str) -> Diagnostic:
        section = SECTION_OF[key.kind]
        written = self._table.names[key.kind].get(key.name, (section, str(key.name)))
        source = self._sources.owner(written)
        problem = Problem(written, message, "", "key", severity=Severity.WARNING)
        if source is not None:
            return source.diagnostic(problem)
        return Diagnostic(
            file="config", path=dotted(written), message=message, severity=Severity.WARNING
        )


def _is_misspelt(raw: Mapping[str, object], named: Sequence[str], model: type[BaseModel]) -> bool:
    """Reports whether a key may be meant for one of those that say what a route takes."""
    strange = (str(key) for key in raw if key not in model.model_fields)
    return any(nearest(key, named) is not None for key in strange)


def good_after(before: LastGood, served: LoadedPlan) -> LastGood:
    """Returns the last good forms once a config is served: those of quarantined objects stay."""
    objects = {
        key: one
        for key, one in served.objects.items()
        if key.kind != "settings" and key not in served.quarantined and not is_closed(one)
    }
    kept = {key: one for key, one in before.objects.items() if key in served.quarantined}
    objects |= kept
    named = {blob for one in objects.values() for blob in one.blobs}
    every = {**before.blobs, **served.blobs}
    blobs = {name: content for name, content in every.items() if name in named}
    secrets = before.secrets | served.secrets if kept else served.secrets
    defaults = dict(_defaults(objects, before, served))
    return LastGood(objects, blobs, secrets, defaults, frozenset(kept), served.stood)


def _defaults(
    objects: Collection[ObjectKey], before: LastGood, served: LoadedPlan
) -> Iterator[tuple[str, bool]]:
    for key in objects:
        name = str(key.name)
        if key.kind == "listener":
            was = before.defaults.get(name, False)
            yield name, was if key in served.quarantined else name in served.defaults
