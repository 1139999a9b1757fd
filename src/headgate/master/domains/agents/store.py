"""The rows of agents."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from pydantic import BaseModel
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    String,
    Text,
    bindparam,
    delete,
    select,
    update,
)

from headgate.master.api.filters import Condition, begins, equals, labelled
from headgate.master.api.types import Page, paged
from headgate.master.domains.agents.types import (
    Agent,
    AgentWindow,
    Facts,
    Failing,
    LastError,
    Revisions,
    State,
    Upgrade,
    UpgradeState,
)
from headgate.master.domains.drift.reading import KeptDrift
from headgate.master.domains.fleets import store as fleets
from headgate.master.store.schema import (
    Counted,
    Tenancy,
    id_column,
    table,
    time_column,
    version_column,
)
from headgate.master.store.scope import Query
from headgate.master.store.transaction import Transaction, columns_of

AGENTS: Final = table(
    "agents",
    Tenancy.WORKSPACE,
    id_column("id", is_key=True),
    id_column("fleet", is_indexed=True),
    Column("name", String(255), nullable=False),
    Column("labels", Text, nullable=False),
    Column("facts", Text, nullable=False),
    id_column("token", is_indexed=True),
    Column("key_hash", String(64), nullable=False),
    time_column("certificate_expires_at"),
    Column("certificate_serial", String(64), nullable=True),
    Column("certificate_issuer", String(80), nullable=True),
    Column("held_certificate", String(64), nullable=True),
    Column("trusts", Text, nullable=True),
    Column("revoked_serials", Text, nullable=True),
    time_column("approved_until", is_optional=True),
    Column("addresses", Text, nullable=True),
    time_column("created_at"),
    time_column("revoked_at", is_optional=True),
    time_column("connected_at", is_optional=True),
    time_column("seen_at", is_optional=True),
    Column("fence", BigInteger, nullable=False),
    id_column("desired_id", is_optional=True),
    Column("desired", BigInteger, nullable=True),
    Column("rollout", String(64), nullable=False),
    Column("wave", Integer, nullable=False),
    Column("held_scope", String(128), nullable=False),
    Column("offered", BigInteger, nullable=True),
    Column("acknowledged", BigInteger, nullable=True),
    Column("applied", BigInteger, nullable=True),
    Column("serving", BigInteger, nullable=True),
    Column("phase", String(16), nullable=False),
    Column("effective_hash", String(128), nullable=False),
    Column("error", Text, nullable=True),
    Column("told", String(16), nullable=False),
    Column("program", String(64), nullable=True),
    Column("can_upgrade", Boolean, nullable=True),
    Column("wanted_program", String(64), nullable=True),
    Column("former_program", String(64), nullable=True),
    id_column("upgrade_rollout", is_optional=True),
    Column("upgrade_step", Integer, nullable=True),
    Column("upgrade_order", BigInteger, nullable=True),
    Column("upgrade_state", String(8), nullable=True),
    Column("upgrade_error", Text, nullable=True),
    Column("drift", Text, nullable=True),
    time_column("drift_since", is_optional=True),
    time_column("failing_since", is_optional=True),
    Column("failed_starts", Integer, nullable=True),
    time_column("orders_at", is_optional=True),
    time_column("heal_order", is_optional=True),
    version_column(),
    Index("ix_agents_workspace_id_id", "workspace_id", "id"),
    counted=Counted("agents", ended="revoked_at"),
)
AWAY_AFTER_MS: Final = 45_000
"""The time after an agent's last word for which it counts as connected, if its session was not
ended: the master that had the session may have died."""

LEFT_AFTER_MS: Final = 15_000
"""The time from its last word until an agent whose session ended counts as lost: most come back at
once, for sessions are renewed every half hour."""
CONNECTED, LOST = "connected", "lost"

_AT_ONCE: Final = 500


class AgentRow(BaseModel):
    """An agent as it is stored."""

    id: str
    version: int
    organisation_id: str
    workspace_id: str
    fleet: str
    name: str
    labels: str
    facts: str
    key_hash: str
    certificate_expires_at: int
    certificate_serial: str | None
    """Of the certificate that was issued last."""
    certificate_issuer: str | None
    """The pin of the authority that issued it."""
    held_certificate: str | None
    """The serial number that the agent says its certificate has."""
    trusts: str | None
    """The pins of the authorities that the agent says it trusts; None: it says nothing."""
    revoked_serials: str | None
    approved_until: int | None
    """The time until which it may come back although its certificate has expired for too long."""
    addresses: str | None
    """The networks from which it may come back, as its join token said; None: it is not known."""
    created_at: int
    revoked_at: int | None
    connected_at: int | None
    seen_at: int | None
    fence: int
    desired_id: str | None
    desired: int | None
    rollout: str
    wave: int
    held_scope: str
    offered: int | None
    acknowledged: int | None
    applied: int | None
    serving: int | None
    phase: str
    effective_hash: str
    error: str | None
    program: str | None
    """The version that it runs; None: it has not connected yet, or not since this is kept."""
    can_upgrade: bool | None
    wanted_program: str | None
    former_program: str | None
    """Its version before the rollout `upgrade_rollout`, of which it got the step `upgrade_step`;
    None: no step yet."""
    upgrade_rollout: str | None
    upgrade_step: int | None
    upgrade_order: int | None
    upgrade_state: UpgradeState | None
    upgrade_error: str | None
    drift: str | None
    """Its last report of drift, as a `KeptDrift`; None: it sent none."""
    drift_since: int | None
    """The time since which its nginx drifts; None: it does not, or it says nothing of that."""
    orders_at: int | None
    """The time of the last change of its orders beside revisions; None: it never had any."""
    heal_order: int | None
    """The time when a person last ordered a heal, which is the order's number."""
    failing_since: int | None
    """The time since which its control process fails at each start; None: it does not."""
    failed_starts: int | None
    """The number of starts in a row, before the one that reported it, that did not last."""

    @property
    def known_drift(self) -> KeptDrift | None:
        """Its last report of drift."""
        return None if self.drift is None else KeptDrift.model_validate_json(self.drift)

    def shown(self, now_ms: int) -> Agent:
        """Returns it as clients see it."""
        # What it holds of another fleet counts for nothing in this one.
        is_ours = self.held_scope == self.fleet
        known = self.known_drift
        return Agent(
            id=self.id,
            version=self.version,
            name=self.name,
            fleet=self.fleet,
            labels=json.loads(self.labels),
            state=self._state(now_ms),
            facts=Facts.model_validate_json(self.facts),
            revisions=Revisions(
                desired=self.desired,
                offered=self.offered if is_ours else None,
                acknowledged=self.acknowledged if is_ours else None,
                applied=self.applied if is_ours else None,
                serving=self.serving if is_ours else None,
            ),
            phase=self.phase if is_ours else "",
            effective_hash=self.effective_hash,
            error=LastError.model_validate_json(self.error) if self.error and is_ours else None,
            drifts=None if known is None else known.drift.since is not None,
            drift=None if known is None else known.drift,
            failing=self._failing(),
            created_at=self.created_at,
            seen_at=self.seen_at,
            certificate_expires_at=self.certificate_expires_at,
            certificate_serial=self.certificate_serial,
            revoked_at=self.revoked_at,
            upgrade=self._upgrade(),
        )

    def _failing(self) -> Failing | None:
        if self.failing_since is None:
            return None
        return Failing(since=self.failing_since, starts=self.failed_starts or 0)

    def _upgrade(self) -> Upgrade:
        return Upgrade(
            is_possible=bool(self.can_upgrade),
            program=self.wanted_program,
            state=self.upgrade_state,
            error=self.upgrade_error or "",
        )

    def _state(self, now_ms: int) -> State:
        if self.revoked_at is not None:
            return "revoked"
        if self.seen_at is None:
            return "new"
        if self.failing_since is not None:
            return "failing"
        return "connected" if self.is_here(now_ms) else "away"

    def is_here(self, now_ms: int) -> bool:
        """Reports whether it has a session, by all that is known."""
        seen_at = self.seen_at or 0
        return self.connected_at is not None and now_ms - seen_at < AWAY_AFTER_MS


