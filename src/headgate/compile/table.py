"""Keeps the units of a config by their entry in the text and by name."""

from collections.abc import Mapping

from headgate.compile.sources import Changed, EntryKey
from headgate.compile.unit import Unit
from headgate.kernel.ids import BlobId, ObjectName
from headgate.kernel.key_sets import KeySetUrl
from headgate.plan.kinds import KINDS, Kind, ObjectKey
from headgate.plan.objects import Listener
from headgate.plan.plan import PlanEntry


class UnitTable:
    """All units, with the indexes that make a single edit cheap."""

    def __init__(self) -> None:
        self.units: dict[EntryKey, Unit] = {}
        self.names: dict[Kind, dict[str, EntryKey]] = {kind: {} for kind in KINDS}
        """Every defined name, with or without errors, and the entry that defines it."""
        self.reading: dict[EntryKey, Unit] = {}
        """Units that refer to files."""
        self.secretive: dict[EntryKey, Unit] = {}
        """Units that hold secrets."""
        self.fetching: dict[EntryKey, Unit] = {}
        """Units that need key sets from elsewhere."""
        self.troubled: dict[EntryKey, Unit] = {}
        """Units with problems."""
        self.renamed: dict[EntryKey, Unit] = {}
        """Units whose canonical name differs from the key in the text (`Api.Example`)."""
        self.touched: Changed = {}
        """Entries that were put or dropped since the last `settle`."""
        self.names_changed = False
        """True if a name was added or removed since the last `settle`."""
        self.known_defaults: Mapping[str, bool] = {}
        """The listeners that were served, and whether routes took them by default: this counts for
        one with a mistake, of which only its last good form may be served."""
        self._entries: dict[ObjectKey, PlanEntry] = {}
        self._changes: dict[ObjectKey, PlanEntry | None] = {}

    def settle(self) -> None:
        """Forgets the changes after their check."""
        self.touched = {}
        self.names_changed = False

    def put_all(self, units: Mapping[EntryKey, Unit]) -> None:
        """Does `put` for many units of one section.

        This is fast unless one of them, or one that it replaces, has problems or is special.
        """
        marked = self._marked()
        plans = {
            key: unit.plan
            for key, unit in units.items()
            if unit.plan is not None
            and not (unit.seen or unit.secrets or unit.key_sets)
            and unit.name == key[1]
        }
        if self.renamed or len(plans) < len(units) or not marked.isdisjoint(units):
            for key, unit in units.items():
                self.put(key, unit)
            return
        section = next(iter(units.values())).section
        names = self.names[section.kind]
        before = len(names)
        names.update(zip([key[1] for key in units], units, strict=True))
        self.names_changed = self.names_changed or len(names) != before
        self.units.update(units)
        self.touched.update(dict.fromkeys(units))
        entries = {plan.key: plan for plan in plans.values()}
        self._entries.update(entries)
        self._changes.update(entries)

    def put(self, key: EntryKey, unit: Unit) -> None:
        """Adds a unit, in place of an earlier one with the same key."""
        before = self.units.get(key)
        if before is not None:
            self._unmark(key)
            if before.name != unit.name:
                self.drop(key)
        self.touched[key] = None
        self.units[key] = unit
        names = self.names[unit.section.kind]
        if unit.name not in names:
            names[unit.name] = key
            self.names_changed = True
        if unit.seen:
            self.reading[key] = unit
        if unit.secrets:
            self.secretive[key] = unit
        if unit.key_sets:
            self.fetching[key] = unit
        if unit.problems:
            self.troubled[key] = unit
        if unit.name != key[1]:
            self.renamed[key] = unit
        if names[unit.name] == key:
            self._enter(unit, unit.plan)

    def _marked(self) -> set[EntryKey]:
        return {key for index in self._indexes() for key in index}

    def _unmark(self, key: EntryKey) -> None:
        for index in self._indexes():
            if index:
                index.pop(key, None)

    def _indexes(self) -> tuple[dict[EntryKey, Unit], ...]:
        return (self.reading, self.secretive, self.fetching, self.troubled, self.renamed)

    def drop(self, key: EntryKey) -> None:
        """Forgets a unit, if there is one."""
        unit = self.units.pop(key, None)
        self.touched[key] = None
        if unit is None:
            return
        self._unmark(key)
        names = self.names[unit.section.kind]
        if names.get(unit.name) == key:
            del names[unit.name]
            self.names_changed = True
            self._enter(unit, None)
            self._restore(unit)

    def _restore(self, gone: Unit) -> None:
        """Puts another entry of the same canonical name in the place of a removed one."""
        same = [(gone.section.key, gone.name)]
        same += [k for k, u in self.renamed.items() if u.name == gone.name]
        for key in same:
            unit = self.units.get(key)
            if unit is not None and unit.section is gone.section:
                self.names[unit.section.kind][unit.name] = key
                self._enter(unit, unit.plan)
                return

    def _enter(self, unit: Unit, plan: PlanEntry | None) -> None:
        if plan is not None:
            self._changes[plan.key] = plan
            self._entries[plan.key] = plan
        else:
            key = ObjectKey(unit.section.kind, ObjectName(unit.name))
            self._changes[key] = None
            self._entries.pop(key, None)

    def twins(self) -> list[tuple[EntryKey, EntryKey]]:
        """Returns entries with different keys and one canonical name:
        (the other, the one that has it).
        """
        out: list[tuple[EntryKey, EntryKey]] = []
        for key, unit in self.renamed.items():
            holder = self.names[unit.section.kind][unit.name]
            plain = (unit.section.key, unit.name)
            if holder != key:
                out.append((key, holder))
            elif plain in self.units:
                out.append((plain, key))
        return out

    def take_changes(self) -> dict[ObjectKey, PlanEntry | None]:
        """Returns the plan objects that were put or deleted since the last call."""
        changes, self._changes = self._changes, {}
        return changes

    def entries(self, kind: Kind) -> list[PlanEntry]:
        """Returns the plan objects of a kind, sorted by name; the cost grows with their number."""
        units = (self.units[key] for _, key in sorted(self.names[kind].items()))
        return [unit.plan for unit in units if unit.plan is not None]

    def addresses(self) -> list[tuple[str, tuple[tuple[int, str], ...]]]:
        """Returns the listeners by name, each with the places of its sockets and
        their indexes in the text.

        A listener with a mistake has those of its addresses that are valid.
        """
        found = []
        for name, key in sorted(self.names["listener"].items()):
            unit = self.units[key]
            value = unit.plan.value if unit.plan is not None else None
            own = tuple(enumerate(value.places)) if isinstance(value, Listener) else ()
            found.append((name, own or unit.addresses))
        return found

    def view(self) -> Mapping[ObjectKey, PlanEntry]:
        """Returns every plan object except the settings; it changes with the table."""
        return self._entries

    def blobs(self) -> dict[BlobId, bytes]:
        """Returns the content of every blob."""
        return {name: b for unit in self.reading.values() for name, b in unit.blobs.items()}

    def secrets(self) -> frozenset[str]:
        """Returns all texts that must not be shown."""
        return frozenset(text for unit in self.secretive.values() for text in unit.secrets)

    def key_sets(self) -> tuple[KeySetUrl, ...]:
        """Returns the key sets that objects need from elsewhere, sorted."""
        return tuple(sorted({one for unit in self.fetching.values() for one in unit.key_sets}))

    def key_set_contents(self) -> dict[str, BlobId | None]:
        """Returns what was read of each of them, by their ids; of one that changed between two
        objects, what no set has.
        """
        found: dict[str, BlobId | None] = {}
        for unit in self.fetching.values():
            for one, content in unit.key_sets.items():
                known = found.setdefault(one.id, content)
                found[one.id] = known if known == content else BlobId("")
        return found

    def written(self) -> dict[EntryKey, str]:
        """Returns the key in the text of each object whose canonical name differs from it."""
        return {(unit.section.key, unit.name): key[1] for key, unit in self.renamed.items()}

    def default_listeners(self) -> tuple[str, ...]:
        """Returns the names of the default listeners, sorted."""
        return tuple(sorted(name for name in self.names["listener"] if self._is_default(name)))

    def _is_default(self, name: str) -> bool:
        unit = self.units[self.names["listener"][name]]
        if unit.plan is None and name in self.known_defaults:
            return self.known_defaults[name]
        return unit.is_default_listener

    def may_have_default_listener(self) -> bool:
        """Reports whether there is a default listener, or one with a mistake that may be one."""
        return any(self.units[key].is_default_listener for key in self.names["listener"].values())

    def taking_defaults(self) -> Changed:
        """Returns the routes of the default listeners."""
        return {key: None for key, unit in self.units.items() if unit.takes_default_listeners}
