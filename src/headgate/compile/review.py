"""Collects all errors of a config as diagnostics, in the order of the text."""

from collections.abc import Iterable, Mapping

from headgate.compile.certified import uncertified
from headgate.compile.claims import unclaimed
from headgate.compile.clientauth import served_without
from headgate.compile.crosscheck import (
    Meant,
    dangling,
    hedged_over_http2,
    mirrored_to_itself,
    raw_paths,
    taken_twice,
)
from headgate.compile.limit_stores import without_store
from headgate.compile.logged_credentials import logged_credentials
from headgate.compile.node import NodeUnit
from headgate.compile.resolved import Ref
from headgate.compile.sources import EntryKey, Source, Sources, Trust
from headgate.compile.table import UnitTable
from headgate.compile.tcp import misattached
from headgate.compile.toplevel import meant
from headgate.compile.udp import misattached_udp
from headgate.kernel.diagnostics import Diagnostic, Severity, dotted, has_errors
from headgate.kernel.nearest import nearest
from headgate.model.config import SECTION_OF, SECTIONS, TOP_LEVEL
from headgate.model.node import DEFAULT_ADMIN
from headgate.model.problems import Problem
from headgate.model.text import position
from headgate.plan.kinds import Kind
from headgate.plan.plan import PlanEntry

Stray = Mapping[EntryKey, list[tuple[Source, Problem]]]


class Review:
    """Checks the entries that changed and those that had errors before."""

    def __init__(self) -> None:
        self._dangling: dict[EntryKey, list[tuple[Ref, Problem]]] = {}
        self._checked: set[EntryKey] = set()
        self.blamed: dict[EntryKey, list[Problem]] | None = {}
        """The errors of the last check by the entry that has them, if a provider wrote each of
        these; None if some error is not that of such an entry."""

    def diagnostics(
        self, sources: Sources, table: UnitTable, node: NodeUnit, stray: Stray
    ) -> tuple[Diagnostic, ...]:
        """Returns every diagnostic, ordered by file, line and column.

        References between objects are not checked while a document cannot be read at all: it may
        define the objects that they name.
        """
        self._look(table)
        found = [p for unit in table.troubled.values() for p in unit.problems]
        found += node.problems
        is_whole = not has_errors(sources.wrong)
        if is_whole:
            known = _meant(stray)
            refs = (pair for pairs in self._dangling.values() for pair in pairs)
            found += [p for ref, p in refs if not _is_meant(known, ref)]
        found += taken_twice(table.addresses(), _own_addresses(node, stray, is_whole=is_whole))
        routes = [u.plan for key in self._checked if (u := table.units.get(key)) and u.plan]
        found += raw_paths(routes, table.view())
        found += hedged_over_http2(routes, table.view())
        found += mirrored_to_itself(routes)
        found += without_store(routes, node.plan)
        # What a provider's object asks for is `(secret)`: it cannot make the node's settings wrong.
        found += logged_credentials(_own(sources, table), node.plan)
        if is_whole:
            found += served_without(table.entries, table.view())
            found += uncertified(table.entries, table.view(), routes)
            found += unclaimed(table.entries, table.view(), routes)
            found += misattached(table.entries, table.view())
            found += misattached_udp(table.entries, table.view())
        self.blamed = _blamed(sources, table, found)
        out = [source.diagnostic(p) for pairs in stray.values() for source, p in pairs]
        out += [d for key in sources.shared for d in _twice(sources, key)]
        out += [_twin(sources, *pair) for pair in table.twins()]
        if is_whole and not table.may_have_default_listener() and "listener" not in _meant(stray):
            out += _unserved(sources, table)
        if not is_whole or has_errors(out):
            self.blamed = None
        return tuple(sorted([*out, *sources.wrong, *_located(sources, table, found)]))

    def _look(self, table: UnitTable) -> None:
        """Checks the references of changed entries; of all entries if a name came or went."""
        if table.names_changed:
            self._dangling.clear()
        get, wrong, checked = table.units.get, self._dangling, self._checked
        known = Meant(table.names)
        right: tuple[Ref, ...] = ()
        for key in {**table.units, **table.touched} if table.names_changed else table.touched:
            unit = get(key)
            if unit is not None and unit.is_crosschecked:
                checked.add(key)
            elif checked:
                checked.discard(key)
            # Entries that were compiled together often share one tuple of references.
            if unit is not None and unit.refs is not right:
                if found := dangling(unit, key[1], known):
                    wrong[key] = found
                    continue
                right = unit.refs
            if wrong:
                wrong.pop(key, None)
        table.settle()


