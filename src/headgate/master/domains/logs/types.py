"""The API's types for searches of logs."""

from typing import Annotated, Literal

from pydantic import Field

from headgate.fleet.searches import MOST_LINES
from headgate.master.api.types import Body, Moment, View

Source = Literal["access", "events"]
State = Literal["searched", "cut", "away", "older", "silent", "failed", "unasked"]


class LogQuery(Body):
    """The lines to look for, the newest first. A field that is left out excludes nothing."""

    source: Source = Field(
        default="access",
        description="The `access` log, or the `events` that a node keeps; of events only `since_s`"
        " and `text` count.",
    )
    since_s: Annotated[int, Field(ge=1, le=31_536_000)] | None = Field(
        default=None, description="Nothing older than so many seconds."
    )
    status: Annotated[str, Field(pattern=r"^[1-5][0-9xX]{2}$")] | None = Field(
        default=None, description="A status such as `404`, or a class such as `5xx`."
    )
    host: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        default=None, description="The host of the request, without a port. JSON logs have it."
    )
    path: Annotated[str, Field(min_length=1, max_length=1_000)] | None = Field(
        default=None, description="What the target of the request begins with."
    )
    text: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="What is anywhere in the line, in upper or lower case."
    )
    limit: int = Field(
        default=100, ge=1, le=MOST_LINES, description="How many lines at most, of all agents."
    )


class FoundLine(View):
    """A line of a log as it was written, without what looks like a secret."""

    at: Moment
    agent: str = Field(description="The id of the agent.")
    name: str = Field(description="The agent's name.")
    text: str


class SearchedAgent(View):
    """The outcome of the search at an agent."""

    agent: str
    name: str
    state: State = Field(
        description="`searched`: it saw all there is. `cut`: older lines are missing. `away`: it"
        " has no session with a master. `older`: its version searches no logs. `silent`: it, or"
        " the master of its session, did not answer in time. `failed`: it has no log that can be"
        " read. `unasked`: a search asks 100 agents at most."
    )
    why: str = Field(description="What `state` does not say; empty for `searched`.")
    lines: int = Field(description="How many of its lines are in the answer.")


class FoundLogs(View):
    """The lines that a search found, the newest first, and its outcome at each agent."""

    lines: list[FoundLine]
    agents: list[SearchedAgent]
    agents_left_out: int = Field(
        description="How many agents of the fleet are not named here, after 1,000 of them."
    )
