"""Upkeep: removes what has ended long ago, so that no table of the database grows for ever.

One master does it, under a lease. What is served, open or good for proof is never removed.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from headgate.master.domains.audit import store as audit
from headgate.master.domains.join_tokens import store as join_tokens
from headgate.master.domains.revisions import keeping
from headgate.master.domains.revisions.sweeping import sweep
from headgate.master.domains.rollouts import store as rollouts
from headgate.master.domains.sessions import store as sessions
from headgate.master.domains.tokens import store as tokens
from headgate.master.ids import Clock
from headgate.master.store.database import Database
from headgate.master.store.errors import StoreUnavailableError
from headgate.master.store.leases import Leases
from headgate.master.store.scope import MASTER
from headgate.master.store.transaction import Transaction

LEASE: Final = "upkeep"
AT_ONCE: Final = 1_000
"""Rows that one transaction removes: SQLite has one writer, and people wait behind it."""
_DAY_MS: Final = 86_400_000
_LEASE_MS: Final = 600_000
_FIRST_S: Final = 60.0
_INTERVAL_S: Final = 3_600.0

_log = structlog.get_logger()

Forget = Callable[[Transaction, int, int], Awaitable[int]]
"""Removes rows from before a time, so many of a kind at the most; returns how many of the kind
that had most, so that fewer than asked for means that no more are left."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A kind of rows to remove, and how many days after their end."""

    what: str
    days: int
    forget: Forget


def rules(audit_days: int) -> tuple[Rule, ...]:
    """Returns everything that is removed."""
    return (
        Rule("sessions", 7, sessions.forget),
        Rule("API tokens", 90, tokens.forget),
        Rule("join tokens", 90, join_tokens.forget),
        Rule("rollouts", 400, rollouts.forget),
        Rule("rollouts of removed fleets", 1, rollouts.forget_removed),
        Rule("revisions of removed fleets", 1, keeping.forget_removed),
        Rule("audit log", audit_days, audit.forget),
    )


@dataclass(frozen=True, slots=True)
class World:
    """The means of upkeep; `holder` names this process among all masters of the database."""

    database: Database
    leases: Leases
    clock: Clock
    holder: str


class Upkeep:
    """Removes what its rules name, once an hour."""

    def __init__(self, world: World, what: tuple[Rule, ...]) -> None:
        self._world = world
        self._rules = what
        self._swept_at: int | None = None

    async def run(self) -> None:
        """Works until it is cancelled."""
        await asyncio.sleep(_FIRST_S)
        while True:
            try:
                await self.once()
            except StoreUnavailableError as error:
                _log.warning("upkeep waits for the database", error=str(error))
            except Exception:  # the next hour may do better; a full table is nobody's request
                _log.exception("upkeep failed")
            await asyncio.sleep(_INTERVAL_S)

    async def once(self) -> bool:
        """Removes all that is old enough; False if another master is at it."""
        lease = await self._world.leases.acquire(LEASE, self._world.holder, _LEASE_MS)
        if lease is None:
            return False
        try:
            for rule in self._rules:
                await self._try(rule)
            await self._sweep()
        finally:
            await self._world.leases.release(lease)
        return True

    async def _sweep(self) -> None:
        """Removes contents of no revision, once a day: it reads every manifest."""
        now_ms = self._world.clock()
        if self._swept_at is not None and 0 <= now_ms - self._swept_at < _DAY_MS:
            return
        removed = await sweep(self._world.database, now_ms)
        self._swept_at = now_ms
        if removed:
            _log.info("contents of no revision were removed", rows=removed)

    async def _try(self, rule: Rule) -> None:
        """Applies a rule; one that fails keeps the others from nothing."""
        try:
            await self._apply(rule)
        except StoreUnavailableError:
            raise
        except Exception:
            _log.exception("old rows were not removed", what=rule.what)

    async def _apply(self, rule: Rule) -> None:
        before_ms = self._world.clock() - rule.days * _DAY_MS
        removed, found = 0, AT_ONCE
        while found == AT_ONCE:
            found = await self._world.database.write(
                MASTER, lambda tx: rule.forget(tx, before_ms, AT_ONCE)
            )
            removed += found
        if removed:
            _log.info("old rows were removed", what=rule.what, rows=removed, days=rule.days)
