"""Types for what a node says of drift to others."""

from dataclasses import dataclass
from typing import Literal

Next = Literal["same", "disk", "other", "none", "unknown"]
"""The content that headgate would write now: the same as it wrote last, what is on disk, something
else, no such file; `unknown` where it cannot tell."""


@dataclass(frozen=True, slots=True)
class DriftFile:
    """One file three ways, without secrets: `diff` is unified, from what headgate wrote last to
    what is there; `next_diff`, for `other`, from what it wrote to what it would write now. `since`
    is when it was seen first, in Unix seconds."""

    path: str
    how: str
    since: float
    diff: str = ""
    next: Next = "unknown"
    next_diff: str = ""


@dataclass(frozen=True, slots=True)
class DriftReport:
    """The differences of an nginx from what was applied. `since` 0: none. `policy` is in force;
    `held` says why nothing is healed now, `alarm` why a person must look."""

    since: float
    states: tuple[str, ...]
    files: tuple[DriftFile, ...]
    total: int
    policy: str
    held: str = ""
    alarm: str = ""
