"""Drives every rollout of a master: looks at the fleets, asks the machine, stores, wakes agents.

One driver at a time, under a lease; one that comes later continues from what is stored.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

import msgspec
import structlog

from headgate.master.domains.events import store as events
from headgate.master.domains.events.feed import Feeds
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.rollouts import agents, machine, programs, service, store
from headgate.master.domains.rollouts import state as states
from headgate.master.domains.rollouts.events import (
    Alarm,
    Begin,
    Command,
    Event,
    Look,
    Measure,
    Measured,
    Resumed,
    Serve,
)
from headgate.master.domains.rollouts.figures import Figures
from headgate.master.domains.rollouts.freezes import reason_of
from headgate.master.domains.rollouts.hearing import Hearing
from headgate.master.domains.rollouts.service import Moved, MovedError
from headgate.master.domains.rollouts.spec import FORMER_PROGRAM
from headgate.master.domains.rollouts.store import RolloutRow
from headgate.master.domains.rollouts.turn import MAX_STEP_S
from headgate.master.fleet.hub import Hub
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import StoreUnavailableError, TakenError
from headgate.master.store.leases import Lease, Leases, LostLeaseError, require
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

LEASE: Final = "rollouts"
LEASE_MS: Final = 15_000
_INTERVAL_S: Final = 1.0
_KEEP_EVERY_MS: Final = 5_000
_PAST_S: Final = 3600.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class World:
    """The parts of a master that a driver acts on."""

    database: Database
    leases: Leases
    hub: Hub
    feeds: Feeds
    figures: Figures
    clock: Clock


@dataclass(slots=True)
class _Held:
    """A rollout between two looks; its clock runs here and is stored every few seconds."""

    row: RolloutRow
    state: states.Rollout
    kept_at: int


class Driver:
    """Runs rollouts; `holder` names this process among all masters of the database."""

    def __init__(self, world: World, holder: str) -> None:
        self._world = world
        self._holder = holder
        self._lease: Lease | None = None
        self._led_s = 0.0
        self._ticked_at: float | None = None
        self._held: dict[str, _Held] = {}
        self._known: set[str] = set()
        self._stuck: dict[str, str] = {}
        self._hearing = Hearing(world.database, world.hub, world.figures, world.clock)

    async def run(self) -> None:
        """Drives until it is cancelled."""
        while True:
            try:
                await self.tick()
            except (StoreUnavailableError, TakenError) as error:
                # Agents keep what they serve; what was not stored is decided again.
                self._held.clear()
                _log.warning("rollouts wait for the database", error=str(error))
            except Exception:  # whoever drives must not end: nothing else looks at rollouts
                self._held.clear()
                _log.exception("a look at the rollouts failed; the next one follows")
            await asyncio.sleep(_INTERVAL_S)

    async def tick(self) -> None:
        """One look at every rollout that is under way."""
        if not await self._leads():
            self._held.clear()
            return
        self._pass()
        await self._hearing.hear()
        async with self._world.database.read(MASTER) as tx:
            rows = await store.open_ones(tx)
        first: dict[str, RolloutRow] = {}
        for row in rows:
            current = first.get(row.fleet)
            if current is None or (current.phase == "queued" and row.phase != "queued"):
                first[row.fleet] = row
        under_way = {row.id for row in first.values()}
        self._held = {key: one for key, one in self._held.items() if key in under_way}
        self._stuck = {key: one for key, one in self._stuck.items() if key in under_way}
        for row in first.values():
            try:
                await self._drive(row)
                self._stuck.pop(row.id, None)
            except LostLeaseError:
                self._lease = None
                return
            except MovedError:
                # A person gave an order meanwhile: the next look begins with what it made.
                self._held.pop(row.id, None)
            except (StoreUnavailableError, TakenError):
                raise
            except Exception as error:  # one rollout's fault must not keep the others waiting
                self._held.pop(row.id, None)
                await self._tell_stuck(row, error)

    async def _tell_stuck(self, row: RolloutRow, error: Exception) -> None:
        """Logs why a rollout does not go on, and makes it an event; once for each reason."""
        reason = str(error) or type(error).__name__
        if self._stuck.get(row.id) == reason:
            return
        _log.error("a rollout does not go on", rollout=row.id, reason=reason, exc_info=error)
        now_ms = self._world.clock()
        await self._world.database.write(
            row.scope, lambda tx: events.append(tx, "rollouts.stuck", row.id, "", now_ms)
        )
        self._world.feeds.tell(row.workspace_id)
        self._stuck[row.id] = reason

    async def _leads(self) -> bool:
        leases = self._world.leases
        if self._lease is not None and await leases.renew(self._lease, LEASE_MS):
            return True
        self._lease = await leases.acquire(LEASE, self._holder, LEASE_MS)
        # Another driver may have moved what is held here.
        self._held.clear()
        self._known.clear()
        self._led_s, self._ticked_at = 0.0, None
        return self._lease is not None

    def _pass(self) -> None:
        """Counts how long this driver has looked, whatever the clock of the day does."""
        now = self._world.clock() / 1000
        self._world.figures.notice(now)
        if self._ticked_at is not None and 0.0 <= now - self._ticked_at <= MAX_STEP_S:
            self._led_s += now - self._ticked_at
        self._ticked_at = now

    async def _drive(self, row: RolloutRow) -> None:
        held = self._held.get(row.id)
        if held is None or held.row.version != row.version:
            held = await self._taken(row)
        if held.state.phase == "queued":
            await self._tell(held, await self._begin(row))
        look = await self._look(row)
        commands = await self._tell(held, look)
        for command in commands:
            if isinstance(command, Measure):
                await self._tell(held, self._measured(command))
        behind = [one.agent for one in look.agents if one.desired != one.acknowledged]
        # An order to upgrade is repeated with each heartbeat of its agent.
        if behind and row.program is None:
            self._world.hub.wake(behind)

    async def _taken(self, row: RolloutRow) -> _Held:
        held = _Held(row, row.decoded(), self._world.clock())
        self._held[row.id] = held
        is_new = row.id not in self._known
        self._known.add(row.id)
        if is_new:
            await self._tell(held, Resumed(self._led_s))
        return held

    async def _begin(self, row: RolloutRow) -> Begin:
        async with self._world.database.read(row.scope) as tx:
            base = await store.settled(tx, row.fleet) if row.program is None else FORMER_PROGRAM
            return Begin(base, await fleets.approvals_of(tx, row.fleet))

    async def _look(self, row: RolloutRow) -> Look:
        now_ms = self._world.clock()
        async with self._world.database.read(row.scope) as tx:
            return await look_at(tx, row, now_ms)

    def _measured(self, command: Measure) -> Measured:
        now = self._world.clock() / 1000
        figures = self._world.figures
        sample = figures.sample(command.agents, now - command.seconds, now)
        if command.control:
            control = figures.sample(command.control, now - command.seconds, now)
        else:
            # If the clock was set back, the wave began in the future.
            before = min(command.before_at, now - command.seconds)
            control = figures.sample(command.agents, before - _PAST_S, before)
        silent = figures.silent(command.agents, now - min(command.seconds, command.stale_s))
        elsewhere = tuple(sorted({*silent} - self._world.hub.connected()))
        return Measured(command.wave, command.clock_s, now, sample, control, silent, elsewhere)

    async def _tell(self, held: _Held, event: Event) -> list[Command]:
        now_ms = self._world.clock()
        after, commands = machine.handle(held.state, event, now_ms / 1000)
        moved = Moved(held.row, after, commands)
        if is_material(held.state, moved) or now_ms - held.kept_at >= _KEEP_EVERY_MS:
            row = held.row
            moved = await self._world.database.write(
                row.scope, lambda tx: self._kept(tx, row, moved)
            )
            held.kept_at = now_ms
            self._world.feeds.tell(row.workspace_id)
        held.row, held.state = moved.row, moved.state
        for command in commands:
            if isinstance(command, Alarm):
                _log.error("rollout alarm", rollout=held.row.id, text=command.text)
            if isinstance(command, Serve):
                self._world.hub.wake(command.agents)
        return commands

    async def _kept(self, tx: Transaction, row: RolloutRow, moved: Moved) -> Moved:
        if self._lease is None:
            raise LostLeaseError(LEASE)
        await require(tx, self._lease)
        kept = await service.keep(tx, row, moved)
        # Agents first, then events: in the order of those who write what agents say.
        if moved.state.timeline != row.decoded().timeline:
            await events.append(tx, "rollouts.changed", row.id, "", self._world.clock())
        return kept


async def look_at(tx: Transaction, row: RolloutRow, now_ms: int) -> Look:
    """Returns a rollout's fleet as the master knows it now, in the scope of its workspace."""
    unable: tuple[str, ...] = ()
    if row.program is None:
        found = await agents.agents_of(tx, row.fleet, now_ms)
    else:
        found, unable = await programs.agents_of(tx, row.fleet, row.id, row.program, now_ms)
    frozen = reason_of(await store.freezes_at(tx, now_ms), row.fleet, now_ms)
    return Look(now_ms / 1000, tuple(found), frozen, unable)


def is_material(before: states.Rollout, moved: Moved) -> bool:
    """Reports whether an event did more than let time pass; if so, its result is stored before it
    counts."""
    if any(not isinstance(command, Measure) for command in moved.commands):
        return True
    return _timeless(before) != _timeless(moved.state)


def _timeless(state: states.Rollout) -> states.Rollout:
    nodes = {
        name: msgspec.structs.replace(node, waited_s=0.0) for name, node in state.nodes.items()
    }
    waves = tuple(msgspec.structs.replace(wave, verdict=None) for wave in state.waves)
    return msgspec.structs.replace(
        state,
        nodes=nodes,
        waves=waves,
        clock_s=0.0,
        ticked_at=None,
        looked_at=None,
        looked_clock=0.0,
    )
