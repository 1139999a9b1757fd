"""Which freeze stands in the way."""

from dataclasses import dataclass

import pytest

from headgate.master.domains.rollouts.freezes import reason_of


@dataclass(frozen=True)
class Window:
    """A freeze."""

    fleet: str
    begins_at: int
    ends_at: int
    reason: str


@pytest.mark.parametrize(
    ("fleet", "now", "reason"),
    [
        ("edge", 9, ""),
        ("edge", 10, "sale"),
        ("edge", 19, "audit"),
        ("edge", 20, "audit"),
        ("edge", 30, ""),
        ("core", 16, "sale"),
    ],
)
def test_the_freeze_that_ends_last_is_named(fleet: str, now: int, reason: str) -> None:
    windows = [Window("", 10, 20, "sale"), Window("edge", 15, 30, "audit")]
    assert reason_of(windows, fleet, now) == reason