class AgentName(BaseModel):
    """An agent's id and name."""

    id: str
    name: str


class AgentNode(BaseModel):
    """An agent, what it is labelled, and what it said of itself, as JSON."""

    id: str
    name: str
    labels: str
    facts: str


async def insert(tx: Transaction, values: dict[str, object]) -> None:
    """Adds an agent that has said nothing yet."""
    fresh: dict[str, object] = {
        "facts": Facts().model_dump_json(),
        "fence": 0,
        "rollout": "",
        "wave": 0,
        "held_scope": "",
        "phase": "",
        "effective_hash": "",
        "told": "",
        "version": 1,
    }
    await tx.insert(AGENTS, **fresh | values)


async def listed(
    tx: Transaction, window: AgentWindow, fleet_id: str | None, now_ms: int
) -> Page[Agent]:
    """Returns the agents of the scope, or of one fleet, by id."""
    query = columns_of(AGENTS, AgentRow).where(
        *equals((AGENTS.c.fleet, fleet_id), (AGENTS.c.program, window.program)),
        *begins(AGENTS.c.name, window.name_prefix),
        *labelled(AGENTS.c.labels, window.label),
        *_in_state(window.state, now_ms),
    )
    if window.phase is not None:
        # What it holds of another fleet counts for nothing in this one.
        query = query.where(AGENTS.c.phase == window.phase, AGENTS.c.held_scope == AGENTS.c.fleet)
    if window.drifts is not None:
        since = AGENTS.c.drift_since
        query = query.where(
            AGENTS.c.drift.is_not(None), since.is_not(None) if window.drifts else since.is_(None)
        )
    found = await paged(tx, AgentRow, query, AGENTS.c.id, window)
    return Page[Agent](items=[one.shown(now_ms) for one in found.items], next=found.next)


