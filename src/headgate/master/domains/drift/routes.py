"""The routes of drift."""

from headgate.engines.nginx.imports.adopting import CannotAdoptError
from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.problems import ProblemError
from headgate.master.api.routing import Routes
from headgate.master.domains.drafts.types import Draft
from headgate.master.domains.drift import adopting, service
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


@ROUTES.post("/workspaces/{workspace}/agents/{agent}/drift/adopt", Permission.RESOURCES_WRITE)
async def adopt_drift(call: Here, workspace: str, agent: str) -> Draft:
    """Makes a draft of an edit by hand that an agent reports of an imported config. The agent is
    its author; it takes the place of the agent's earlier one. Nothing is published."""
    try:
        async with call.read() as tx:
            case = await adopting.case(tx, agent, call.master.sealer)
        changes = await adopting.worked_out(case)
        return await call.write(lambda tx: adopting.propose(tx, case, changes, call.now_ms))
    except CannotAdoptError as error:
        raise ProblemError(409, "not-adopted", f"no draft was made: {error}") from None
