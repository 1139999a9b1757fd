"""Makes long slots out of short ones as they get older, and forgets what is older than a day."""

import asyncio
from functools import partial
from typing import Final

import structlog

from headgate.master.domains.metrics import store, thinning
from headgate.master.domains.metrics.growth import Slot
from headgate.master.domains.metrics.thinning import LENGTHS, LEVELS, Level
from headgate.master.store.errors import RefusedError, StoreUnavailableError, TakenError
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction
from headgate.master.upkeep import World

LEASE: Final = "metrics"
AT_ONCE: Final = 1_000
"""Rows that one transaction is about; more than a node has in one slot."""
_LEASE_MS: Final = 600_000
_INTERVAL_S: Final = 60.0

_log = structlog.get_logger()


class Thinner:
    """Thins the figures of all fleets once a minute; one master of the database does it."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL_S)
            try:
                await self.once()
            except (StoreUnavailableError, TakenError) as error:
                _log.warning("older fleet metrics wait for the database", reason=str(error))
            except Exception:  # the next minute may do better
                _log.exception("older fleet metrics were not thinned")

    async def once(self) -> bool:
        """Thins all that is due; False if another master is at it."""
        world = self._world
        lease = await world.leases.acquire(LEASE, world.holder, _LEASE_MS)
        if lease is None:
            return False
        try:
            now_ms = world.clock()
            try:
                for level in LEVELS:
                    await self._thin(level, thinning.due(level, now_ms))
            finally:  # whatever could not be thinned
                for length in LENGTHS:
                    await self._forget(length, thinning.gone(now_ms))
        finally:
            await world.leases.release(lease)
        return True

    async def _thin(self, level: Level, before: int) -> None:
        since = 0
        while True:
            async with self._world.database.read(MASTER) as tx:
                first = await store.oldest(tx, level.length, before, since)
            if first is None:
                return
            slot = Slot(level.into, first // level.into * level.into)
            await self._fill(level, slot)
            since = slot.at + slot.length

    async def _fill(self, level: Level, slot: Slot) -> None:
        """Makes one slot out of shorter ones. If these cannot be added up they stay, until they
        are forgotten, and hold up no other slot."""
        has_more = True
        try:
            while has_more:
                work = partial(_merge, level=level, into=slot)
                has_more = await self._world.database.write(MASTER, work)
        except (RefusedError, TakenError) as error:
            _log.warning("fleet metrics were not thinned", at=slot.at, reason=str(error))
        except StoreUnavailableError:
            raise
        except Exception:
            _log.exception("fleet metrics were not thinned", at=slot.at)

    async def _forget(self, length: int, before: int) -> None:
        removed = 1
        while removed:
            removed = await self._world.database.write(
                MASTER, lambda tx: store.forget(tx, length, before, AT_ONCE)
            )


async def _merge(tx: Transaction, level: Level, into: Slot) -> bool:
    """Makes one slot out of the shorter ones in it, for some nodes; whether there are more."""
    rows = await store.between(tx, level.length, into.at, into.at + into.length, AT_ONCE)
    is_full = len(rows) == AT_ONCE
    if is_full:  # of its last node there may be more
        rows = [row for row in rows if row.node != rows[-1].node]
    there = await store.of_slots(tx, sorted({row.node for row in rows}), [into])
    every = [*rows, *there]
    owners = {row.node: row.owner for row in every}
    sums = thinning.merged(((row.node, row.slot, row.tally) for row in every), into.length)
    await store.remove(tx, every)
    await store.insert(tx, {(owners[node], slot): tally for (node, slot), tally in sums.items()})
    return is_full
