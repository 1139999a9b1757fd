"""The types that describe a data plane to its master."""

from pydantic import Field

from headgate.master.api.types import Body, Moment, View


class NewDataPlane(Body):
    """A data plane that wants its first certificate."""

    token: str = Field(max_length=512, description="The secret of a join token of a data plane.")
    csr: str = Field(max_length=16_384, description="A certificate request, in PEM.")
    hostname: str = Field(default="", max_length=255)
    program: str = Field(default="", max_length=64, description="The version of headgate.")


class EnrolledDataPlane(View):
    """The credentials that a data plane gets."""

    agent: str = Field(description="The agent that is its control plane, and nobody else.")
    certificate: str = Field(description="Its certificate, in PEM.")
    authorities: str = Field(description="The CAs of whose certificates it accepts one, in PEM.")


class PeerQuestion(Body):
    """One end of a control link that asks about the other one."""

    certificate: str = Field(max_length=16_384, description="Its own certificate, in PEM.")


class PeerAnswer(View):
    """The credentials by which the other end of a control link is known now."""

    authorities: str = Field(description="The CAs that are trusted, in PEM.")
    is_outdated: bool = Field(
        description="Whether the asker is to renew its certificate: another authority issues now."
    )
    key: str = Field(
        description="`sha256:` and the hash of the other end's public key; empty: it was revoked,"
        " or there is none."
    )
    revoked: list[str] = Field(
        description="Serial numbers of its certificates that were revoked, in lower-case hex."
    )


class DataPlane(View):
    """The data plane of an agent's node, if it enrolled."""

    agent: str = Field(description="The id of the agent that is its control plane.")
    name: str = Field(description="Its host name, as it said it.")
    program: str = Field(description="The version of headgate that enrolled or renewed last.")
    created_at: Moment = Field(description="When it enrolled.")
    certificate_serial: str = Field(
        description="Of the certificate that was issued last, in lower-case hex."
    )
    certificate_expires_at: Moment
