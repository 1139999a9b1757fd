"""The routes of data planes. What an end of a control link proves is in the body."""

from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.routing import Routes
from headgate.master.domains.agents import service as agents
from headgate.master.domains.data_planes import service
from headgate.master.domains.data_planes.types import (
    DataPlane,
    EnrolledDataPlane,
    NewDataPlane,
    PeerAnswer,
    PeerQuestion,
)
from headgate.master.domains.enrolment.routes import answered
from headgate.master.domains.enrolment.types import Renewal
from headgate.master.fleet.book import AgentFacts

ROUTES = Routes("data_planes")


@ROUTES.post("/enrolment/data-plane", Permission.PUBLIC, status=200, has_secret=True)
async def enrol_data_plane(call: Here, new: NewDataPlane) -> EnrolledDataPlane:
    """Makes a node the data plane of an agent: a join token that was made for it, and a CSR."""
    facts = AgentFacts(new.hostname, new.program)
    return await answered(
        call.master.data_planes.enrol(new.token, new.csr.encode(), facts, call.address)
    )


@ROUTES.post("/enrolment/data-plane/renewal", Permission.PUBLIC, status=200)
async def renew_data_plane(call: Here, new: Renewal) -> EnrolledDataPlane:
    """Issues the next certificate of a data plane, whose certificate is good or has expired for at
    most 30 days. Its key stays the same."""
    return await answered(
        call.master.data_planes.renew(
            new.certificate.encode(), new.csr.encode(), new.signature, call.address
        )
    )


@ROUTES.post("/enrolment/peer", Permission.PUBLIC, status=200)
async def get_peer(call: Here, new: PeerQuestion) -> PeerAnswer:
    """Tells either end of a control link by which key it knows the other end now."""
    return await answered(call.master.data_planes.peer(new.certificate.encode()))


@ROUTES.get("/workspaces/{workspace}/agents/{agent}/data-plane", Permission.AGENTS_READ)
async def get_data_plane(call: Here, workspace: str, agent: str) -> DataPlane:
    """Shows the data plane of an agent, if one enrolled."""
    async with call.read() as tx:
        await agents.found(tx, agent)
        return (await service.found(tx, agent)).shown()


@ROUTES.delete("/workspaces/{workspace}/agents/{agent}/data-plane", Permission.AGENTS_WRITE)
async def revoke_data_plane(call: Here, workspace: str, agent: str) -> None:
    """Ends the identity of an agent's data plane: its control plane stops to talk to it within a
    minute, and another one may enrol. Its traffic is not touched."""
    await call.write(lambda tx: service.revoke(tx, agent))
