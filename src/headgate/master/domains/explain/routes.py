"""The route of explanations."""

import asyncio

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.routing import Routes
from headgate.master.domains.explain import service
from headgate.master.domains.explain.types import Explained, ExplainRequest

ROUTES = Routes("explain")


@ROUTES.post(
    "/workspaces/{workspace}/agents/{agent}/explain", Permission.REVISIONS_READ, status=200
)
async def explain(call: Here, workspace: str, agent: str, wanted: ExplainRequest) -> Explained:
    """Says which route a request takes at an agent's node and why, and which nearly took it.

    The answer is made out of the config that the agent has, with the node's own values, by the
    router that nodes have; the node is not asked.
    """
    async with call.read() as tx:
        asked = await service.asked(tx, agent, wanted, call.master.sealer, call.now_ms)
    return await asyncio.to_thread(service.explained, asked, wanted)