def _own_addresses(node: NodeUnit, stray: Stray, *, is_whole: bool) -> dict[str, str]:
    """Returns the node's addresses; the default one only where nothing misread may replace it."""
    own = dict(node.addresses)
    is_meant = any(s not in TOP_LEVEL and nearest(s, TOP_LEVEL) == "node" for s, _ in stray)
    if node.has_default_admin and is_whole and not is_meant:
        own[DEFAULT_ADMIN] = "node.admin"
    return own


def _located(sources: Sources, table: UnitTable, found: Iterable[Problem]) -> Iterable[Diagnostic]:
    written = table.written()
    for problem in found:
        section, name = problem.path[0], str(problem.path[1]) if len(problem.path) > 1 else ""
        key = (str(section), written.get((str(section), name), name))
        source = sources.owner(key) or next(iter(sources), None)
        if source is not None:
            yield source.diagnostic(problem)


def _blamed(
    sources: Sources, table: UnitTable, found: Iterable[Problem]
) -> dict[EntryKey, list[Problem]] | None:
    """Returns errors by their entry; None if one is not that of an entry that a provider wrote."""
    written = table.written()
    blamed: dict[EntryKey, list[Problem]] = {}
    for problem in found:
        if problem.severity is not Severity.ERROR:
            continue
        section, name = str(problem.path[0]), str(problem.path[1]) if len(problem.path) > 1 else ""
        key = (section, written.get((section, name), name))
        owner = sources.owner(key)
        is_ours = owner is not None and owner.trust is Trust.QUARANTINE
        if not is_ours or section not in SECTIONS or key not in table.units:
            return None
        blamed.setdefault(key, []).append(problem)
    return blamed


def _own(sources: Sources, table: UnitTable) -> Iterable[PlanEntry]:
    """Yields the objects that no provider wrote."""
    written = table.written()
    for one in table.view().values():
        section, name = SECTION_OF[one.key.kind], str(one.key.name)
        owner = sources.owner((section, written.get((section, name), name)))
        if owner is None or owner.trust is not Trust.QUARANTINE:
            yield one


def _meant(stray: Stray) -> dict[Kind, set[str]]:
    """Returns names of objects below a misspelled section;
    "" stands for a section of the wrong type.

    An entry that refers to them is not at fault.
    """
    out: dict[Kind, set[str]] = {}
    for section, name in stray:
        near = section if section in SECTIONS else meant(section)
        if near is not None:
            out.setdefault(SECTIONS[near].kind, set()).add(name)
    return out


def _is_meant(known: Mapping[Kind, set[str]], ref: Ref) -> bool:
    names = known.get(ref.kind, ())
    return ref.name in names or "" in names


def _unserved(sources: Sources, table: UnitTable) -> list[Diagnostic]:
    """Returns one error for all routes of the default listeners if there is no default listener."""
    if table.names["listener"]:
        allowed = "write `listeners` here, or `default = true` on a listener"
    else:
        allowed = 'define [listeners.NAME] with `address = "127.0.0.1:8000"` and `default = true`'
    keys = table.taking_defaults()
    others = f", nor {len(keys) - 1} others" if len(keys) > 1 else ""
    what = f"no listener serves the route{others}"
    found = [
        source.diagnostic(Problem(key, what, allowed, "key"))
        for key in keys
        if (source := sources.owner(key)) is not None
    ]
    return [min(found)] if found else []


def _twice(sources: Sources, key: EntryKey) -> Iterable[Diagnostic]:
    """Returns one error per further definition of a name, naming the place of the first."""
    if key[1] == "" or (key[0] not in SECTIONS and key[0] != "node"):
        return
    first, *others = sources.owners(key)
    for other in others:
        yield other.diagnostic(_already(dotted(key), first, key))


def _twin(sources: Sources, key: EntryKey, holder: EntryKey) -> Diagnostic:
    """Returns the error for one name written in two ways, at the place of the later one."""
    order = {source.path: at for at, source in enumerate(sources)}

    def written_at(entry: EntryKey) -> tuple[int, int, int]:
        source = sources.owners(entry)[0]
        place = position(source.document, entry, "key") if source.document else (0, 0)
        return (order[source.path], *place)

    first, later = sorted((key, holder), key=written_at)
    problem = _already(dotted(first), sources.owners(first)[0], first)
    return sources.owners(later)[0].diagnostic(
        Problem(later, problem.message, problem.allowed, "key")
    )


def _already(what: str, first: Source, key: EntryKey) -> Problem:
    place = first.name
    if first.document is not None:
        line, column = position(first.document, key, "key")
        place = f"{first.name}:{line}:{column}"
    return Problem(key, f"{what} is already defined at {place}", "remove one of the two", "key")
