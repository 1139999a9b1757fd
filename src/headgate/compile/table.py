"""The units of a config, by their place in the text and by name."""

from collections.abc import Mapping, Sequence

from headgate.compile.sources import Changed, EntryKey
from headgate.compile.unit import Unit
from headgate.kernel.ids import BlobId, ObjectName
from headgate.plan.kinds import KINDS, Kind, ObjectKey
from headgate.plan.plan import PlanEntry


class UnitTable:
    """Every unit, and the indexes that make one edit cheap."""

    def __init__(self) -> None:
        self.units: dict[EntryKey, Unit] = {}
        self.names: dict[Kind, dict[str, EntryKey]] = {kind: {} for kind in KINDS}
        """Every defined name, right or wrong, and the entry that defines it."""
        self.reading: dict[EntryKey, Unit] = {}
        """Units that refer to files."""
        self.secretive: dict[EntryKey, Unit] = {}
        """Units that hold secrets."""
        self.troubled: dict[EntryKey, Unit] = {}
        """Units something is wrong with."""
        self.renamed: dict[EntryKey, Unit] = {}
        """Units whose canonical name is not the key in the text (`Api.Example`)."""
        self.touched: Changed = {}
        """Entries put or dropped since the last `settle`."""
        self.names_changed = False
        """Whether a name came or went since the last `settle`."""
        self._entries: dict[ObjectKey, PlanEntry] = {}
        self._changes: dict[ObjectKey, PlanEntry | None] = {}

    def settle(self) -> None:
        """Forgets what changed: it was looked at."""
        self.touched = {}
        self.names_changed = False

    def put_all(self, keys: Sequence[EntryKey], units: Sequence[Unit]) -> None:
        """The same as `put` for each; for sound units of one section with the names of their keys.

        Quick unless something was wrong or special about what was there.
        """
        marked = self._marked()
        if self.renamed or (marked and not marked.isdisjoint(keys)):
            for key, unit in zip(keys, units, strict=True):
                self.put(key, unit)
            return
        names = self.names[units[0].section.kind]
        before = len(names)
        names.update(zip([key[1] for key in keys], keys, strict=True))
        self.names_changed = self.names_changed or len(names) != before
        self.units.update(zip(keys, units, strict=True))
        self.touched.update(dict.fromkeys(keys))
        plans = {unit.plan.key: unit.plan for unit in units if unit.plan is not None}
        self._entries.update(plans)
        self._changes.update(plans)

    def put(self, key: EntryKey, unit: Unit) -> None:
        """Takes a unit in place of what was there."""
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
        if unit.problems:
            self.troubled[key] = unit
        if unit.name != key[1]:
            self.renamed[key] = unit
        if names[unit.name] == key:
            self._enter(unit, unit.plan)

    def _marked(self) -> set[EntryKey]:
        return {*self.reading, *self.secretive, *self.troubled, *self.renamed}

    def _unmark(self, key: EntryKey) -> None:
        for index in (self.reading, self.secretive, self.troubled, self.renamed):
            if index:
                index.pop(key, None)

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
        """Another entry of the same canonical name takes the place of the one that went."""
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
        """Entries written differently that mean one name: (the other, the one that holds it)."""
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
        """The plan objects put and deleted since the last time this was asked."""
        changes, self._changes = self._changes, {}
        return changes

    def entries(self, kind: Kind) -> list[PlanEntry]:
        """The plan objects of a kind, by name; costs a look at each name of the kind."""
        units = (self.units[key] for _, key in sorted(self.names[kind].items()))
        return [unit.plan for unit in units if unit.plan is not None]

    def view(self) -> Mapping[ObjectKey, PlanEntry]:
        """Every plan object but the settings; changes with the table."""
        return self._entries

    def blobs(self) -> dict[BlobId, bytes]:
        """The content of every blob."""
        return {name: b for unit in self.reading.values() for name, b in unit.blobs.items()}

    def secrets(self) -> frozenset[str]:
        """Every text that must not be shown."""
        return frozenset(text for unit in self.secretive.values() for text in unit.secrets)

    def written(self) -> dict[EntryKey, str]:
        """The key in the text of each object whose canonical name is another."""
        return {(unit.section.key, unit.name): key[1] for key, unit in self.renamed.items()}

    def default_listeners(self) -> tuple[str, ...]:
        """The names of the default listeners, sorted."""
        keys = self.names["listener"]
        return tuple(sorted(n for n, key in keys.items() if self.units[key].is_default_listener))

    def taking_defaults(self) -> Changed:
        """The routes that attach to the default listeners."""
        return {key: None for key, unit in self.units.items() if unit.takes_default_listeners}
