"""The routes by which nodes become agents, and stay it. What they prove is in the body."""

from collections.abc import Awaitable
from typing import TypeVar

import msgspec
from starlette.responses import Response

from headgate.kernel.errors import Invalid
from headgate.master.access import Permission
from headgate.master.api.call import Here
from headgate.master.api.problems import ProblemError, invalid
from headgate.master.api.routing import Routes
from headgate.master.domains.enrolment.types import EnrolledAgent, Enrolment, Renewal
from headgate.master.fleet import enrolment
from headgate.master.fleet.book import AgentFacts, EnrolmentRefusedError, UnavailableError
from headgate.master.store.errors import StoreUnavailableError

ROUTES = Routes("enrolment")
T = TypeVar("T")


class PemResponse(Response):
    """Certificates as text."""

    media_type = "application/x-pem-file"


@ROUTES.get("/enrolment/authorities", Permission.PUBLIC)
async def list_authorities(call: Here) -> PemResponse:
    """Returns the fleet's authorities in PEM; a node trusts only the one that its token pins."""
    return PemResponse((await call.master.authority.authorities()).pem)


@ROUTES.post("/enrolment", Permission.PUBLIC, status=200, has_secret=True)
async def enrol(call: Here, new: Enrolment) -> EnrolledAgent:
    """Makes a node an agent: a join token and a CSR for a certificate."""
    facts = AgentFacts(new.hostname, new.program, new.labels)
    enrolled = await answered(
        enrolment.enrol_with(call.master.book, new.token, new.csr, facts, call.address)
    )
    return EnrolledAgent.model_validate(msgspec.to_builtins(enrolled))


@ROUTES.post("/enrolment/renewal", Permission.PUBLIC, status=200)
async def renew(call: Here, new: Renewal) -> EnrolledAgent:
    """Issues the next certificate of an agent, whose certificate is good or has expired for at most
    30 days."""
    trusted = [one.certificate for one in (await call.master.authority.authorities()).listed]
    request = enrolment.RenewalRequest(new.certificate, new.csr, new.signature)
    renewed = await answered(
        enrolment.renewed(
            call.master.book, request, trusted, call.master.authority.now, call.address
        )
    )
    return EnrolledAgent.model_validate(msgspec.to_builtins(renewed))


async def answered(work: Awaitable[T]) -> T:
    """Returns what `work` does; its refusals become problems. Raises ProblemError."""
    try:
        return await work
    except Invalid as error:
        raise invalid("$", error.what, error.allowed) from None
    except UnavailableError as error:
        raise StoreUnavailableError(str(error)) from error
    except EnrolmentRefusedError as error:
        if error.code == "throttled":
            headers = {"retry-after": "5"}
            raise ProblemError(429, "throttled", str(error), headers=headers) from None
        raise ProblemError(401, f"enrolment-{error.code}", str(error)) from None
