"""The rules of agents."""

import json
from typing import Final

from headgate.master.api.expecting import Expected
from headgate.master.api.problems import ProblemError, invalid, not_found, stale
from headgate.master.domains.agents import store
from headgate.master.domains.agents.types import Agent, AgentChange
from headgate.master.domains.certificates import store as certificates
from headgate.master.domains.data_planes import store as data_planes
from headgate.master.domains.drift import store as drift
from headgate.master.domains.fleets import store as fleets
from headgate.master.domains.metrics import store as metrics
from headgate.master.store.transaction import Transaction

MOST_SERIALS: Final = 100
APPROVED_MS: Final = 86_400_000


async def found(tx: Transaction, agent_id: str, *, is_locked: bool = False) -> store.AgentRow:
    """Returns an agent; raises ProblemError. Locked, others wait until the transaction ends."""
    row = await store.find(tx, agent_id, is_locked=is_locked)
    if row is None:
        raise not_found("agent", agent_id)
    return row


async def change(
    tx: Transaction, agent_id: str, new: AgentChange, expected: Expected, now_ms: int
) -> Agent:
    """Moves an agent to another fleet or labels it anew; stale versions are refused with 412."""
    row = await found(tx, agent_id)
    values: dict[str, object] = {}
    if new.labels is not None:
        values["labels"] = json.dumps(new.labels, sort_keys=True)
    if new.fleet is not None:
        values |= await _moved(tx, row, new.fleet, now_ms)
    return await _changed(tx, row, values, expected, now_ms)


async def revoke(tx: Transaction, agent_id: str, expected: Expected, now_ms: int) -> Agent:
    """Ends an agent's identity: no certificate of it counts from now on."""
    row = await found(tx, agent_id)
    if row.revoked_at is not None:
        return row.shown(now_ms)
    return await _changed(tx, row, {"revoked_at": now_ms}, expected, now_ms)


async def revoke_certificate(
    tx: Transaction, agent_id: str, serial: str, expected: Expected, now_ms: int
) -> Agent:
    """Ends one certificate of an agent; others that it has or gets stay good."""
    row = await found(tx, agent_id)
    serials = (row.revoked_serials or "").split()
    if serial in serials:
        return row.shown(now_ms)
    if len(serials) >= MOST_SERIALS:
        raise ProblemError(
            409,
            "too-many",
            f"{MOST_SERIALS} certificates of this agent are revoked; revoke the agent itself",
        )
    values: dict[str, object] = {"revoked_serials": " ".join([*serials, serial])}
    return await _changed(tx, row, values, expected, now_ms)


async def approve(tx: Transaction, agent_id: str, expected: Expected, now_ms: int) -> Agent:
    """Lets an agent come back by its old key within a day, however long it was away."""
    row = await found(tx, agent_id)
    if row.revoked_at is not None:
        raise ProblemError(409, "revoked", "this agent is revoked; its node enrols anew")
    return await _changed(tx, row, {"approved_until": now_ms + APPROVED_MS}, expected, now_ms)


async def remove(tx: Transaction, agent_id: str, expected: Expected, now_ms: int) -> None:
    """Removes an agent; its certificates count for nothing from now on."""
    row = await found(tx, agent_id, is_locked=True)
    if not expected.fits(row):
        raise stale(row.shown(now_ms))
    await store.remove(tx, agent_id)
    await certificates.remove_all(tx, agent_id)
    await data_planes.remove(tx, agent_id)
    await drift.forget(tx, agent_id)
    await metrics.remove_node(tx, row.fleet, agent_id)


async def _moved(tx: Transaction, row: store.AgentRow, key: str, now_ms: int) -> dict[str, object]:
    fleet = await fleets.named(tx, key)
    if fleet is not None and fleet.id == row.fleet:
        return {}
    if fleet is not None:  # what it serves may have changed until it is locked
        fleet = await fleets.find(tx, fleet.id, is_locked=True)
    if fleet is None:
        raise invalid("$.fleet", "no such fleet here", "write the id or name of a fleet")
    if await store.count(tx, fleet.id) >= fleet.most_agents:
        raise invalid("$.fleet", "this fleet is full", "raise its policy `most_agents`")
    return {
        "fleet": fleet.id,
        "desired_id": fleet.revision_id,
        "desired": fleet.revision,
        "rollout": "",
        "wave": 0,
        "orders_at": now_ms,
    }


async def _changed(
    tx: Transaction,
    row: store.AgentRow,
    values: dict[str, object],
    expected: Expected,
    now_ms: int,
) -> Agent:
    if not expected.fits(row) or not await store.change(tx, row, values):
        raise stale(row.shown(now_ms))
    return (await found(tx, row.id)).shown(now_ms)