def _in_state(state: State | None, now_ms: int) -> list[Condition]:
    """Returns the conditions of what `AgentRow.shown` calls that state."""
    if state is None:
        return []
    if state == "revoked":
        return [AGENTS.c.revoked_at.is_not(None)]
    found: list[Condition] = [AGENTS.c.revoked_at.is_(None)]
    if state == "new":
        return [*found, AGENTS.c.seen_at.is_(None)]
    found.append(AGENTS.c.seen_at.is_not(None))
    if state == "failing":
        return [*found, AGENTS.c.failing_since.is_not(None)]
    found.append(AGENTS.c.failing_since.is_(None))
    is_late = AGENTS.c.seen_at <= now_ms - AWAY_AFTER_MS
    is_out = AGENTS.c.connected_at.is_(None)
    if state == "away":
        return [*found, is_late | is_out]
    return [*found, ~is_late, ~is_out]


async def find(tx: Transaction, agent_id: str, *, is_locked: bool = False) -> AgentRow | None:
    """Returns an agent of the scope; locked, others wait until the transaction ends."""
    query = columns_of(AGENTS, AgentRow).where(AGENTS.c.id == agent_id)
    return await tx.first(AgentRow, query.with_for_update() if is_locked else query)


async def found(tx: Transaction, agent_ids: Sequence[str]) -> dict[str, AgentRow]:
    """Returns those of these agents that there are in the scope."""
    rows: list[AgentRow] = []
    for part in in_parts(agent_ids):
        rows += await tx.all(AgentRow, columns_of(AGENTS, AgentRow).where(AGENTS.c.id.in_(part)))
    return {one.id: one for one in rows}


async def of_key(tx: Transaction, token_id: str, key_hash: str) -> AgentRow | None:
    """Returns the agent that enrolled with this token and this key."""
    where = (AGENTS.c.token == token_id, AGENTS.c.key_hash == key_hash)
    return await tx.find(AgentRow, AGENTS, *where)


async def count(tx: Transaction, fleet_id: str) -> int:
    """Returns how many agents a fleet has, revoked ones included."""
    return await tx.count(AGENTS, AGENTS.c.fleet == fleet_id)


async def desired_ids(tx: Transaction, fleet_id: str) -> list[str]:
    """Returns the ids of the revisions that agents of a fleet must serve, each once."""
    query: Query = select(AGENTS.c.desired_id).where(
        AGENTS.c.fleet == fleet_id, AGENTS.c.desired_id.is_not(None)
    )
    return await tx.texts(query.distinct())


async def nodes_of(tx: Transaction, fleet_id: str) -> list[AgentNode]:
    """Returns the agents of a fleet that are not revoked, by id, with what their configs depend
    on."""
    query = columns_of(AGENTS, AgentNode)
    where = (AGENTS.c.fleet == fleet_id, AGENTS.c.revoked_at.is_(None))
    return await tx.all(AgentNode, query.where(*where).order_by(AGENTS.c.id))


async def change(tx: Transaction, row: AgentRow, values: dict[str, object]) -> int:
    """Changes an agent if it is still that version; returns how many rows changed."""
    statement = update(AGENTS).where(AGENTS.c.id == row.id, AGENTS.c.version == row.version)
    return await tx.change(statement.values(version=row.version + 1, **values))


