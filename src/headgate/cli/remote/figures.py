"""The traffic that a fleet served, as the command `fleet-metrics` asks for it and shows it."""

from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import quote

from headgate.cli.remote.client import Json, Master
from headgate.cli.remote.errors import MasterError
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration

Query = Mapping[str, str | int]

_COLUMNS: Final = (
    "at",
    "nodes",
    "requests",
    "per_second",
    "4xx",
    "5xx",
    "endpoint_failures",
    "connections",
    "drifting",
    "p50_ms",
    "p99_ms",
)


def window(range_: str, step: str, by: str, agent: str) -> Query:
    """Returns the query for these options; raises MasterError for one that is not a time."""
    found: dict[str, str | int] = {
        "range_s": _seconds("--range", range_),
        "step_s": _seconds("--step", step),
        "by": by,
    }
    return found | ({"agent": agent} if agent else {})


def _seconds(option: str, text: str) -> int:
    try:
        return Duration.parse(text).ms // 1_000
    except Invalid as error:
        raise MasterError(f"{option}: {error}") from error


def points(master: Master, fleet: str, query: Query) -> Iterator[Json]:
    """Yields the points of a fleet; raises MasterError."""
    path = f"/workspaces/{master.workspace}/fleets/{quote(fleet, safe='')}/metrics"
    return master.all(path, **query)


def columns(by: str, agent: str) -> tuple[str, ...]:
    """Returns the columns of the table."""
    return ("agent", *_COLUMNS) if by == "agent" or agent else _COLUMNS


def cells(point: Json) -> Json:
    """Returns a point as a line of the table.

    >>> cells({"at": "…", "seconds": 60, "requests": 90, "client_errors": 4})["per_second"]
    1.5
    """
    requests, seconds = point.get("requests"), point.get("seconds")
    known = isinstance(requests, int) and isinstance(seconds, int) and seconds > 0
    return dict(point) | {
        "per_second": round(requests / seconds, 2) if known else None,  # type: ignore[operator]
        "4xx": point.get("client_errors"),
        "5xx": point.get("server_errors"),
        "p50_ms": point.get("latency_p50_ms"),
        "p99_ms": point.get("latency_p99_ms"),
    }
