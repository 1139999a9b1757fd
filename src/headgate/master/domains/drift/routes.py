"""The routes of drift."""

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.routing import Routes
from headgate.master.domains.drift import service
from headgate.master.domains.drift.types import AgentDrift

ROUTES = Routes("drift")


@ROUTES.get("/workspaces/{workspace}/agents/{agent}/drift", Permission.AGENTS_READ)
async def get_drift(call: Here, workspace: str, agent: str) -> AgentDrift:
    """Shows how an agent's nginx differs from what was applied there, file by file, three ways."""
    async with call.read() as tx:
        return await service.shown(tx, agent, call.now_ms)


@ROUTES.post("/workspaces/{workspace}/agents/{agent}/heal", Permission.AGENTS_OPERATE, status=202)
async def heal_agent(call: Here, workspace: str, agent: str) -> AgentDrift:
    """Orders an agent to undo the drift there is now, whatever the fleet's policy is. A hold on the
    host stops it. The agent has 10 minutes; its drift says how it ended."""
    done = await call.write(lambda tx: service.order_heal(tx, agent, call.now_ms))
    call.master.hub.wake([agent])
    return done
