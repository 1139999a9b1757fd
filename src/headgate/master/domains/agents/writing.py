"""Writes what agents say: whoever speaks while a transaction is under way shares the next one.

So thousands of agents cost the database a few transactions a second. What somebody waits for is on
disk when the caller goes on; nobody waits for heartbeats and reports, so that they cost no more
than their place in a batch.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, NamedTuple

import structlog

from headgate.fleet.frames import Notices, UpgradeEnded
from headgate.fleet.master_events import AgentReport
from headgate.master.domains.agents import standings, store, telling, upgrading
from headgate.master.domains.agents.batch import Batch, Standings
from headgate.master.domains.agents.ending import EndedUpgrades
from headgate.master.domains.agents.store import CONNECTED
from headgate.master.domains.agents.telling import Detail
from headgate.master.domains.events import store as events
from headgate.master.domains.events.types import News
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import RefusedError, StoreUnavailableError
from headgate.master.store.scope import MASTER, Scope
from headgate.master.store.transaction import Transaction

_log = structlog.get_logger()

BEATS_WAIT_S: Final = 1.0
"""The time that heartbeats wait to be written together."""
SESSIONS_WAIT_S: Final = 0.02
"""The time that beginnings and ends of sessions wait to be written together."""
REPORTS_WAIT_S: Final = 0.05
"""The time that reports wait to be written together. Anything else awaited is written at once."""
_REFUSED: Final = -1
"""In the place of the fence of an agent whose words were dropped."""
_AGAIN_S: Final = 2.0
"""The time until words that a store did not take are tried again."""


class _Open(Batch):
    """A batch that takes words, and when it is to be written."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.due = self.loop.time() + BEATS_WAIT_S + _AGAIN_S
        self.sooner = asyncio.Event()
        self.done: asyncio.Future[list[int]] = self.loop.create_future()


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
        self._batch: _Open | None = None
        self._task: asyncio.Task[None] | None = None

    async def join(
        self, agent_id: str, values: dict[str, object], ended: UpgradeEnded | None = None
    ) -> int:
        """Begins a session: keeps what the agent says, and returns its fence."""
        batch = self._open(SESSIONS_WAIT_S)
        if ended is not None:
            batch.ended[agent_id] = ended
        place = batch.join(agent_id, values)
        fence = (await asyncio.shield(batch.done))[place]
        if fence == _REFUSED:
            raise StoreUnavailableError("what the agent says of itself cannot be written")
        return fence

    async def keep(
        self, agent_id: str, values: dict[str, object], *, is_urgent: bool = True
    ) -> None:
        """Keeps what an agent says."""
        batch = self._open(0.0 if is_urgent else BEATS_WAIT_S)
        batch.keep(agent_id, values)
        await asyncio.shield(batch.done)

    def beat(self, agent_id: str, fence: int, values: dict[str, object]) -> None:
        """Keeps soon what an agent says with a heartbeat, in the session with this fence. While
        the store is away it is tried again, until that session has ended."""
        self._open(BEATS_WAIT_S).hear(agent_id, fence, values)

    def report(
        self, agent_id: str, fence: int, values: dict[str, object], report: AgentReport | None
    ) -> None:
        """The same with how far an agent is; tells those who watch of the report."""
        self._open(REPORTS_WAIT_S).hear(agent_id, fence, values, report)

    def ended(self, agent_id: str, ended: UpgradeEnded) -> None:
        """Keeps, with what is kept next, that an agent's order to upgrade has ended."""
        self._open().ended[agent_id] = ended

    async def notice(self, agent_id: str, notices: Notices) -> None:
        """Tells those who watch what an agent noticed."""
        batch = self._open()
        batch.keep(agent_id, {"seen_at": self._clock()})
        batch.said.notices += [(agent_id, one) for one in notices.notices]
        dropped = batch.said.dropped
        dropped[agent_id] = dropped.get(agent_id, 0) + notices.dropped
        await asyncio.shield(batch.done)

    async def drift(self, agent_id: str, values: dict[str, object], detail: Detail | None) -> None:
        """Keeps how an agent drifts, and tells those who watch of what is new about it."""
        batch = self._open()
        batch.keep(agent_id, values)
        if detail is not None:
            batch.said.drifts[agent_id] = detail
        await asyncio.shield(batch.done)

    async def end(self, agent_id: str, fence: int) -> None:
        """Ends the session with this fence."""
        batch = self._open(SESSIONS_WAIT_S)
        batch.ends.append((agent_id, fence))
        await asyncio.shield(batch.done)

    async def settled(self) -> None:
        """Waits until what was said before is written."""
        await asyncio.shield(self._open().done)

    def _open(self, wait_s: float = 0.0) -> _Open:
        """Returns the batch that takes words, which is written within this time."""
        batch = self._batch
        if batch is None:
            batch = self._batch = _Open()
        due = batch.loop.time() + wait_s
        if due < batch.due:
            batch.due = due
            batch.sooner.set()
        if self._task is None:
            self._task = batch.loop.create_task(self._work())
        return batch

    async def _work(self) -> None:
        try:
            while (batch := self._batch) is not None:
                await _until_due(batch)
                self._batch = None
                await self._write(batch)
        finally:
            self._task = None

    async def _write(self, batch: _Open) -> None:
        now_ms = self._clock()
        try:
            written = await self._kept(batch, now_ms)
        except Exception as error:  # whoever waits for this batch gets it
            batch.done.set_exception(error)
            batch.done.exception()  # they may have left
            self._lost(batch, error)
            return
        batch.done.set_result(written.fences)
        stood = written.standings
        ends = [(end, stood[agent].upgrade_order) for agent, end in batch.said.upgrades]
        self.upgrades.add(ends, now_ms)
        self._stands(written.standings)
        for workspace_id in written.workspaces:
            self.told(workspace_id)

    async def _kept(self, batch: Batch, now_ms: int) -> "_Written":
        """Writes a batch. If the database refuses what an agent says, the words of that agent are
        dropped, and those of all others are kept."""
        try:
            return await self._database.write(MASTER, lambda tx: _written(tx, batch, now_ms))
        except RefusedError as error:
            halves = batch.halves()
            if halves is None:
                _log.error(
                    "what an agent said cannot be written", agents=batch.agents, reason=str(error)
                )
                return _Written([_REFUSED] * len(batch.joins), {}, [])
        kept = [(half, await self._kept(half, now_ms)) for half in halves]
        fences: dict[str, list[int]] = {}
        batch.said.upgrades = []
        for half, written in kept:
            batch.said.upgrades += half.said.upgrades
            for agent, fence in zip(half.joins, written.fences, strict=True):
                fences.setdefault(agent, []).append(fence)
        return _Written(
            [fences[agent].pop(0) for agent in batch.joins],
            {agent: one for _, written in kept for agent, one in written.standings.items()},
            [workspace for _, written in kept for workspace in written.workspaces],
        )

    def _lost(self, batch: Batch, error: Exception) -> None:
        """Keeps what nobody waits for until the store is back."""
        if isinstance(error, StoreUnavailableError):
            if batch.fences:
                self._open(_AGAIN_S).take_over(batch)
            return
        _log.error("what agents said cannot be written", agents=len(batch.fences), exc_info=error)


