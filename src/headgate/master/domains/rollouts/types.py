"""The API's types for rollouts and freezes."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.fleet.programs import LONGEST
from headgate.master.api.filters import By, InFleet
from headgate.master.api.types import Body, Moment, Versioned, View, Window
from headgate.master.domains.rollouts.state import Phase

_Share = Annotated[float, Field(ge=0.0, le=1.0)]
_Seconds = Annotated[float, Field(ge=0.0, le=7 * 86_400.0)]


class RolloutWindow(Window):
    """The rollouts that are asked for."""

    fleet: InFleet = None
    state: Literal[Phase, "open", "ended"] | None = Field(
        default=None,
        description="Only those in this state: `open` ones have not ended, and `rolling` ones may"
        " also be paused, holding, frozen or soaking.",
    )
    revision: int | None = Field(
        default=None, ge=1, lt=1 << 62, description="Only those of the revision of this number."
    )
    program: str | None = Field(
        default=None, max_length=LONGEST, description="Only those to this version of headgate."
    )
    created_by: By | None = Field(
        default=None, description="Only those that the user or token of this name began."
    )


class FreezeWindow(Window):
    """The freezes that are asked for."""

    fleet: InFleet = Field(
        default=None, description="Only those that hold for this fleet (id or name)."
    )
    state: Literal["waiting", "active", "over"] | None = Field(
        default=None, description="Only those that have not begun, hold now, or have ended."
    )


class GateLimits(Body):
    """The limits that a wave is judged by, beside agents that it has not reached."""

    min_requests: int = Field(
        default=50, ge=0, description="Fewer decide nothing; 0 lets a fleet without traffic pass."
    )
    errors_over_control: _Share = Field(default=0.01, description="More of all requests fail.")
    latency_times_control: float = Field(default=1.5, ge=1.0, description="Of the 99th percentile.")
    latency_over_control_ms: float = Field(default=50.0, ge=0.0)
    traffic_of_control: _Share = Field(
        default=0.5,
        description="Less traffic is a failure, if the control makes at least 20 requests likely.",
    )
    failed_applies: int = Field(
        default=0, ge=0, description="How many agents may refuse it, or be away since their offer."
    )
    draining_generations: int = Field(default=3, ge=0)
    probes_over_control: _Share = Field(default=0.0)
    quarantine: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="Whether an agent that serves it without some of its objects has refused it.",
    )


class NewRollout(Body):
    """A rollout to begin."""

    fleet: str = Field(min_length=1, max_length=63, description="The fleet's name or id.")
    revision: int | None = Field(default=None, ge=1, description="The number of the revision.")
    program: str | None = Field(
        default=None,
        max_length=LONGEST,
        description="In place of a revision: the version of headgate that agents go over to.",
    )
    kind: Literal["config", "certificates", "revocation"] = Field(
        default="config",
        description="All but `config` reach every agent at once and are never undone; for "
        "approvers.",
    )
    waves: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=50)] = Field(
        default=["1", "10%", "50%", "rest"],
        description="A number of agents, a share, `label:NAME=VALUE`, `zone:NAME` or `rest`.",
    )
    soak_s: _Seconds = 300.0
    apply_s: Annotated[float, Field(ge=1.0, le=86_400.0)] = 300.0
    settle_s: Annotated[float, Field(ge=0.0, le=3_600.0)] = Field(
        default=60.0,
        description="How long a master that takes it over waits for agents to come back.",
    )
    max_unavailable: int = Field(default=0, ge=0, description="Agents at once; 0 is no limit.")
    gates: GateLimits = GateLimits()
    approvals: int = Field(
        default=0,
        ge=0,
        le=10,
        description="How many people other than its author must approve it before it begins, also"
        " with `is_now` and for every `kind`; at least as many as the fleet's policy says.",
    )
    is_now: bool = Field(
        default=False,
        description="All agents at once, without soak and in spite of freezes, but after the"
        " approvals that it needs; for approvers.",
    )
    supersede: bool = Field(
        default=False, description="Stop the rollout under way in place of waiting for it."
    )


class Ordered(Body):
    """An order for a rollout."""

    verb: Literal["pause", "promote", "abort", "undo"]


class WaveView(View):
    """One wave."""

    name: str
    members: list[str]
    began_at: Moment | None
    passed_at: Moment | None
    how: str
    outcome: Literal["pass", "fail", "inconclusive", ""]
    findings: list[str]


class StandingView(View):
    """The standing of one agent."""

    agent: str
    standing: str
    wave: int | None
    desired: int | None
    serving: int | None
    is_online: bool
    error: str
    program: str = Field(description="The version of headgate that it runs.")


class EntryView(View):
    """One line of the timeline."""

    at: Moment
    kind: str
    text: str


class RolloutView(Versioned):
    """A rollout, without its agents."""

    fleet: str
    revision: int | None = Field(description="Null: it brings a program.")
    base: int | None = Field(description="What the fleet goes back to if it is undone.")
    program: str | None = Field(
        description="The version of headgate that agents go over to. If it is undone, each goes"
        " back to what it ran before."
    )
    kind: str
    status: str = Field(
        description="What it does now. `unreadable`: this master cannot read its state; a newer"
        " rollout takes its place."
    )
    reason: str
    hold: str = Field(description="Why it holds; empty if it does not.")
    created_by: str
    created_at: Moment
    ended_at: Moment | None
    approvals: list[str]
    approvals_needed: int = Field(
        description="How many it needs before it begins, by itself or by its fleet's policy."
    )


class RolloutDetail(RolloutView):
    """A rollout with its waves, the standing of every agent, and its timeline."""

    serving_p50_s: float | None = Field(
        description="Half of the agents served the revision so soon after it was offered to them;"
        " null before the first one does."
    )
    serving_p99_s: float | None = Field(description="The same of 99 in 100.")
    waves: list[WaveView]
    unable: list[str] = Field(description="Agents that are left out, since they cannot upgrade.")
    agents: list[StandingView]
    timeline: list[EntryView]


class NewFreeze(Body):
    """A time in which no wave begins."""

    fleet: str = Field(default="", max_length=63, description="Empty for every fleet.")
    seconds: int = Field(ge=60, le=366 * 86_400, description="How long, from its beginning.")
    begins_in_s: int = Field(default=0, ge=0, le=366 * 86_400)
    reason: str = Field(min_length=1, max_length=500)


class Freeze(Versioned):
    """A time in which no wave begins; `fleet` is empty for every fleet."""

    fleet: str
    begins_at: Moment
    ends_at: Moment
    reason: str
    created_by: str
