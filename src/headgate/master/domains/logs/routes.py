"""The routes of logs."""

import time
from collections.abc import Awaitable, Callable

from headgate.fleet.signing import Bind
from headgate.master.access import Permission
from headgate.master.api.call import Call, Here
from headgate.master.api.problems import ProblemError
from headgate.master.api.routing import Routes
from headgate.master.domains.logs import service
from headgate.master.domains.logs.turns import THROTTLED
from headgate.master.domains.logs.types import FoundLogs, LogQuery
from headgate.master.store.transaction import Transaction

ROUTES = Routes("logs")


@ROUTES.post("/workspaces/{workspace}/fleets/{fleet}/logs", Permission.LOGS_READ, status=200)
async def search_fleet_logs(call: Here, workspace: str, fleet: str, query: LogQuery) -> FoundLogs:
    """Searches the logs of a fleet's nodes now, and says of each agent how that went. Each search
    is in the audit log."""
    return await _searched(call, query, lambda tx: service.of_fleet(tx, fleet))


@ROUTES.post("/workspaces/{workspace}/agents/{agent}/logs", Permission.LOGS_READ, status=200)
async def search_agent_logs(call: Here, workspace: str, agent: str, query: LogQuery) -> FoundLogs:
    """Searches the logs of one agent's node now. Each search is in the audit log."""
    return await _searched(call, query, lambda tx: service.of_agent(tx, agent))


async def _searched(
    call: Call, query: LogQuery, asked_of: Callable[[Transaction], Awaitable[service.Asked]]
) -> FoundLogs:
    # Nothing changes, so that nobody needs an event of it, and a repeat searches again.
    call.event, call.repeat = "", None
    master = call.master

    async def begun(tx: Transaction) -> tuple[service.Asked, Bind]:
        return await asked_of(tx), await master.authority.bind(tx.as_master())

    counts, began = master.searched, time.monotonic()
    try:
        with master.searches.taken(call.scope.workspace_id):
            asked, bind = await call.write(begun)
            found = await service.searched(master.hub, asked, query, call.now_ms, bind)
    except ProblemError as refusal:
        counts.results["throttled" if refusal.status == THROTTLED else "refused"] += 1
        raise
    counts.answered(found.agents, time.monotonic() - began)
    return found
