"""What a node tells of itself as tests read it: metrics, `headgate status`, health.

A counter is written after the answer that it counts, a state is told after the change. So nothing
here looks only once; what must not come about at all is asked after something that comes later.
"""

import subprocess
from collections.abc import Callable
from typing import Any, Protocol

from waiting import until


class Measured(Protocol):
    """What has metrics."""

    def metric(self, name: str) -> float:
        """The value of a metric; -1 while there is none."""
        ...


class Commanded(Protocol):
    """What verbs of the CLI run against."""

    def command(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Runs one."""
        ...


class Driving(Protocol):
    """What serves through an nginx."""

    def engine(self) -> dict[str, Any]:
        """What `GET /status` says of what serves."""
        ...


class Asked(Protocol):
    """What answers over its admin socket."""

    def admin(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        """Status and body of an answer."""
        ...


def until_metric(node: Measured, name: str, value: float) -> None:
    """Waits until a metric has exactly this value."""
    _until(node, name, value, value)


def until_metric_at_least(node: Measured, name: str, least: float) -> None:
    """Waits until a metric has this value or more."""
    _until(node, name, least, float("inf"))


def _until(node: Measured, name: str, least: float, most: float) -> None:
    seen = -1.0

    def is_told() -> bool:
        nonlocal seen
        seen = node.metric(name)
        return least <= seen <= most

    try:
        until(is_told, name)
    except AssertionError as error:
        raise AssertionError(f"{name} is {seen}, not {least} to {most}: {error}") from None


def answering(node: Driving) -> dict[str, Any]:
    """What a node says of its nginx, once a worker told it the release: one that is held up tells
    nothing."""
    found: dict[str, Any] = {}

    def is_told() -> bool:
        nonlocal found
        found = node.engine()
        return found["nginx"]["running"] is not None

    until(is_told, "a worker's answer")
    return found


def until_metrics_say(node: Asked, *texts: str) -> str:
    """The page of metrics, once all of these stand in it."""
    return _once_said(lambda: _page(node, "/metrics"), texts)


def until_health_says(node: Asked, *texts: str) -> str:
    """What `GET /health` answers, in JSON, once all of these stand in it."""
    return _once_said(lambda: _page(node, "/health"), texts)


def until_status_says(node: Commanded, *texts: str) -> str:
    """What `headgate status` prints, once all of these stand in it."""
    return _once_said(lambda: node.command("status").stdout, texts)


def _page(node: Asked, path: str) -> str:
    return node.admin("GET", path)[1].decode()


def _once_said(ask: Callable[[], str], texts: tuple[str, ...]) -> str:
    said = ""

    def is_told() -> bool:
        nonlocal said
        said = ask()
        return all(text in said for text in texts)

    try:
        until(is_told, f"{texts}")
    except AssertionError as error:
        missing = [text for text in texts if text not in said]
        raise AssertionError(f"{missing} is not told: {error}\n{said}") from None
    return said
