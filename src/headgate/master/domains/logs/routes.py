"""The routes of logs."""

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.routing import Routes
from headgate.master.domains.logs import service
from headgate.master.domains.logs.asking import searched
from headgate.master.domains.logs.types import FoundLogs, LogQuery

ROUTES = Routes("logs")


@ROUTES.post("/workspaces/{workspace}/fleets/{fleet}/logs", Permission.LOGS_READ, status=200)
async def search_fleet_logs(call: Here, workspace: str, fleet: str, query: LogQuery) -> FoundLogs:
    """Searches the logs of a fleet's nodes now, and says of each agent how that went. Each search
    is in the audit log."""
    return await searched(call, query, lambda tx: service.of_fleet(tx, fleet))


@ROUTES.post("/workspaces/{workspace}/agents/{agent}/logs", Permission.LOGS_READ, status=200)
async def search_agent_logs(call: Here, workspace: str, agent: str, query: LogQuery) -> FoundLogs:
    """Searches the logs of one agent's node now. Each search is in the audit log."""
    return await searched(call, query, lambda tx: service.of_agent(tx, agent))
