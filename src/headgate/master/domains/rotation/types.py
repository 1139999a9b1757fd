"""The bodies and answers of rotations."""

from typing import Literal

from pydantic import Field

from headgate.master.api.types import Body, Moment, View

Step = Literal["announce", "switch", "finish"]
Stage = Literal["steady", "announced", "switched"]


class RotationStep(Body):
    """The next step of the rotation of the fleet's authority."""

    step: Step = Field(
        description="`announce` makes a second authority that is trusted; `switch` lets it issue;"
        " `finish` removes the old one."
    )
    is_forced: bool = Field(
        default=False,
        description="Go on though agents are not ready; they will have to enrol anew.",
    )


class OneAuthority(View):
    """A certificate authority of the fleet."""

    pin: str = Field(description="`sha256:` and the hash of its public key, as in join tokens.")
    name: str
    is_issuing: bool
    expires_at: Moment


class WaitingAgent(View):
    """An agent that is not ready for the next step."""

    id: str
    name: str
    workspace_id: str
    seen_at: Moment | None


class AuthorityStatus(View):
    """The state of the rotation of the fleet's authority."""

    stage: Stage
    authorities: list[OneAuthority]
    agents: int = Field(
        description="Agents and data planes that count: neither revoked nor away for too long."
    )
    waiting: int = Field(description="How many of them are not ready for the next step.")
    first_waiting: list[WaitingAgent] = Field(description="The first 20 of those.")
    next: Step | None = Field(description="The step that may follow; null: agents are not ready.")


class OneKey(View):
    """A key of the master."""

    name: str = Field(description="A name made of the key's hash.")
    is_first: bool = Field(
        description="Whether it is the first one in the key file: a rotation seals all with it."
    )
    secrets: int = Field(description="How many secrets it has sealed.")


class KeyStatus(View):
    """The state of the rotation of the master's key."""

    keys: list[OneKey]
    unknown: int = Field(description="Secrets that no key of this master opens.")
    is_rotated: bool = Field(
        description="Whether the first key has sealed every secret. No master seals with an older"
        " one from then on."
    )