async def remove(tx: Transaction, agent_id: str) -> int:
    """Removes an agent; returns how many rows that were."""
    return await tx.change(delete(AGENTS).where(AGENTS.c.id == agent_id))


async def said(tx: Transaction, agent_id: str, values: dict[str, object]) -> None:
    """Keeps what an agent said of itself; its version counts what people change."""
    await said_by_all(tx, {agent_id: values})


async def said_by_all(tx: Transaction, values: Mapping[str, dict[str, object]]) -> None:
    """The same of many agents, by id.

    Agents that said the same, as most do at the same moment, share statements.
    """
    same: dict[tuple[tuple[str, object], ...], list[str]] = {}
    for agent_id, row in values.items():
        if row:
            same.setdefault(tuple(sorted(row.items())), []).append(agent_id)
    alike: dict[tuple[str, ...], list[dict[str, object]]] = {}
    for said, agent_ids in same.items():
        if len(agent_ids) > 1:
            await _said_alike(tx, agent_ids, said)
            continue
        parameters = {f"new_{name}": value for name, value in said}
        names = tuple(name for name, _ in said)
        alike.setdefault(names, []).append({"agent": agent_ids[0], **parameters})
    for names, rows in alike.items():
        statement = update(AGENTS).where(AGENTS.c.id == bindparam("agent"))
        new: dict[str, object] = {name: bindparam(f"new_{name}") for name in names}
        await tx.change_all(statement.values(new), rows)


async def _said_alike(
    tx: Transaction, agent_ids: Sequence[str], row: Iterable[tuple[str, object]]
) -> None:
    for part in in_parts(agent_ids):
        where = AGENTS.c.id.in_(bindparam("agents", part, expanding=True))
        await tx.change(update(AGENTS).where(where).values(dict(row)))


def in_parts(agent_ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """Returns the ids in parts that one statement can name."""
    for start in range(0, len(agent_ids), _AT_ONCE):
        yield agent_ids[start : start + _AT_ONCE]


async def silent(tx: Transaction, now_ms: int) -> list[str]:
    """Returns agents that are gone though the last event about them was that they connected."""
    ended = AGENTS.c.connected_at.is_(None) & (AGENTS.c.seen_at < now_ms - LEFT_AFTER_MS)
    where = (
        AGENTS.c.told == CONNECTED,
        AGENTS.c.revoked_at.is_(None),
        ended | (AGENTS.c.seen_at < now_ms - AWAY_AFTER_MS),
    )
    query: Query = select(AGENTS.c.id).where(*where)
    return await tx.texts(query.order_by(AGENTS.c.id).limit(_AT_ONCE))


async def ids_of(tx: Transaction, fleet_id: str) -> list[str]:
    """Returns the ids of a fleet's agents."""
    query: Query = select(AGENTS.c.id).where(AGENTS.c.fleet == fleet_id)
    return await tx.texts(query)


async def names_of(tx: Transaction, fleet_id: str) -> list[AgentName]:
    """Returns the agents of a fleet that are not revoked, by id."""
    query = columns_of(AGENTS, AgentName)
    where = (AGENTS.c.fleet == fleet_id, AGENTS.c.revoked_at.is_(None))
    return await tx.all(AgentName, query.where(*where).order_by(AGENTS.c.id))


async def order_all(tx: Transaction, fleet_id: str, now_ms: int) -> None:
    """Says that what a fleet's agents are ordered has changed; the caller wakes them."""
    where = AGENTS.c.fleet == fleet_id
    await tx.change(update(AGENTS).where(where).values(orders_at=now_ms))


async def set_desired(tx: Transaction, fleet_id: str, revision_id: str) -> list[str]:
    """Makes a revision what every agent of a fleet must serve, and those that will join it.

    Returns the agents; the caller wakes them once the transaction is on disk.
    """
    await fleets.set_desired(tx, fleet_id, revision_id)
    fleet = await fleets.find(tx, fleet_id)
    values = {
        "desired_id": revision_id,
        "desired": None if fleet is None else fleet.revision,
        "rollout": "",
        "wave": 0,
    }
    await tx.change(update(AGENTS).where(AGENTS.c.fleet == fleet_id).values(values))
    return await ids_of(tx, fleet_id)
