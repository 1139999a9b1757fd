"""Reads the rows of agents: whoever asks while a read waits or is under way shares the next one.

So thousands of agents that are woken or connect at once cost the database a few reads.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from headgate.master.domains.agents import store
from headgate.master.store.database import Database
from headgate.master.store.scope import MASTER

READS_WAIT_S: Final = 0.02
"""The time that a read waits for further requests to join it."""


@dataclass
class _Batch:
    ids: dict[str, None] = field(default_factory=dict)
    done: "asyncio.Future[Mapping[str, store.AgentRow]]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Rows:
    """Finds agents by their ids, as they are when it is asked or later; lives in one loop."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._batch: _Batch | None = None
        self._task: asyncio.Task[None] | None = None

    async def find(self, agent_id: str) -> store.AgentRow | None:
        """Returns an agent; raises StoreUnavailableError."""
        batch = self._batch
        if batch is None:
            batch = self._batch = _Batch()
        batch.ids[agent_id] = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        return (await asyncio.shield(batch.done)).get(agent_id)

    async def _work(self) -> None:
        try:
            while (batch := self._batch) is not None:
                await asyncio.sleep(READS_WAIT_S)
                self._batch = None
                try:
                    async with self._database.read(MASTER) as tx:
                        found = await store.found(tx, list(batch.ids))
                except Exception as error:  # whoever waits for this read gets it
                    batch.done.set_exception(error)
                    batch.done.exception()  # they may have left
                else:
                    batch.done.set_result(found)
        finally:
            self._task = None
