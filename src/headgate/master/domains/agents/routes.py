"""The routes of agents."""

from typing import Annotated

from fastapi import Path, Query

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.routing import Routes
from headgate.master.api.types import Page
from headgate.master.domains.agents import service, store
from headgate.master.domains.agents.types import Agent, AgentChange, AgentWindow
from headgate.master.domains.fleets import service as fleets

ROUTES = Routes("agents")
Serial = Annotated[
    str,
    Path(pattern="^[0-9a-f]{1,64}$", description="The serial number, in lower-case hex."),
]


@ROUTES.get("/workspaces/{workspace}/agents", Permission.AGENTS_READ)
async def list_agents(
    call: Here, workspace: str, window: Annotated[AgentWindow, Query()]
) -> Page[Agent]:
    """Lists the agents of a workspace, with what each is proven to serve."""
    async with call.read() as tx:
        fleet = await fleets.id_of(tx, window.fleet)
        return await store.listed(tx, window, fleet, call.now_ms)


@ROUTES.get("/workspaces/{workspace}/agents/{agent}", Permission.AGENTS_READ)
async def get_agent(call: Here, workspace: str, agent: str) -> Agent:
    """Shows an agent, with what it is proven to serve."""
    async with call.read() as tx:
        return call.shown((await service.found(tx, agent)).shown(call.now_ms))


@ROUTES.patch("/workspaces/{workspace}/agents/{agent}", Permission.AGENTS_WRITE)
async def change_agent(call: Here, workspace: str, agent: str, new: AgentChange) -> Agent:
    """Moves an agent to another fleet, or labels it anew; what is left out stays."""
    done = await call.write(lambda tx: service.change(tx, agent, new, call.expected, call.now_ms))
    call.master.hub.wake([agent])
    return done


@ROUTES.post(
    "/workspaces/{workspace}/agents/{agent}/revocation", Permission.AGENTS_WRITE, status=200
)
async def revoke_agent(call: Here, workspace: str, agent: str) -> Agent:
    """Ends an agent's identity and its stream at once; it stays in the list."""
    done = await call.write(lambda tx: service.revoke(tx, agent, call.expected, call.now_ms))
    call.master.hub.cut(agent)
    return done


@ROUTES.post(
    "/workspaces/{workspace}/agents/{agent}/certificates/{serial}/revocation",
    Permission.AGENTS_WRITE,
    status=200,
)
async def revoke_certificate(call: Here, workspace: str, agent: str, serial: Serial) -> Agent:
    """Ends one certificate of an agent, and the stream that began with it, at once."""
    done = await call.write(
        lambda tx: service.revoke_certificate(tx, agent, serial, call.expected, call.now_ms)
    )
    call.master.hub.cut_certificates(agent, frozenset({serial}))
    return done


@ROUTES.post("/workspaces/{workspace}/agents/{agent}/approval", Permission.AGENTS_WRITE, status=200)
async def approve_agent(call: Here, workspace: str, agent: str) -> Agent:
    """Lets an agent come back within a day by the key of a certificate that expired long ago."""
    return await call.write(lambda tx: service.approve(tx, agent, call.expected, call.now_ms))


@ROUTES.delete("/workspaces/{workspace}/agents/{agent}", Permission.AGENTS_WRITE)
async def delete_agent(call: Here, workspace: str, agent: str) -> None:
    """Removes an agent and ends its stream; a node that is to come back enrols anew."""
    await call.write(lambda tx: service.remove(tx, agent, call.expected, call.now_ms))
    call.master.hub.cut(agent)
