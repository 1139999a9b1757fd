"""The types that describe an agent to its master."""

from typing import Literal

from pydantic import Field

from headgate.master.api.filters import HasLabels, InFleet, Prefix
from headgate.master.api.types import Body, Moment, Versioned, View, Window
from headgate.master.domains.drift.types import Drift
from headgate.master.domains.fleets.types import Labels

State = Literal["new", "connected", "away", "failing", "revoked"]
UpgradeState = Literal["asked", "done", "failed"]
PhaseName = Literal["received", "validated", "applied", "serving", "rolled-back", "rejected"]


class AgentWindow(Window):
    """The part of the list of agents that is asked for."""

    fleet: InFleet = None
    name_prefix: Prefix = None
    label: HasLabels = Field(default=[])
    state: State | None = Field(default=None, description="Only those that are in this state now.")
    phase: PhaseName | None = Field(
        default=None, description="Only those that are so far with what was offered last."
    )
    program: str | None = Field(
        default=None, max_length=64, description="Only those that run this version of headgate."
    )
    drifts: bool | None = Field(
        default=None,
        description="Only those whose nginx differs from what was applied there, or does not.",
    )


class AgentChange(Body):
    """The changes to an agent; what is left out stays."""

    fleet: str | None = Field(default=None, description="The id or name of another fleet.")
    labels: Labels | None = None


class Engine(View):
    """An engine that an agent drives."""

    name: str
    engine: str
    version: str
    capabilities: list[str] = Field(description="What its own probes found that it can do.")


class Facts(View):
    """The facts that an agent reported about itself."""

    program: str = Field(default="", description="The version of headgate.")
    address: str = Field(default="", description="From where it connected last.")
    engines: list[Engine] = Field(default_factory=list)
    orders: list[str] = Field(
        default_factory=list,
        description="What it can be ordered beside revisions: `drift-policy`, `heal`,"
        " `logs`. Empty: its version is older, or its engine has nothing of the kind.",
    )


class Revisions(View):
    """The five revisions of an agent; null: none yet."""

    desired: int | None = Field(description="What it must serve.")
    offered: int | None = Field(description="What was sent to it last.")
    acknowledged: int | None = Field(description="What it has taken.")
    applied: int | None = Field(description="What is in place in its engine.")
    serving: int | None = Field(description="What is proven to answer requests.")


class LastError(View):
    """The reason why an agent refused or undid a revision."""

    revision: int
    code: str
    text: str
    is_transient: bool
    object: str
    file: str
    line: int = Field(description="0: unknown.")


class Upgrade(View):
    """The state of an agent's newest order to run another version of headgate."""

    is_possible: bool = Field(description="Whether the node has a command that installs versions.")
    program: str | None = Field(description="The version of the order; null: none yet.")
    state: UpgradeState | None
    error: str = Field(description="Why it failed; empty if it did not.")


class Failing(View):
    """The failure of a node's control process at each start. Its traffic may flow meanwhile."""

    since: Moment
    starts: int = Field(description="How many starts in a row had not lasted a minute.")


class Agent(Versioned):
    """A node that enrolled."""

    name: str = Field(description="Its host name, as it said it.")
    fleet: str = Field(description="The id of its fleet.")
    labels: dict[str, str]
    state: State = Field(
        description="`failing`: its control process fails at each start, so that it comes and goes."
    )
    facts: Facts
    revisions: Revisions
    phase: str = Field(description="How far it is with what was offered last; empty: nothing yet.")
    effective_hash: str = Field(description="The hash of what its engine runs.")
    error: LastError | None
    drifts: bool | None = Field(
        description="Whether its nginx differs from what was applied there; null: not known."
    )
    drift: Drift | None = Field(
        description="How it differs; null: no nginx, an older version, or no look yet."
    )
    failing: Failing | None = Field(description="null: it starts as it should.")
    created_at: Moment
    seen_at: Moment | None
    certificate_expires_at: Moment
    certificate_serial: str | None = Field(
        description="Of the certificate that was issued last, in lower-case hex."
    )
    revoked_at: Moment | None
    upgrade: Upgrade
