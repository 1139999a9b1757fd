"""Keeps what nodes say of their traffic: heartbeats leave it here and go on; it is written for
many nodes at once, every few seconds."""

import asyncio
from collections.abc import Mapping
from typing import Final

import structlog

from headgate.fleet.frames import Heartbeat
from headgate.master.domains.agents import standings as agents
from headgate.master.domains.metrics import store
from headgate.master.domains.metrics.growth import (
    Counters,
    Slot,
    counters_of,
    grown,
    is_newer,
    slots,
)
from headgate.master.domains.metrics.store import Owner
from headgate.master.domains.metrics.tally import Tally, added
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import RefusedError, StoreUnavailableError, TakenError
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

AT_ONCE: Final = 100
"""Nodes that one transaction is about: SQLite has one writer, and people wait behind it."""
_INTERVAL_S: Final = 5.0
_TRIES: Final = 3

_log = structlog.get_logger()

Tallies = dict[tuple[str, Slot], tuple[Owner, list[Tally]]]
"""The tallies to be stored, by node and slot."""


class Recorder:
    """Keeps the newest counters of each node until they are written. What waits is bounded by the
    number of nodes, and counters that were replaced before they were written lose nothing."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._waiting: dict[str, Counters] = {}

    @property
    def waiting(self) -> int:
        """The number of nodes that have figures that are not written yet."""
        return len(self._waiting)

    def add(self, agent: str, beat: Heartbeat) -> None:
        """Takes a heartbeat; returns at once."""
        said = counters_of(beat, self._clock())
        if said is not None and is_newer(self._waiting.get(agent), said):
            self._waiting[agent] = said

    async def run(self) -> None:
        """Writes until it is cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL_S)
            try:
                await self.flush()
            except (StoreUnavailableError, TakenError) as error:
                _log.warning("fleet metrics wait for the database", reason=str(error))
            except Exception:  # the next time may do better; nothing that waits is lost
                _log.exception("fleet metrics were not written")

    async def flush(self) -> None:
        """Writes what waits; raises StoreUnavailableError, TakenError."""
        waiting = sorted(self._waiting)
        for start in range(0, len(waiting), AT_ONCE):
            part = {agent: self._waiting[agent] for agent in waiting[start : start + AT_ONCE]}
            await self._write_or_drop(part)
            for agent, said in part.items():
                if self._waiting[agent] is said:
                    del self._waiting[agent]

    async def _write_or_drop(self, said: Mapping[str, Counters]) -> None:
        """Writes the figures of these nodes, without those that the database would never keep."""
        try:
            await self._write(said)
        except RefusedError as error:
            if len(said) > 1:
                for agent, one in said.items():
                    await self._write_or_drop({agent: one})
                return
            _log.error("figures of a node are refused", agent=next(iter(said)), reason=str(error))

    async def _write(self, said: Mapping[str, Counters]) -> None:
        for _ in range(_TRIES - 1):
            try:
                await self._database.write(MASTER, lambda tx: _written(tx, said))
                return
            except TakenError:
                continue  # another master added to the same slot of a fleet
        await self._database.write(MASTER, lambda tx: _written(tx, said))


async def _written(tx: Transaction, said: Mapping[str, Counters]) -> None:
    names = list(said)
    standings = await agents.found(tx, names)
    known = await store.counters(tx, names)
    newer = {
        agent: one
        for agent, one in said.items()
        if agent in standings and is_newer(known.get(agent), one)
    }
    tallies: Tallies = {}
    for agent, one in newer.items():
        growth = grown(known.get(agent), one)
        if growth is None:
            continue
        standing = standings[agent]
        scope = Scope(standing.organisation_id, standing.workspace_id)
        for slot, tally in slots(growth).items():
            for node in (agent, standing.fleet):
                owner = Owner(scope, standing.fleet, node)
                tallies.setdefault((node, slot), (owner, []))[1].append(tally)
    await _add(tx, tallies)
    await store.keep_counters(tx, newer, known)


async def _add(tx: Transaction, tallies: Tallies) -> None:
    """Adds to the slots, and to what is there of them."""
    nodes = sorted({node for node, _ in tallies})
    there = await store.of_slots(tx, nodes, {slot for _, slot in tallies})
    changed = [row for row in there if (row.node, row.slot) in tallies]
    for row in changed:
        key = (row.node, row.slot)
        # An agent that moved within the slot stays in the fleet that it was in.
        tallies[key] = (row.owner, [*tallies[key][1], row.tally])
    await store.remove(tx, changed)
    await store.insert(
        tx, {(owner, slot): added(some) for (_, slot), (owner, some) in tallies.items()}
    )
