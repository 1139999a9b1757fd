"""The types that describe fleets."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.master.api.filters import HasLabels, Prefix
from headgate.master.api.types import Body, Moment, Name, Versioned, View, Window
from headgate.master.domains.drift.types import DriftPolicyName

MOST_LABELS = 32
LabelKey = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9._/-]{0,61}[a-z0-9])?$")]
LabelValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]{0,63}$")]
Labels = Annotated[
    dict[LabelKey, LabelValue],
    Field(max_length=MOST_LABELS, description="Words to choose by, such as `zone`: `east`."),
]
EngineName = Literal["native", "nginx", "any"]


class FleetWindow(Window):
    """The fleets that are asked for."""

    name_prefix: Prefix = None
    label: HasLabels = Field(default=[])
    engine: EngineName | None = Field(default=None, description="Only those of this engine.")


class Policies(Body):
    """The policies that hold for every agent of a fleet."""

    certificate_hours: Annotated[int, Field(ge=1, le=168)] = Field(
        default=24, description="How long an agent's certificate is good; renewed at two thirds."
    )
    most_agents: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=10_000, description="How many agents may be in the fleet; more cannot enrol."
    )
    drift: DriftPolicyName = Field(
        default="node",
        description="What agents with an nginx do when somebody else changed its files: `report`"
        " the difference; `heal` it too; `adopt`: `report` it, and the master makes a draft of it;"
        " `node`: what `node.nginx.drift` says at each node.",
    )
    heal_after_s: Annotated[int, Field(ge=0, le=86_400)] = Field(
        default=60,
        description="For `heal` and `adopt`: how long a difference must last, in seconds.",
    )
    approvals: Annotated[int, Field(ge=0, le=10)] = Field(
        default=0,
        description="How many people other than its author must approve each rollout of the fleet,"
        " also one with `is_now` and of every `kind`. Unless 0, only rollouts bring revisions to"
        " the fleet: none is published with `is_served` true, nor published again.",
    )


class NewFleet(Body):
    """A fleet to make."""

    name: Name
    labels: Labels = Field(default={})
    engine: EngineName = Field(
        default="any", description="The engine that its agents must run; `any` for both."
    )
    policies: Policies = Policies()


class FleetChange(Body):
    """The changes to a fleet; what is left out stays."""

    name: Name | None = None
    labels: Labels | None = None
    engine: EngineName | None = None
    policies: Policies | None = Field(default=None, description="Those that it leaves out stay.")


class FleetPolicies(View):
    """The policies of a fleet."""

    certificate_hours: int
    most_agents: int
    drift: DriftPolicyName
    heal_after_s: int
    approvals: int


class Fleet(Versioned):
    """The agents of a workspace that serve the same config."""

    name: str
    labels: dict[str, str]
    engine: EngineName
    policies: FleetPolicies
    revision: int | None = Field(
        description="The revision that its agents must serve; null before the first one."
    )
    created_at: Moment
