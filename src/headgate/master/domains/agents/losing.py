"""Finds agents whose session ended and did not come back, and tells those who watch. Whichever
master looks first tells it: what was told is kept with the agent."""

import asyncio
from typing import Final

import structlog

from headgate.master.domains.agents import standings, store, telling, writing
from headgate.master.domains.agents.store import AWAY_AFTER_MS, LOST
from headgate.master.domains.events.feed import Feeds
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import StoreUnavailableError, TakenError
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

_INTERVAL_S: Final = 5.0


class Losing:
    """Looks for agents that are gone."""

    def __init__(self, database: Database, feeds: Feeds, clock: Clock) -> None:
        self._database = database
        self._feeds = feeds
        self._clock = clock

    async def run(self) -> None:
        """Looks until it is cancelled; first once agents had time to come to a new master."""
        await asyncio.sleep(AWAY_AFTER_MS / 1_000)
        while True:
            try:
                await self.look()
            except (StoreUnavailableError, TakenError) as error:
                structlog.get_logger().warning("lost agents wait", reason=str(error))
            await asyncio.sleep(_INTERVAL_S)

    async def look(self) -> None:
        """Tells of those that are gone now."""
        now_ms = self._clock()
        async with self._database.read(MASTER) as tx:
            gone = await store.silent(tx, now_ms)
        if not gone:
            return
        told = await self._database.write(MASTER, lambda tx: self._told(tx, gone, now_ms))
        for workspace_id in told:
            self._feeds.tell(workspace_id)

    async def _told(self, tx: Transaction, gone: list[str], now_ms: int) -> list[str]:
        found = await standings.found(tx, gone, is_locked=True)
        still = [one for one in found.values() if one.is_silent(now_ms)]
        await store.said_by_all(tx, {one.id: {"told": LOST} for one in still})
        return await writing.tell(tx, telling.lost(still), now_ms)
