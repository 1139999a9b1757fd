"""The rules of drift."""

from headgate.fleet.orders import HEAL
from headgate.master.api.problems import ProblemError
from headgate.master.domains.agents import service as agents
from headgate.master.domains.agents import store as rows
from headgate.master.domains.drift import adopting, store
from headgate.master.domains.drift.reading import heal_of, ignored
from headgate.master.domains.drift.types import AgentDrift
from headgate.master.domains.fleets import store as fleets
from headgate.master.store.transaction import Transaction


async def shown(tx: Transaction, agent_id: str, now_ms: int) -> AgentDrift:
    """Returns what is known of an agent's drift; raises ProblemError."""
    row = await agents.found(tx, agent_id)
    fleet = await fleets.find(tx, row.fleet)
    agent, known = row.shown(now_ms), row.known_drift
    wanted = "node" if fleet is None else fleet.drift
    engines = [one.engine for one in agent.facts.engines]
    return AgentDrift(
        drift=agent.drift,
        files=await store.files(tx, agent_id),
        fleet_policy=wanted,
        ignores_policy=ignored(wanted, agent.facts.orders, engines, agent.drift),
        heal=heal_of(row.heal_order, known, now_ms),
        proposal=await adopting.shown(tx, agent_id),
    )


async def order_heal(tx: Transaction, agent_id: str, now_ms: int) -> AgentDrift:
    """Orders an agent to undo the drift there is now; raises ProblemError for one that cannot."""
    row = await agents.found(tx, agent_id)
    if row.revoked_at is not None:
        raise ProblemError(409, "revoked", "this agent is revoked; its node enrols anew")
    if HEAL not in row.shown(now_ms).facts.orders:
        raise ProblemError(
            409,
            "not-taken",
            "this agent takes no such order: it never connected, its version is older, or its"
            " engine has no files that drift",
        )
    at = max(now_ms, (row.orders_at or 0) + 1)
    await rows.said(tx, agent_id, {"heal_order": at, "orders_at": at})
    return await shown(tx, agent_id, now_ms)
