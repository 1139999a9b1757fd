"""Types for how an apply ended, and for its progress."""

from dataclasses import dataclass

from headgate.engines.nginx.apply.causes import Finding
from headgate.engines.nginx.apply.journal import Step
from headgate.engines.nginx.apply.verdict import Outcome
from headgate.engines.nginx.releases.names import ReleaseName


@dataclass(frozen=True, slots=True)
class Applied:
    """A generation serves, proven. Times in seconds.

    `reload_s`: from the signal until every answer came from the new generation; `verified_s`: from
    the signal until all of VERIFY held. `warnings` lost no traffic; `caveats` are what remained
    unknown or was overcome.
    """

    generation: int
    release: ReleaseName
    reload_s: float
    verified_s: float
    warnings: tuple[Finding, ...] = ()
    caveats: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rejected:
    """A generation does not serve; `cause` is the first of `findings`.

    `step` is where it ended. `outcome` is None before SWAP: nothing had changed. `serving` is the
    release proven to serve afterwards, None before SWAP and where none is proven. `is_degraded`:
    going back to what was current before failed; people must look. `undone_s`: from the failure's
    detection until the old release was proven to serve again.
    """

    generation: int
    step: Step
    cause: Finding
    findings: tuple[Finding, ...] = ()
    warnings: tuple[Finding, ...] = ()
    release: ReleaseName | None = None
    outcome: Outcome | None = None
    serving: ReleaseName | None = None
    is_degraded: bool = False
    undone_s: float = 0.0
    caveats: tuple[str, ...] = ()

    @property
    def is_transient(self) -> bool:
        """True if the same release may be accepted later as it is."""
        return self.cause.is_transient

    def text(self) -> str:
        """Returns one line for people: object, file and line, what is wrong.

        >>> cause = Finding("syntax", 'unknown directive "x"', "http/shop.conf", 3, "route shop")
        >>> Rejected(7, "test", cause).text()
        'generation 7 refused at test: route shop: http/shop.conf:3: unknown directive "x"'
        """
        place = f"{self.cause.file}:{self.cause.line}" if self.cause.line else self.cause.file
        parts = [one for one in (self.cause.object, place, self.cause.text) if one]
        end = ""
        if self.is_degraded and not self.serving:
            end = "; NO RELEASE IS PROVEN TO SERVE"
            if self.caveats:
                end += f": {'; '.join(self.caveats)}"
        return f"generation {self.generation} refused at {self.step}: {': '.join(parts)}{end}"


Result = Applied | Rejected


@dataclass(frozen=True, slots=True)
class PhaseChanged:
    """An apply takes a step; `at` in seconds since the epoch."""

    generation: int
    step: Step
    at: float
    target: ReleaseName | None = None