async def _until_due(batch: _Open) -> None:
    while batch.loop.time() < batch.due:
        batch.sooner.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout_at(batch.due):
                await batch.sooner.wait()


class _Written(NamedTuple):
    fences: list[int]
    standings: Standings
    workspaces: list[str]


async def _written(tx: Transaction, batch: Batch, now_ms: int) -> _Written:
    batch.said.upgrades.clear()  # of a transaction that was undone, and is carried out again
    batch.level()
    # In one order everywhere, so that two masters do not wait for each other.
    ids = sorted({*batch.values, *(agent for agent, _ in batch.ends)})
    stood = await standings.found(tx, ids, is_locked=True)
    fences: list[int] = []
    last = {agent: one.fence for agent, one in stood.items()}
    for agent in batch.joins:
        # Agents remember fences: after a restore of an older database theirs would be ahead.
        last[agent] = max(last.get(agent, 0) + 1, now_ms)
        fences.append(last[agent])
    spoke = batch.spoken(stood)
    back: list[str] = []
    rows: dict[str, dict[str, object]] = {}
    for agent in sorted(spoke):
        row = batch.values[agent]
        if last[agent] != stood[agent].fence:
            row = row | {"fence": last[agent], "told": CONNECTED}
        elif stood[agent].is_back(row, now_ms):
            row = row | {"told": CONNECTED}
            back.append(agent)
        end = upgrading.ended(spoke[agent], batch.ended.get(agent))
        if end is not None:
            batch.said.upgrades.append((agent, end))
            row = row | upgrading.columns(end)
            spoke[agent] = spoke[agent].having(row)
        since = stood[agent].failing_since
        if since is not None and row.get("failing_since") is not None:
            row = row | {"failing_since": since}  # it fails on
        rows[agent] = stood[agent].news(row)
    for agent, fence in batch.ends:
        if last.get(agent) == fence:  # else a newer session began
            rows.setdefault(agent, {})["connected_at"] = None
    await store.said_by_all(tx, rows)
    news = telling.news_of(spoke, [*batch.joins, *back], batch.said)
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
