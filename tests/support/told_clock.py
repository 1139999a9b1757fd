"""A clock in the place of a module's `time`: it stands still, and goes on where somebody waits."""

from dataclasses import dataclass, field


@dataclass
class ToldClock:
    """`waits` holds each wait, in seconds."""

    now: float = 100.0
    waits: list[float] = field(default_factory=list)

    def monotonic(self) -> float:
        """Returns the time."""
        return self.now

    def sleep(self, seconds: float) -> None:
        """Waits: the time is over at once."""
        self.waits.append(seconds)
        self.now += seconds
