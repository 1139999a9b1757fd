"""Writes what agents say: whoever speaks while a transaction is under way shares the next one.

So thousands of agents cost the database a few transactions a second, and what was written is on
disk when the caller goes on.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from headgate.fleet.frames import Notices, UpgradeEnded
from headgate.fleet.master_events import AgentReport
from headgate.master.domains.agents import store, telling, upgrading
from headgate.master.domains.agents.ending import EndedUpgrades
from headgate.master.domains.agents.store import CONNECTED, Standing
from headgate.master.domains.agents.telling import Detail, Said
from headgate.master.domains.events import store as events
from headgate.master.domains.events.types import News
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

BEATS_WAIT_S: Final = 1.0
"""How long heartbeats wait for others; everything else is written at once."""

Standings = dict[str, Standing]


@dataclass
class _Batch:
    joins: list[str] = field(default_factory=list)
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    ends: list[tuple[str, int]] = field(default_factory=list)
    said: Said = field(default_factory=Said)
    ended: dict[str, UpgradeEnded] = field(default_factory=dict)
    urgent: asyncio.Event = field(default_factory=asyncio.Event)
    done: "asyncio.Future[list[int]]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class Writing:
    """Collects what agents say, and writes it; lives in one loop."""

    def __init__(
        self, database: Database, clock: Clock, stands: Callable[[Standings], None]
    ) -> None:
        """`stands` is told, after each transaction, how the agents stand that it was about."""
        self.told: Callable[[str], None] = _nobody
        """Called with the id of each workspace in which events were written."""
        self.upgrades = EndedUpgrades()
        """The orders to upgrade that agents ended."""
        self._database = database
        self._clock = clock
        self._stands = stands
        self._batch: _Batch | None = None
        self._task: asyncio.Task[None] | None = None

    async def join(
        self, agent_id: str, values: dict[str, object], ended: UpgradeEnded | None = None
    ) -> int:
        """Begins a session: keeps what the agent says, and returns its fence."""
        batch = self._open(is_urgent=True)
        if ended is not None:
            batch.ended[agent_id] = ended
        place = len(batch.joins)
        batch.joins.append(agent_id)
        batch.values.setdefault(agent_id, {}).update(values)
        if isinstance(starts := values.get("failed_starts"), int):
            batch.said.failing[agent_id] = starts
        return (await asyncio.shield(batch.done))[place]

    async def keep(
        self, agent_id: str, values: dict[str, object], *, is_urgent: bool = True
    ) -> None:
        """Keeps what an agent says."""
        batch = self._open(is_urgent=is_urgent)
        batch.values.setdefault(agent_id, {}).update(values)
        await asyncio.shield(batch.done)

    def ended(self, agent_id: str, ended: UpgradeEnded) -> None:
        """Keeps, with what is kept next, that an agent's order to upgrade has ended."""
        self._open(is_urgent=True).ended[agent_id] = ended

    async def report(
        self, agent_id: str, values: dict[str, object], report: AgentReport | None
    ) -> None:
        """Keeps how far an agent is, and tells those who watch of the report."""
        batch = self._open(is_urgent=True)
        batch.values.setdefault(agent_id, {}).update(values)
        if report is not None:
            batch.said.add(agent_id, report)
        await asyncio.shield(batch.done)

    async def notice(self, agent_id: str, notices: Notices) -> None:
        """Tells those who watch what an agent noticed."""
        batch = self._open(is_urgent=True)
        batch.values.setdefault(agent_id, {}).update(seen_at=self._clock())
        batch.said.notices += [(agent_id, one) for one in notices.notices]
        dropped = batch.said.dropped
        dropped[agent_id] = dropped.get(agent_id, 0) + notices.dropped
        await asyncio.shield(batch.done)

    async def drift(self, agent_id: str, values: dict[str, object], detail: Detail | None) -> None:
        """Keeps how an agent drifts, and tells those who watch of what is new about it."""
        batch = self._open(is_urgent=True)
        batch.values.setdefault(agent_id, {}).update(values)
        if detail is not None:
            batch.said.drifts[agent_id] = detail
        await asyncio.shield(batch.done)

    async def end(self, agent_id: str, fence: int) -> None:
        """Ends the session with this fence."""
        batch = self._open(is_urgent=True)
        batch.ends.append((agent_id, fence))
        await asyncio.shield(batch.done)

    def _open(self, *, is_urgent: bool) -> _Batch:
        if self._batch is None:
            self._batch = _Batch()
        if is_urgent:
            self._batch.urgent.set()
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())
        return self._batch

    async def _work(self) -> None:
        try:
            while (batch := self._batch) is not None:
                with suppress(TimeoutError):
                    async with asyncio.timeout(BEATS_WAIT_S):
                        await batch.urgent.wait()
                self._batch = None
                await self._write(batch)
        finally:
            self._task = None

    async def _write(self, batch: _Batch) -> None:
        now_ms = self._clock()
        try:
            written = await self._database.write(MASTER, lambda tx: _written(tx, batch, now_ms))
        except Exception as error:  # whoever waits for this batch gets it
            batch.done.set_exception(error)
            batch.done.exception()  # they may have left
            return
        batch.done.set_result(written.fences)
        stood = written.standings
        ends = [(end, stood[agent].upgrade_order) for agent, end in batch.said.upgrades]
        self.upgrades.add(ends, now_ms)
        self._stands(written.standings)
        for workspace_id in written.workspaces:
            self.told(workspace_id)


