"""An agent's reports of drift, as types: how files and processes of its nginx differ from what the
node applied last. Pure."""

from dataclasses import dataclass, replace
from typing import Final

MOST_FILES: Final = 20
"""Files that are named; `Drift.total` counts all of them."""
MOST_DIFF_BYTES: Final = 32 << 10
"""The most bytes that all diffs of a report hold together."""


@dataclass(frozen=True, slots=True)
class DriftedFile:
    """One file, three ways. `diff` leads from what headgate wrote last to what is there; `next`
    says what it would write now: `same` as it wrote, what is on `disk`, `other`, `none` (no such
    file), `unknown`; `next_diff` leads, for `other`, from what it wrote to that."""

    path: str
    how: str
    since_ms: int
    diff: str = ""
    next: str = "unknown"
    next_diff: str = ""


@dataclass(frozen=True, slots=True)
class HealEnd:
    """The end of the heal that the master ordered under this number; `error` empty: it was healed,
    or there was nothing to heal."""

    order: int
    error: str = ""


@dataclass(frozen=True, slots=True)
class Drift:
    """The drift of an nginx. `since_ms` 0: there is none. `policy` is in force at the node, `held`
    says why nothing is healed now, `alarm` why a person must look."""

    since_ms: int
    states: tuple[str, ...]
    files: tuple[DriftedFile, ...] = ()
    total: int = 0
    policy: str = ""
    held: str = ""
    alarm: str = ""
    heal: HealEnd | None = None


def bounded(drift: Drift) -> Drift:
    """Returns the same with at most so many files, and diffs that are no longer together than
    their bound; a diff that does not fit is left out whole, and what follows it is tried."""
    left = MOST_DIFF_BYTES
    files = []
    for file in drift.files[:MOST_FILES]:
        shown = []
        for text in (file.diff, file.next_diff):
            size = len(text.encode(errors="replace"))
            fits = size <= left
            left -= size if fits else 0
            shown.append(text if fits else f"({size} bytes, too long to show)\n")
        files.append(replace(file, diff=shown[0], next_diff=shown[1]))
    return replace(drift, files=tuple(files), total=max(drift.total, len(drift.files)))
