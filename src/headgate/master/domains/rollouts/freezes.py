"""Says whether a freeze stands in the way of a rollout. Pure."""

from collections.abc import Iterable
from typing import Protocol


class Window(Protocol):
    """A freeze: of one fleet, or of all if `fleet` is empty; times in milliseconds (UTC)."""

    @property
    def fleet(self) -> str: ...
    @property
    def begins_at(self) -> int: ...
    @property
    def ends_at(self) -> int: ...
    @property
    def reason(self) -> str: ...


def reason_of(freezes: Iterable[Window], fleet: str, now_ms: int) -> str:
    """Returns the reason of the freeze that ends last of those that hold now; empty for none."""
    holding = [
        one for one in freezes if one.fleet in {"", fleet} and one.begins_at <= now_ms < one.ends_at
    ]
    return max(holding, key=lambda one: one.ends_at).reason if holding else ""
