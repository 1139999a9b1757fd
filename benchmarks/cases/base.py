"""The interface of a case."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from loads import Figures, LoadError
from machine import wait_until_quiet
from peers.base import Peer
from results import Journal, Metrics

NOISE = 0.15
"""CPUs that strangers may use during a run before it counts as noisy."""

_TOLERATED = 0.001
_ATTEMPTS = 2


def checked(seen: Figures) -> Figures:
    """The figures; raises LoadError when more than one request of 1,000 failed."""
    if seen.requests == 0 or seen.failed > _TOLERATED * seen.requests:
        raise LoadError(f"{seen.requests} requests, failed: {seen.errors} {seen.error}")
    return seen


@dataclass(frozen=True)
class Context:
    """The context that every run gets."""

    backend_port: int
    backend_pid: int
    seconds: float
    """The time that is measured at saturation; a window at half load is half of it."""
    journal: Journal
    quick: bool = False


def undisturbed(run: Callable[[], Metrics], context: Context) -> Metrics:
    """Returns a run's figures, with `foreign`; a run that other processes disturb is repeated once.

    Raises LoadError when no run has figures.
    """
    found: Metrics = {}
    for attempt in range(_ATTEMPTS):
        wait_until_quiet(1.0 if context.quick else 5.0)
        try:
            found = run()
        except LoadError:
            if found or attempt < _ATTEMPTS - 1:
                continue  # a noisy run is better than none, a second attempt than giving up
            raise
        if found["foreign"] <= NOISE:
            break
    found["noisy"] = float(found["foreign"] > NOISE)
    return found


class Case(Protocol):
    """Something that is measured, once in each round for each peer."""

    @property
    def name(self) -> str:
        """As given to `--case`."""
        ...

    @property
    def title(self) -> str:
        """For the report."""
        ...

    @property
    def rounds(self) -> int:
        """At most so many rounds; for what takes long."""
        ...

    def refuses(self, peer: Peer) -> str:
        """Returns why the peer is not measured; empty if it is."""
        ...

    def measure(self, peer: Peer, context: Context) -> dict[str, Metrics]:
        """Figures by variant. Raises PeerError, LoadError."""
        ...
