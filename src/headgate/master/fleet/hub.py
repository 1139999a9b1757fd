"""The live sessions of a master: whom to wake, whom to cut."""

from collections.abc import Iterable
from typing import Protocol


class Hub(Protocol):
    """What the rest of the master may ask of the streams, from the loop that they run in."""

    def wake(self, agent_ids: Iterable[str]) -> None:
        """What these agents must serve may have changed: asks the book and offers, debounced."""
        ...

    def connected(self) -> frozenset[str]:
        """Returns the agents that have a live session."""
        ...

    def cut(self, agent_id: str) -> None:
        """Ends the agent's session now: it was revoked."""
        ...
