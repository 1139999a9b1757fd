"""The request of `headgate logs` to a master, and the display of the answer."""

from collections.abc import Iterator
from typing import cast
from urllib.parse import quote

from headgate.cli.output import printable
from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.drifting import path_of
from headgate.cli.remote.errors import MasterError
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration

_SEARCHED = ("searched", "cut")


def query(*, since: str, **filters: str) -> Json:
    """Returns the body for these options; raises MasterError for one that is not a time."""
    try:
        seconds = max(1, Duration.parse(since).ms // 1_000)
    except Invalid as error:
        raise MasterError(f"--since: {error}") from error
    return {"since_s": seconds} | {name: value for name, value in filters.items() if value}


def found(master: Master, fleet: str, agent: str, body: Json) -> Json:
    """Searches the nodes of a fleet, or of an agent; raises MasterError."""
    if agent:
        return master.ask("POST", f"{path_of(master, agent)}/logs", body)
    path = f"/workspaces/{master.workspace}/fleets/{quote(fleet, safe='')}/logs"
    return master.ask("POST", path, body)


def lines(answer: Json) -> Iterator[str]:
    """Yields what a person reads: each line after the name of its agent."""
    for one in cast("list[Json]", answer["lines"]):
        yield printable(f"{one['name']}  {one['text']}")


def notes(answer: Json) -> Iterator[str]:
    """Yields which agents did not answer, or not whole, and why.

    >>> list(notes({"agents": [{"name": "a", "state": "away", "why": "gone"}]}))
    ['a is away: gone']
    """
    for one in cast("list[Json]", answer["agents"]):
        if one["state"] != "searched":
            yield printable(f"{one['name']} is {one['state']}: {one['why']}")
    if left_out := answer.get("agents_left_out"):
        yield f"{left_out} more agents were not asked"


def is_any_searched(answer: Json) -> bool:
    """Says whether any agent answered."""
    return any(one["state"] in _SEARCHED for one in cast("list[Json]", answer["agents"]))
