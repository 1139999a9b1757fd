"""Shows drifted files three ways: what headgate wrote last, what is on disk, what it would write
now. Bounded, and without secrets."""

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple

from headgate.engines.nginx.common.drifted import DriftFile, DriftReport, Next
from headgate.engines.nginx.common.spelling import spellings
from headgate.engines.nginx.drift.artefacts import Original, content_of, is_secret, lines_of
from headgate.engines.nginx.drift.finding import Desired, Edit, Finding
from headgate.kernel.redaction import redacted

MOST_FILES: Final = 20
_MOST_BYTES: Final = 8 << 10
_MOST_LINES: Final = 20_000
"""Longer files are not compared: the time of a diff grows with the square."""
_IN_A_RELEASE: Final = 2


class Sides(NamedTuple):
    """The sides of the comparison: what was written, and what would be written now by path within
    a release, None where that is not known. `secrets` are texts of plans that nothing may show."""

    original: Original
    now: Mapping[str, bytes] | None
    secrets: Collection[str] = ()


class Standing(NamedTuple):
    """The action on drift, and what keeps it from being taken; see `DriftReport`."""

    policy: str
    held: str = ""
    alarm: str = ""


class Seen:
    """The time since which each file differs: when a look found it first. Times in Unix seconds."""

    def __init__(self) -> None:
        self.since = 0.0
        """The time since which anything differs; 0: nothing does."""
        self._since: dict[str, float] = {}

    def saw(self, finding: Finding, now: float) -> None:
        """Takes the finding of a look at `now`."""
        self.since = (self.since or now) if finding.is_drift else 0.0
        paths = {edit.path for edit in finding.edits}
        known = {path: at for path, at in self._since.items() if path in paths}
        self._since = dict.fromkeys(paths, now) | known

    def of(self, path: str) -> float:
        """Returns since when a file differs."""
        return self._since.get(path, self.since)


def reported(
    finding: Finding, desired: Desired, seen: Seen, sides: Sides, standing: Standing
) -> DriftReport:
    """Returns what others are told of a finding, with its first files three ways. Blocks; raises
    OSError as `original` does.
    """
    root, edits = Path(desired.root), finding.edits[:MOST_FILES]
    sides = sides._replace(secrets=spellings(sides.secrets))
    return DriftReport(
        since=seen.since,
        states=tuple(map(str, finding.states)),
        files=tuple(_file(root, edit, seen.of(edit.path), sides) for edit in edits),
        total=len(finding.edits),
        policy=standing.policy,
        held=standing.held,
        alarm=standing.alarm,
    )


def _file(root: Path, edit: Edit, since: float, sides: Sides) -> DriftFile:
    wrote, there = sides.original(edit.path), content_of(root / edit.path)
    would = None if sides.now is None else sides.now.get(_within(edit.path))
    word = _word(edit, wrote, there, sides.now is not None, would)
    if edit.how in {"mode", "link"}:
        return DriftFile(edit.path, edit.how, since, "", word)
    hidden = is_secret(root / edit.path, wrote, there, would)
    diff = _diff(edit.path, wrote, there, sides, is_hidden=hidden)
    other = _diff(edit.path, wrote, would, sides, is_hidden=hidden) if word == "other" else ""
    return DriftFile(edit.path, edit.how, since, diff, word, other)


def _within(path: str) -> str:
    """Returns the path within its release.

    >>> _within("releases/7-0a1b2c3d4e5f/maps/client.conf")
    'maps/client.conf'
    """
    return str(PurePosixPath(*PurePosixPath(path).parts[_IN_A_RELEASE:]))


def _word(
    edit: Edit, wrote: bytes | None, there: bytes | None, is_known: bool, would: bytes | None
) -> Next:
    if not is_known or edit.how == "link" or (wrote is None and edit.how != "added"):
        return "unknown"
    if would is None:
        return "none"
    if would == wrote:
        return "same"
    return "disk" if would == there else "other"


def _diff(path: str, old: bytes | None, new: bytes | None, sides: Sides, *, is_hidden: bool) -> str:
    before, after = lines_of(old), lines_of(new)
    is_text = before is not None and after is not None
    if is_hidden or not is_text or len(before or ()) + len(after or ()) > _MOST_LINES:
        return "(the contents are not shown)\n"
    a, b = (
        "/dev/null" if one is None else f"{side}/{path}" for side, one in (("a", old), ("b", new))
    )
    # What is secret goes before the lines are compared: a diff could begin within it.
    old_lines, new_lines = (
        redacted("".join(lines or ()), sides.secrets).splitlines(keepends=True)
        for lines in (before, after)
    )
    text = "".join(difflib.unified_diff(old_lines, new_lines, a, b))
    return _cut(text or "(only what is left out as a secret differs)\n")


def _cut(text: str) -> str:
    """Returns the text, or its first lines and how many more there are."""
    raw = text.encode(errors="replace")
    if len(raw) <= _MOST_BYTES:
        return text
    kept = raw[:_MOST_BYTES].decode(errors="ignore").rpartition("\n")[0]
    more = text.count("\n") - kept.count("\n") - 1
    return f"{kept}\n({more} more lines)\n"
