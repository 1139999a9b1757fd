"""`fault`: delay or refuse some requests by chance.

Delay, refusal, their shares and the limit of active ones are those of Envoy's fault filter
(`envoy.filters.http.fault`).
"""

from collections.abc import Iterator, Set
from typing import Annotated, ClassVar, Final

from pydantic import AfterValidator, Field, Strict

from headgate.features.base import MiddlewareOptions
from headgate.features.fields import FROM_ENV, DurationText
from headgate.kernel.errors import Invalid
from headgate.kernel.units import Duration
from headgate.plan.middleware import DefaultedMiddlewareNode, Shown

_LONGEST: Final = Duration(300_000)


class FaultNode(DefaultedMiddlewareNode, frozen=True):
    """The plan node; the mirror of hg-middleware's `fault`.

    0 = no delay, no refusal, any number at a time.
    """

    delay_ms: int = 0
    delay_percent: int = 100
    abort: int = 0
    abort_percent: int = 100
    most: int = 0

    @property
    def does(self) -> str:
        """The delay and the refusal, and how often."""
        told = []
        if self.delay_ms:
            told.append(f"delays {self.delay_percent} % by {Duration(self.delay_ms)}")
        if self.abort:
            told.append(f"answers {self.abort_percent} % with {self.abort}")
        return ", ".join(told)

    def shown(self) -> Shown:
        """Returns nothing: it has no texts."""
        return Shown()


def _bounded(delay: Duration) -> Duration:
    if delay > _LONGEST:
        raise Invalid(f'"{delay}" is longer than a delay may be', f'write at most "{_LONGEST}"')
    return delay


Percent = Annotated[int, Strict(), Field(ge=0, le=100), FROM_ENV]


class Fault(MiddlewareOptions):
    """Delay or refuse some requests by chance, to see what clients and operators make of it."""

    key: ClassVar[str] = "fault"
    summary: ClassVar[str] = (
        "Delays or refuses requests at random, to test how failures are handled."
    )
    node = FaultNode
    aliases = ("faults", "fault_injection")

    delay: Annotated[DurationText, AfterValidator(_bounded)] | None = Field(
        default=None,
        description="How long a delayed request waits before it goes on, at most 5 minutes. "
        "Meanwhile its body stays with the client.",
    )
    delay_percent: Percent = Field(
        default=100, description="The percentage of requests that are delayed."
    )
    most: Annotated[int, Strict(), Field(ge=0, le=1_000_000), FROM_ENV] = Field(
        default=0,
        description="The most delayed requests in progress at once, on all workers; beyond it "
        "requests are not delayed. 0 = no limit.",
    )
    abort: Annotated[int, Strict(), Field(ge=400, le=599), FROM_ENV] | None = Field(
        default=None, description="Refuse requests with this status, 400 to 599."
    )
    abort_percent: Percent = Field(
        default=100, description="The percentage of requests that are refused, after their delay."
    )

    def contradictions(self, wrong: Set[str]) -> Iterator[Invalid]:
        """Yields errors for a fault that does nothing, and for shares of nothing."""
        given = self.model_fields_set | wrong
        if not {"delay", "abort"} & given and self.may_lack(wrong):
            yield Invalid("the fault does nothing", "write `delay` or `abort`")
            return
        for key, of in (("delay_percent", "delay"), ("most", "delay"), ("abort_percent", "abort")):
            if key in given and of not in given and self.may_lack(wrong):
                allowed = f"write `{of}`, or leave `{key}` out"
                yield Invalid(f"`{key}` does nothing without `{of}`", allowed, at=(key,))

    def to_plan(self) -> FaultNode:
        """Returns the fault's plan node."""
        return FaultNode(
            delay_ms=self.delay.ms if self.delay else 0,
            delay_percent=self.delay_percent,
            abort=self.abort or 0,
            abort_percent=self.abort_percent,
            most=self.most,
        )
