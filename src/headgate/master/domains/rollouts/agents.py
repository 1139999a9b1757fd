"""Reads the rows of agents for a rollout of a revision."""

from headgate.fleet.agent_work import QUARANTINED
from headgate.master.domains.agents.store import AGENTS, AgentRow
from headgate.master.domains.agents.types import Agent, LastError
from headgate.master.domains.rollouts.events import AgentView
from headgate.master.store.transaction import Transaction, columns_of


async def rows_of(tx: Transaction, fleet: str) -> list[AgentRow]:
    """Returns the agents of a fleet; those that were revoked do not count."""
    query = columns_of(AGENTS, AgentRow).where(
        AGENTS.c.fleet == fleet, AGENTS.c.revoked_at.is_(None)
    )
    return await tx.all(AgentRow, query)


async def agents_of(tx: Transaction, fleet: str, now_ms: int) -> list[AgentView]:
    """Returns what is known of the agents of a fleet."""
    return [_view(row.shown(now_ms)) for row in await rows_of(tx, fleet)]


def _view(agent: Agent) -> AgentView:
    error = agent.error
    # What is transient is tried again by the stream; the rollout's own deadline ends it.
    is_quarantine = error is not None and error.code == QUARANTINED
    is_refusal = error is not None and not error.is_transient and not is_quarantine
    seen_at = (agent.seen_at or 0) / 1000
    return AgentView(
        agent=agent.id,
        is_connected=agent.state == "connected",
        seen_at=seen_at,
        desired=agent.revisions.desired,
        serving=agent.revisions.serving,
        acknowledged=agent.revisions.acknowledged,
        refused=error.revision if error is not None and is_refusal else None,
        refused_at=seen_at,
        error=_words(error) if error is not None else "",
        labels=tuple(agent.labels.items()),
        zone=agent.labels.get("zone", ""),
        quarantined=_words(error)
        if error is not None and is_quarantine and error.revision == agent.revisions.serving
        else "",
        program=agent.facts.program,
        failing_since=failing_since(agent),
    )


def failing_since(agent: Agent) -> float | None:
    """Returns since when an agent fails at each start (Unix seconds); None: it does not."""
    return None if agent.failing is None else agent.failing.since / 1000


def _words(error: LastError) -> str:
    place = f" ({error.object})" if error.object else ""
    return f"{error.text}{place}"
