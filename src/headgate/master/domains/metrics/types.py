"""The API's types for the figures of a fleet."""

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from headgate.master.api.types import Moment, View, Window

STEPS_S: Final = (15, 60, 300, 900, 3600)


def _is_step(value: int) -> int:
    if value not in STEPS_S:
        raise ValueError(f"write one of {', '.join(map(str, STEPS_S))}")
    return value


class MetricsWindow(Window):
    """The figures that are asked for."""

    range_s: int = Field(
        default=3_600, ge=60, le=86_400, description="How far back, from now, in seconds."
    )
    step_s: Annotated[int, AfterValidator(_is_step)] = Field(
        default=60,
        description="The length of a point in seconds: 15, 60, 300, 900 or 3600. What is older"
        " than an hour is kept by the minute, what is older than six by five minutes.",
    )
    by: Literal["fleet", "agent"] = Field(
        default="fleet", description="One series for the fleet, or one for each agent."
    )
    agent: str | None = Field(
        default=None, max_length=26, description="The id of the only agent to show."
    )


class MetricsPoint(View):
    """The figures of what was served in a time. They grow until the time has ended."""

    agent: str | None = Field(description="The id of the agent; null for the whole fleet.")
    at: Moment = Field(description="When the time begins.")
    seconds: int = Field(description="How long it is; longer than asked for where it is older.")
    nodes: float = Field(
        description="How many nodes told of it, on average: 1 for an agent that told of all of it."
    )
    requests: int
    client_errors: int | None = Field(
        description="Answers with a status of 400 to 499; null if no agent says it."
    )
    server_errors: int = Field(description="Answers with a status of 500 to 599.")
    endpoint_failures: int | None = Field(
        description="Tries that failed at an endpoint; null if no agent says it."
    )
    connections: float = Field(description="Connections of clients, on average.")
    drifting: float | None = Field(
        description="Nodes whose nginx drifted, on average; null if no agent says it."
    )
    latency_p50_ms: float | None = Field(
        description="Half of the answers took at most this long; null if nobody says it."
    )
    latency_p99_ms: float | None = Field(description="The same of 99 in 100.")
