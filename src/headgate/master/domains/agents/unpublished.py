"""Knows which versions of agents this database never published. After a restore of an older one,
agents come with revisions that were lost, and their numbers are given again to others."""

from collections import OrderedDict
from dataclasses import replace
from typing import Final, NamedTuple

from headgate.fleet.frames import Held, Hello, Version
from headgate.master.domains.agents.rows import Rows
from headgate.master.domains.agents.store import AgentRow
from headgate.master.domains.revisions import store as revisions
from headgate.master.once import Once
from headgate.master.store.database import Database
from headgate.master.store.scope import MASTER

_REVISIONS: Final = 1_024


class _Published(NamedTuple):
    """A number that a fleet has given. `id` empty: the revision was removed, and its hash is not
    known any more; `hash` empty: nodes have their own."""

    id: str
    hash: str


class Unpublished:
    """Of each agent that is here, what it held when it came and no revision of its fleet is.
    Everything that it holds later it was offered. Belongs to one event loop."""

    def __init__(self, database: Database, rows: Rows) -> None:
        self._database = database
        self._rows = rows
        self._of: dict[str, frozenset[Version]] = {}
        self._known: OrderedDict[tuple[str, int], _Published] = OrderedDict()
        self._reading: Once[_Published | None] = Once()

    async def joined(self, agent_id: str, hello: Hello) -> Hello:
        """Returns what the agent says without what it says of such versions; raises
        StoreUnavailableError."""
        found = await self._found(agent_id, hello)
        if not found:
            self._of.pop(agent_id, None)
            return hello
        self._of[agent_id] = found
        held = self.without(agent_id, hello.held)
        return replace(
            hello, held=held, last_fault=None if hello.fault_of in found else hello.last_fault
        )

    def left(self, agent_id: str) -> None:
        """Forgets an agent."""
        self._of.pop(agent_id, None)

    def has(self, agent_id: str, version: Version) -> bool:
        """Says whether the agent came with this version, and it was not published."""
        return version in self._of.get(agent_id, ())

    def offered(self, agent_id: str, version: Version) -> None:
        """The agent is to serve this version, which has been published with the same content."""
        if self.has(agent_id, version):
            self._of[agent_id] -= {version}

    def without(self, agent_id: str, held: Held) -> Held:
        """Returns what an agent holds, without such versions."""
        found = self._of.get(agent_id)
        if not found:
            return held
        return replace(
            held,
            acknowledged=None if held.acknowledged in found else held.acknowledged,
            applied=None if held.applied in found else held.applied,
            serving=None if held.serving in found else held.serving,
            refused=None if held.refused in found else held.refused,
        )

    async def _found(self, agent_id: str, hello: Hello) -> frozenset[Version]:
        held = hello.held
        versions = {held.acknowledged, held.applied, held.serving, held.refused, hello.fault_of}
        named = [one for one in versions if one is not None]
        row = await self._rows.find(agent_id) if named else None
        if row is None or held.scope != row.fleet:
            return frozenset()  # what it holds of another fleet counts for nothing anyway
        return frozenset([one for one in named if not await self._is_published(row, one)])

    async def _is_published(self, agent: AgentRow, version: Version) -> bool:
        key = (agent.fleet, version.revision)
        found = self._known.get(key) or await self._reading.do(key, lambda: self._read(*key))
        if found is None:
            return False
        if not found.id:
            return True
        if found.hash:
            return found.hash == version.hash
        async with self._database.read(MASTER) as tx:
            own = await revisions.node_manifest(tx, found.id, agent.id)
        return own is not None and own.hash == version.hash

    async def _read(self, fleet_id: str, number: int) -> _Published | None:
        async with self._database.read(MASTER) as tx:
            signed = await revisions.numbered(tx, fleet_id, number)
            newest = await revisions.newest(tx, fleet_id) if signed is None else signed
        if newest is None or newest.number < number:
            return None
        if signed is None:
            found = _Published("", "")
        else:
            found = _Published(signed.id, signed.hash if signed.recipes is None else "")
        self._known[fleet_id, number] = found
        if len(self._known) > _REVISIONS:
            self._known.popitem(last=False)
        return found
