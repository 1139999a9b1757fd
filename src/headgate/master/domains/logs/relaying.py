"""Searches logs of agents that have their session with another master of the same database.

A search is a row that each master looks for; whoever has some of its agents asks these and adds one
row with what they found. SQLite has one master alone, and none of this.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from headgate.fleet.searches import LogLine, LogLines, LogSearch
from headgate.fleet.signing import Bind
from headgate.master.domains.agents import standings
from headgate.master.domains.agents.store import AgentName
from headgate.master.domains.enrolment.authority import FleetAuthority
from headgate.master.domains.logs import store
from headgate.master.domains.logs.merging import Outcome, merged
from headgate.master.domains.logs.types import FoundLogs
from headgate.master.fleet.hub import LiveHub
from headgate.master.fleet.searching import PATIENCE_S, SearchError
from headgate.master.ids import SKEW_MS, Clock, new_id
from headgate.master.store.database import Database
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.scope import MASTER
from headgate.master.store.sealing import Sealer, SealError
from headgate.master.store.transaction import Transaction

_LOOK_S: Final = 0.5
_RETRY_S: Final = 5.0
_SWEEP_S: Final = 60.0
_WAIT_S: Final = PATIENCE_S + 4.0
_KEPT_MS: Final = 600_000
_AT_ONCE: Final = 4
_UNANSWERED: Final = f"no master that has its session answered within {_WAIT_S:g} s"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class World:
    """The parts of a master that a relay uses."""

    database: Database
    sealer: Sealer
    clock: Clock
    hub: LiveHub
    authority: FleetAuthority


async def asked(
    hub: LiveHub, agents: Sequence[AgentName], wanted: LogSearch, bind: Bind
) -> list[Outcome]:
    """Asks agents at once, and returns how it went at each."""

    async def ask(one: AgentName) -> Outcome:
        try:
            return Outcome(one.id, one.name, await hub.search(one.id, wanted, bind))
        except SearchError as error:
            return Outcome(one.id, one.name, state=error.code, why=str(error))

    return list(await asyncio.gather(*(ask(one) for one in agents)))


class Relay:
    """One master's part: asks the others, and answers them while `run` does."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._own: set[str] = set()
        self._taken: set[str] = set()
        self._answering: set[asyncio.Task[None]] = set()

    async def elsewhere(self, agents: Sequence[AgentName]) -> list[AgentName]:
        """Returns those that have a session with another master, as far as the database knows."""
        world = self._world
        if world.database.is_sqlite or not agents:
            return []
        now_ms = world.clock()
        async with world.database.read(MASTER) as tx:
            known = await standings.found(tx, [one.id for one in agents])
        here = {one.id for one in known.values() if one.is_here(now_ms)}
        return [one for one in agents if one.id in here]

    async def asked(self, agents: Sequence[AgentName], wanted: LogSearch) -> list[Outcome]:
        """Has other masters ask these agents; one that no master answers for is silent."""
        if not agents:
            return []
        found: dict[str, Outcome] = {}
        why = _UNANSWERED
        try:
            await self._gather(agents, wanted, found)
        except StoreUnavailableError:
            why = "the database does not answer, by which masters ask each other"
        except (SealError, ValueError):
            why = "what another master answered cannot be read; it may have another key or version"
        silent = (Outcome(one.id, one.name, state="silent", why=why) for one in agents)
        return [found.get(one.agent, one) for one in silent]

    async def _gather(
        self, agents: Sequence[AgentName], wanted: LogSearch, found: dict[str, Outcome]
    ) -> None:
        world = self._world
        now_ms = world.clock()
        ask = new_id(now_ms)
        row: dict[str, object] = {
            "id": ask,
            "agents": msgspec.json.encode({one.id: one.name for one in agents}).decode(),
            "search": world.sealer.seal(msgspec.json.encode(wanted), _context(ask)),
            "until_at": now_ms + int(_WAIT_S * 1_000),
        }
        self._own.add(ask)
        try:
            await world.database.write(MASTER, lambda tx: tx.insert(store.ASKS, **row))
            with suppress(TimeoutError):
                async with asyncio.timeout(_WAIT_S):
                    await self._collect(ask, {one.id: one.name for one in agents}, found)
        finally:
            self._own.discard(ask)
            with suppress(StoreUnavailableError):  # the sweep removes it then
                await world.database.write(MASTER, lambda tx: store.forget(tx, ask))

    async def _collect(
        self, ask: str, agents: Mapping[str, str], found: dict[str, Outcome]
    ) -> None:
        world = self._world
        seen: list[str] = []
        while len(found) < len(agents):
            await asyncio.sleep(_LOOK_S / 2)
            async with world.database.read(MASTER) as tx:
                fresh = await store.answers(tx, ask, seen)
            for answer in fresh:
                seen.append(answer.id)
                body = world.sealer.open(answer.found, _context(ask))
                for one in _outcomes(FoundLogs.model_validate(msgspec.json.decode(body))):
                    if one.agent in agents:
                        found.setdefault(one.agent, one)

    async def run(self) -> None:
        """Answers other masters until it is cancelled."""
        if self._world.database.is_sqlite:
            return
        swept = asyncio.get_running_loop().time()
        try:
            while True:
                await asyncio.sleep(_LOOK_S)
                try:
                    await self.look()
                    if asyncio.get_running_loop().time() - swept > _SWEEP_S:
                        swept = asyncio.get_running_loop().time()
                        await self.sweep()
                except StoreUnavailableError as error:
                    _log.warning("searches of other masters wait", reason=str(error))
                    await asyncio.sleep(_RETRY_S)
                except Exception:  # one search is not answered; the next ones are
                    _log.exception("a search of another master failed")
                    await asyncio.sleep(_RETRY_S)
        finally:
            for task in self._answering:
                task.cancel()

    async def look(self) -> None:
        """Begins to answer what others ask of agents that are here; a few searches at once."""
        world = self._world
        async with world.database.read(MASTER) as tx:
            asks = await store.asks(tx, world.clock() - SKEW_MS)
        self._taken &= {one.id for one in asks}
        for one in asks:
            if one.id in self._own or one.id in self._taken or len(self._answering) >= _AT_ONCE:
                continue
            self._taken.add(one.id)
            agents = msgspec.json.decode(one.agents, type=dict[str, str])
            here = world.hub.connected() & agents.keys()
            if here:
                named = [AgentName(id=agent, name=agents[agent]) for agent in sorted(here)]
                task = asyncio.create_task(self._answered(one, named), name=f"logs {one.id}")
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)

    async def sweep(self) -> None:
        """Removes what a master left behind that died."""
        before_ms = self._world.clock() - _KEPT_MS
        await self._world.database.write(MASTER, lambda tx: store.sweep(tx, before_ms))

    async def _answered(self, one: store.Ask, agents: Sequence[AgentName]) -> None:
        try:
            await self._answer(one, agents)
        except (StoreUnavailableError, SealError, msgspec.DecodeError, UnicodeDecodeError) as error:
            _log.warning("a search of another master is not answered", reason=str(error))

    async def _answer(self, one: store.Ask, agents: Sequence[AgentName]) -> None:
        world = self._world
        opened = world.sealer.open(one.search, _context(one.id))
        wanted = msgspec.json.decode(opened, type=LogSearch)
        async with world.database.read(MASTER) as tx:
            bind = await world.authority.bind(tx)
        outcomes = await asked(world.hub, agents, wanted, bind)
        lines, named = merged(outcomes, wanted.since_ms, wanted.limit)
        found = FoundLogs(lines=lines, agents=named, agents_left_out=0)
        body = msgspec.json.encode(found.model_dump())
        row: dict[str, object] = {
            "id": new_id(world.clock()),
            "ask": one.id,
            "found": world.sealer.seal(body, _context(one.id)),
            "until_at": world.clock(),
        }

        async def write(tx: Transaction) -> None:
            if await store.is_asked(tx, one.id):
                await tx.insert(store.ANSWERS, **row)

        await world.database.write(MASTER, write)


def _context(ask: str) -> str:
    return f"log search {ask}"


def _outcomes(found: FoundLogs) -> list[Outcome]:
    """Returns how it went at each agent of another master; bounded there as an answer is here."""
    lines: dict[str, list[LogLine]] = {}
    for line in found.lines:
        lines.setdefault(line.agent, []).append(LogLine(line.at, line.text))
    outcomes: list[Outcome] = []
    for one in found.agents:
        if one.state not in {"searched", "cut"}:
            outcomes.append(Outcome(one.agent, one.name, state=one.state, why=one.why))
            continue
        its = LogLines(0, tuple(lines.get(one.agent, ())), cut=one.why)
        outcomes.append(Outcome(one.agent, one.name, its))
    return outcomes
