"""Decides what a journal demands after a crash: nothing, to resume, to undo, or to finish.

Pure, and of the standard library alone. The same decision serves the node after a crash and the
guard before nginx starts; they differ in what they can see (a running nginx, or none).

| last step                        | `current` is      | decision                              |
|----------------------------------|-------------------|---------------------------------------|
| none, done                       | verified          | Settled                               |
| fetch … preflight                | verified          | Abandoned: the release is never used  |
| swap, signal, verify, soak       | unproven          | Unproven: resume if it runs, or undo  |
| rollback …, known_good           | old or unproven   | Undoing: go on with it                |
| commit                           | verified          | Committing: set the other links       |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from headgate.engines.nginx.apply.journal import Record, Step
    from headgate.engines.nginx.releases.names import ReleaseName

BEFORE_SWAP: frozenset[Step] = frozenset({"fetch", "stage", "lint", "test", "preflight"})
UNPROVEN: frozenset[Step] = frozenset({"swap", "signal", "verify", "soak"})
UNDOING: frozenset[Step] = frozenset(
    {"rollback", "rollback_signal", "rollback_verify", "known_good"}
)


@dataclass(frozen=True, slots=True)
class Settled:
    """No apply is open."""


@dataclass(frozen=True, slots=True)
class Abandoned:
    """An apply ended before it changed anything that nginx reads."""

    apply: int


@dataclass(frozen=True, slots=True)
class Unproven:
    """`current` is, or was about to be, a release that nobody has proven.

    `fallbacks`: the releases to go back to, best first; empty = there was none. `mark`: the log's
    mark of the SIGNAL step, empty before it.
    """

    apply: int
    release: ReleaseName
    fallbacks: tuple[ReleaseName, ...]
    mark: str = ""


@dataclass(frozen=True, slots=True)
class Undoing:
    """A rollback to `target` (None: to no release) was under way; `fallbacks` as in Unproven."""

    apply: int
    release: ReleaseName
    target: ReleaseName | None
    fallbacks: tuple[ReleaseName, ...]


@dataclass(frozen=True, slots=True)
class Committing:
    """A release is proven; `previous` and `known_good` may still be the old ones."""

    apply: int
    release: ReleaseName
    fallbacks: tuple[ReleaseName, ...]


Decision = Settled | Abandoned | Unproven | Undoing | Committing


def replay(records: Sequence[Record]) -> Decision:
    """Returns what to do about the last apply in a journal."""
    if not records or records[-1].step == "done":
        return Settled()
    last = records[-1]
    if last.step in BEFORE_SWAP or last.release is None:
        return Abandoned(last.apply)
    if last.step in UNPROVEN:
        return Unproven(last.apply, last.release, last.fallbacks, _mark(records, last.apply))
    if last.step in UNDOING:
        return Undoing(last.apply, last.release, last.target, last.fallbacks)
    return Committing(last.apply, last.release, last.fallbacks)


def safe_release(decision: Decision, current: ReleaseName | None) -> ReleaseName | None:
    """Returns the release nginx may start with; None = there is none.

    Without any verified release it is the unproven one, which `nginx -t` accepted: better than no
    start.
    """
    if isinstance(decision, Unproven):
        return decision.fallbacks[0] if decision.fallbacks else decision.release
    if isinstance(decision, Undoing):
        return decision.target
    if isinstance(decision, Committing):
        return decision.release
    return current


def _mark(records: Sequence[Record], apply: int) -> str:
    marks = [one.detail for one in records if one.apply == apply and one.step == "signal"]
    return marks[-1] if marks else ""
