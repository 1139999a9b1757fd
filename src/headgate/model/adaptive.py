"""`adaptive_concurrency` of an upstream: how many requests it gets at a time."""

from collections.abc import Iterator, Set
from typing import Annotated

from pydantic import Field, Strict

from headgate.features.base import Checked
from headgate.features.fields import FROM_ENV
from headgate.kernel.errors import Invalid

Number = Annotated[int, Strict(), Field(ge=1, le=1_000_000), FROM_ENV]


class AdaptiveConcurrency(Checked):
    """The number of requests at a time that an upstream gets from all workers together.

    The number shrinks while answers take longer than in the long run, and grows while they do not
    and it is used (Gradient2). Requests above it wait in the queue of the upstream.
    """

    initial: Number = Field(default=20, description="The limit at the start.")
    min: Number = Field(
        default=4,
        description="The lowest limit; it is never below the number of endpoints.",
    )
    max: Number = Field(default=1_000, description="The highest limit.")

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields an error for numbers that are not in order."""
        if not wrong and not self.min <= self.initial <= self.max:
            yield Invalid(
                f"{self.initial} is not between {self.min} and {self.max}",
                "write `initial` from `min` to `max`",
                at=("initial",) if "initial" in self.model_fields_set else (),
            )
