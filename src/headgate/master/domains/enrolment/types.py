"""The bodies and answers of enrolment; `headgate.master.fleet.enrolment` reads the same."""

from pydantic import Base64Bytes, Field

from headgate.master.api.types import Body, View
from headgate.master.domains.fleets.types import Labels


class Enrolment(Body):
    """A node that wants to become an agent."""

    token: str = Field(max_length=512, description="The secret of a join token.")
    csr: str = Field(max_length=16_384, description="A certificate request, in PEM.")
    hostname: str = Field(default="", max_length=255)
    program: str = Field(default="", max_length=64, description="The version of headgate.")
    labels: Labels = Field(default={})


class Renewal(Body):
    """An agent that wants its next certificate."""

    certificate: str = Field(max_length=16_384, description="Its certificate, in PEM.")
    csr: str = Field(max_length=16_384, description="A certificate request, in PEM.")
    signature: Base64Bytes = Field(
        description="Of the agent's id and the request, by the key of the certificate; base64."
    )


class EnrolledAgent(View):
    """The credentials that an agent gets."""

    agent: str
    certificate: str = Field(description="Its certificate, in PEM.")
    authorities: str = Field(description="Whom it trusts as a master, in PEM.")
    manifest_keys: list[str] = Field(description="Ed25519 keys that sign manifests; base64.")