class _Written(NamedTuple):
    fences: list[int]
    standings: Standings
    workspaces: list[str]


async def _written(tx: Transaction, batch: _Batch, now_ms: int) -> _Written:
    batch.said.upgrades.clear()  # of a transaction that was undone, and is carried out again
    # In one order everywhere, so that two masters do not wait for each other.
    ids = sorted({*batch.values, *(agent for agent, _ in batch.ends)})
    standings = await store.standings(tx, ids, is_locked=True)
    fences: list[int] = []
    last = {agent: one.fence for agent, one in standings.items()}
    told = {agent: one.told for agent, one in standings.items()}
    for agent in batch.joins:
        # Agents remember fences: after a restore of an older database theirs would be ahead.
        last[agent] = max(last.get(agent, 0) + 1, now_ms)
        told[agent] = CONNECTED
        fences.append(last[agent])
    spoke = {
        agent: standings[agent].having(said)
        for agent, said in batch.values.items()
        if agent in standings
    }
    rows: dict[str, dict[str, object]] = {}
    for agent in sorted(spoke):
        end = upgrading.ended(spoke[agent], batch.ended.get(agent))
        row: dict[str, object] = {"fence": last[agent], "told": told[agent]}
        if end is not None:
            batch.said.upgrades.append((agent, end))
            row |= upgrading.columns(end)
            spoke[agent] = spoke[agent].having(row)
        since = standings[agent].failing_since
        if since is not None and batch.values[agent].get("failing_since") is not None:
            row["failing_since"] = since  # it fails on
        rows[agent] = batch.values[agent] | row
    await store.said_by_all(tx, rows)
    for agent, fence in batch.ends:
        await store.left(tx, agent, fence)
    news = telling.news_of(spoke, batch.joins, batch.said)
    return _Written(fences, spoke, await tell(tx, news, now_ms))


async def tell(
    tx: Transaction, news: Mapping[tuple[str, str], list[News]], now_ms: int
) -> list[str]:
    """Adds events, by organisation and workspace; returns the ids of the workspaces."""
    for owner in sorted(news):
        await events.append_all(tx.within(Scope(*owner)), news[owner], now_ms)
    return [workspace_id for _, workspace_id in news]


def _nobody(workspace_id: str) -> None:
    del workspace_id
