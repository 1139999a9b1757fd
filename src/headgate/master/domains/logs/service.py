"""The rules of searches: which agents are asked, and how long anybody waits for them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from headgate.fleet.searches import LogSearch
from headgate.fleet.signing import Bind
from headgate.master.api.problems import ProblemError
from headgate.master.domains.agents import service as agents
from headgate.master.domains.agents import store
from headgate.master.domains.agents.store import AgentName
from headgate.master.domains.fleets import service as fleets
from headgate.master.domains.logs import relaying
from headgate.master.domains.logs.merging import Outcome, merged
from headgate.master.domains.logs.relaying import Relay
from headgate.master.domains.logs.types import FoundLogs, LogQuery
from headgate.master.fleet.hub import LiveHub
from headgate.master.store.transaction import Transaction

MOST_ASKED: Final = 100
MOST_NAMED: Final = 1_000
_MS: Final = 1_000


@dataclass(frozen=True, slots=True)
class Asked:
    """The agents of a search, and how many more the fleet has."""

    agents: Sequence[AgentName]
    left_out: int = 0


async def of_fleet(tx: Transaction, key: str) -> Asked:
    """Returns the agents of a fleet that are not revoked; raises ProblemError."""
    fleet = await fleets.found(tx, key)
    named = await store.names_of(tx, fleet.id)
    return Asked(named[:MOST_NAMED], max(0, len(named) - MOST_NAMED))


async def of_agent(tx: Transaction, agent_id: str) -> Asked:
    """Returns an agent; raises ProblemError for one that is revoked."""
    row = await agents.found(tx, agent_id)
    if row.revoked_at is not None:
        raise ProblemError(409, "revoked", "this agent is revoked; its node enrols anew")
    return Asked([AgentName(id=row.id, name=row.name)])


async def searched(
    hub: LiveHub, relay: Relay, asked: Asked, wanted: LogSearch, bind: Bind
) -> FoundLogs:
    """Asks all agents at once that are connected, here or to another master of the database, and
    returns what they found in time."""
    connected = hub.connected()
    here = [one for one in asked.agents if one.id in connected]
    elsewhere = await relay.elsewhere([one for one in asked.agents if one.id not in connected])
    has_session = {one.id for one in (*here, *elsewhere)}
    here = here[:MOST_ASKED]
    elsewhere = elsewhere[: MOST_ASKED - len(here)]
    parts = await asyncio.gather(
        relaying.asked(hub, here, wanted, bind), relay.asked(elsewhere, wanted)
    )
    found = {one.agent: one for part in parts for one in part}
    outcomes = [
        found.get(one.id) or _unasked(one, is_away=one.id not in has_session)
        for one in asked.agents
    ]
    lines, named = merged(outcomes, wanted.since_ms, wanted.limit)
    return FoundLogs(lines=lines, agents=named, agents_left_out=asked.left_out)


def _unasked(one: AgentName, *, is_away: bool) -> Outcome:
    if is_away:
        return Outcome(one.id, one.name, state="away", why="it has no session with a master")
    why = f"a search asks {MOST_ASKED} agents at most; name this one"
    return Outcome(one.id, one.name, state="unasked", why=why)


def search_of(query: LogQuery, now_ms: int) -> LogSearch:
    """Returns what agents are asked for; `now_ms` is the time of the request."""
    return LogSearch(
        number=0,
        since_ms=0 if query.since_s is None else max(0, now_ms - query.since_s * _MS),
        status=query.status or "",
        host=query.host or "",
        path=query.path or "",
        text=query.text or "",
        limit=query.limit,
        source=query.source,
    )
