"""The API's types for drift."""

from typing import Literal

from pydantic import Field

from headgate.master.api.types import Moment, View

DriftPolicyName = Literal["node", "report", "heal", "adopt"]
HealState = Literal["ordered", "done", "failed", "expired"]


class HealOrder(View):
    """The heal that a person ordered last."""

    ordered_at: Moment
    state: HealState = Field(
        description="`ordered`: it is on its way. `expired`: the agent did not do it in 10 minutes."
    )
    error: str = Field(description="Why nothing was healed; empty unless it failed.")


class Proposal(View):
    """The newest attempt to make a draft of what an agent has on disk."""

    at: Moment
    state: Literal["open", "ended", "refused"] = Field(
        description="`open`: the draft waits for a person. `ended`: it was published or discarded."
        " `refused`: no draft was made of the newest drift; `draft` may be that of an earlier one."
    )
    draft: str | None = Field(description="The name of the draft, while it is there.")
    error: str = Field(description="Why no draft was made; empty unless it was refused.")


class Drift(View):
    """The differences of an agent's nginx, its files and processes, from what was applied there."""

    since: Moment | None = Field(description="When the node saw it first; null: nothing differs.")
    states: list[str] = Field(
        description="`in sync`, `disk drift`, `foreign reload`, `stale running`, `binary changed`."
    )
    files: list[str] = Field(description="The first ten files that differ.")
    count: int = Field(description="How many files differ.")
    policy: str = Field(description="What the node does about it: `report` or `heal`.")
    held: str = Field(description="Why nothing is healed now: a hold. Empty without one.")
    alarm: str = Field(description="Why a person must look; empty without an alarm.")


class DriftedFile(View):
    """One file, three ways: as headgate wrote it last, as it is, as headgate would write it now.
    Values that look like secrets are left out."""

    path: str
    how: str = Field(description="`edited`, `missing`, `added`, `mode` or `link`.")
    since: Moment = Field(description="When the node saw it first.")
    diff: str = Field(description="Unified, from what headgate wrote last to what is there.")
    next: str = Field(
        description="What headgate would write now: the `same` as it wrote last, what is on `disk`,"
        " something `other`, `none`, or `unknown`."
    )
    next_diff: str = Field(
        description="For `other`: unified, from what headgate wrote last to what it would write."
    )


class AgentDrift(View):
    """The known drift of an agent, with its first 20 files."""

    drift: Drift | None = Field(
        description="null: its engine has no files that drift, its version does not say it, or it"
        " has not looked yet."
    )
    files: list[DriftedFile]
    fleet_policy: DriftPolicyName = Field(description="What the fleet wants.")
    ignores_policy: str = Field(
        description="Why what the fleet wants is not in force at this agent; empty: it is."
    )
    heal: HealOrder | None = Field(description="null: nobody ever ordered one.")
    proposal: Proposal | None = Field(description="null: there never was one.")
