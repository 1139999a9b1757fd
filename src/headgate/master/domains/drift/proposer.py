"""Makes proposals of the drift of agents whose fleet's policy is `adopt`. One master of the
database does it, under a lease, and one agent after another. People publish or discard them."""

import asyncio
from typing import Final

import structlog
from pydantic import BaseModel
from sqlalchemy import BigInteger, cast, exists, select

from headgate.engines.nginx.imports.adopting import CannotAdoptError
from headgate.master.api.problems import ProblemError
from headgate.master.domains.agents.store import AGENTS
from headgate.master.domains.drift import adopting
from headgate.master.domains.drift.reading import KeptDrift
from headgate.master.domains.drift.store import DRIFTS, PROPOSALS
from headgate.master.domains.events.feed import Feeds
from headgate.master.domains.fleets.store import FLEETS
from headgate.master.store.errors import QuotaError, StoreUnavailableError, TakenError
from headgate.master.store.scope import MASTER, Query, Scope
from headgate.master.store.sealing import Sealer
from headgate.master.upkeep import World

LEASE: Final = "drift"
AT_ONCE: Final = 200
"""Agents that one look is about."""
_LEASE_MS: Final = 600_000
_INTERVAL_S: Final = 5.0
_MS: Final = 1_000
_FAULT: Final = "headgate failed to read the edit; the log of the master says how"

_log = structlog.get_logger()


class _Due(BaseModel):
    id: str
    organisation_id: str
    workspace_id: str
    digest: str
    drift: str

    @property
    def is_held(self) -> bool:
        """True while a person keeps heals and applies away: the edit is not whole yet."""
        return bool(KeptDrift.model_validate_json(self.drift).drift.held)


class Proposer:
    """Looks for drift that nobody made a proposal of."""

    def __init__(self, world: World, sealer: Sealer, feeds: Feeds) -> None:
        self._world = world
        self._sealer = sealer
        self._feeds = feeds

    async def run(self) -> None:
        """Works until it is cancelled."""
        while True:
            await asyncio.sleep(_INTERVAL_S)
            try:
                await self.once()
            except (StoreUnavailableError, TakenError) as error:
                _log.warning("proposals of drift wait for the database", reason=str(error))
            except Exception:  # the next look may do better
                _log.exception("drift was not proposed")

    async def once(self) -> bool:
        """Makes the proposals that are due; False if there are none, or another master is at it."""
        async with self._world.database.read(MASTER) as tx:
            due = await tx.all(_Due, _due(self._world.clock()))
        due = [one for one in due if not one.is_held]
        if not due:
            return False
        lease = await self._world.leases.acquire(LEASE, self._world.holder, _LEASE_MS)
        if lease is None:
            return False
        try:
            for one in due:
                await self._propose(one)
        finally:
            await self._world.leases.release(lease)
        return True

    async def _propose(self, one: _Due) -> None:
        scope, database = Scope(one.organisation_id, one.workspace_id), self._world.database
        now_ms = self._world.clock()
        try:
            async with database.read(scope) as tx:
                case = await adopting.case(tx, one.id, self._sealer)
            changes = await adopting.worked_out(case)
            await database.write(scope, lambda tx: adopting.propose(tx, case, changes, now_ms))
        except ProblemError as error:  # the agent or its drift is another one: see the next look
            _log.info("drift is not proposed yet", agent=one.id, reason=str(error))
        except (CannotAdoptError, QuotaError) as error:
            await self._refuse(one, str(error))
        except (StoreUnavailableError, TakenError):
            raise
        except Exception:  # it would fail again, before the agents that come later
            _log.exception("an edit of nginx could not be read", agent=one.id)
            await self._refuse(one, _FAULT)
        else:
            self._feeds.tell(one.workspace_id)

    async def _refuse(self, one: _Due, why: str) -> None:
        scope, now_ms = Scope(one.organisation_id, one.workspace_id), self._world.clock()
        await self._world.database.write(
            scope, lambda tx: adopting.refuse(tx, one.id, one.digest, why, now_ms)
        )


def _due(now_ms: int) -> Query:
    """Returns the query for agents whose drift has lasted, and of whose files as they are now there
    was no proposal."""
    made = exists().where(PROPOSALS.c.agent == AGENTS.c.id, PROPOSALS.c.of == DRIFTS.c.digest)
    query: Query = select(
        AGENTS.c.id, AGENTS.c.organisation_id, AGENTS.c.workspace_id, AGENTS.c.drift
    ).add_columns(DRIFTS.c.digest)
    return (
        query.where(
            AGENTS.c.fleet == FLEETS.c.id,
            FLEETS.c.drift == "adopt",
            AGENTS.c.revoked_at.is_(None),
            AGENTS.c.drift_since + cast(FLEETS.c.heal_after_s, BigInteger) * _MS <= now_ms,
            DRIFTS.c.agent == AGENTS.c.id,
            DRIFTS.c.digest.is_not(None),
            ~made,
        )
        .order_by(AGENTS.c.drift_since)
        .limit(AT_ONCE)
    )
