"""Defines how a reload ended."""

from enum import StrEnum

import msgspec

from headgate.kernel.diagnostics import Diagnostic


class Outcome(StrEnum):
    """`refused`: the config is wrong; `failed`:
    we could not serve it (no data plane, no supervisor).
    """

    APPLIED = "applied"
    UNCHANGED = "unchanged"
    REFUSED = "refused"
    FAILED = "failed"


class ReloadResult(msgspec.Struct, frozen=True, kw_only=True):
    """One run of the pipeline.

    `digest` names the plan served afterwards (hex; empty without one). Times are milliseconds:
    `load_ms` reading and compiling, `apply_ms` until every worker served it, of which `waited_ms`
    the engine waited for other changes. `at` is Unix seconds. `is_undone`: the engine had gone over
    to a refused config, and went back. `is_passing`: a refusal has a cause outside of it,
    so that another try may serve it.
    """

    outcome: Outcome
    reason: str = ""
    at: float = 0.0
    digest: str = ""
    diagnostics: tuple[Diagnostic, ...] = ()
    error: str = ""
    load_ms: float = 0.0
    apply_ms: float = 0.0
    waited_ms: float = 0.0
    objects: int = 0
    is_undone: bool = False
    is_passing: bool = False

    @property
    def is_ok(self) -> bool:
        """True if the config that it found is the one served."""
        return self.outcome in {Outcome.APPLIED, Outcome.UNCHANGED}
