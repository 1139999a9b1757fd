"""Compares what is wanted with what is there. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal


class State(StrEnum):
    """The difference of an instance from the release it should serve; several may hold at once."""

    IN_SYNC = "in sync"
    DISK_DRIFT = "disk drift"
    FOREIGN_RELOAD = "foreign reload"
    STALE_RUNNING = "stale running"
    BINARY_CHANGED = "binary changed"


How = Literal["edited", "missing", "added", "mode", "link"]


@dataclass(frozen=True, slots=True)
class Mark:
    """The required state of a file: sha256 (hex) of its bytes, its permission bits.

    None stands for "does not matter".
    """

    sha256: str | None
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class Desired:
    """The release that was last verified, as it must look on disk.

    Paths are relative to `root` or absolute. `links` map a link to its target as written.
    `folders` may hold nothing but `files`.
    """

    generation: int
    root: str
    files: Mapping[str, Mark]
    links: Mapping[str, str] = field(default_factory=dict)
    folders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OnDisk:
    """The files and links that a look found at the paths of a `Desired`; missing ones are absent.

    A file that cannot be read has a `Mark` without digest; a link where a file should be is
    `links`, not `files`. `added` are files in its folders that should not be.
    """

    files: Mapping[str, Mark]
    links: Mapping[str, str] = field(default_factory=dict)
    added: Mapping[str, Mark] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Running:
    """The nginx that serves: the generation that its status socket answers (None: no answer).

    `was_reloaded`: all workers were replaced since our last apply, and not by us.
    """

    generation: int | None
    was_reloaded: bool = False


@dataclass(frozen=True, slots=True)
class Binary:
    """sha256 (hex) of the binary on disk and of the one its capabilities were probed with."""

    on_disk: str
    probed: str


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """One difference on disk; `sha256` of what is there instead ("" = nothing or no file)."""

    path: str
    how: How
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one look. `states` is never empty; the first is the most pressing."""

    generation: int
    states: tuple[State, ...]
    edits: tuple[Edit, ...] = ()
    running: int | None = None
    binary: str = ""

    @property
    def is_drift(self) -> bool:
        """True if a heal would mend something."""
        return bool({State.DISK_DRIFT, State.FOREIGN_RELOAD, State.STALE_RUNNING} & {*self.states})

    def text(self) -> str:
        """Returns for people: `disk drift: http/shop.conf edited, http/x.conf added`."""
        parts = []
        for state in self.states:
            about = self._about(state)
            parts.append(f"{state}: {about}" if about else str(state))
        return "; ".join(parts)

    def _about(self, state: State) -> str:
        if state is State.DISK_DRIFT:
            return ", ".join(f"{edit.path} {edit.how}" for edit in self.edits)
        if state in {State.STALE_RUNNING, State.FOREIGN_RELOAD} and self.running is not None:
            return f"generation {self.running} runs, {self.generation} should"
        return ""


def compared(
    desired: Desired, disk: OnDisk, running: Running | None = None, binary: Binary | None = None
) -> Finding:
    """Returns how an instance differs; None, which is not drift,
    for what could not be looked at.
    """
    edits = _edits(desired, disk)
    states = [State.DISK_DRIFT] if edits else []
    generation = running.generation if running else None
    if running is not None:
        is_newer = generation is not None and generation > desired.generation
        if is_newer or running.was_reloaded:
            states.append(State.FOREIGN_RELOAD)
        if generation is not None and generation < desired.generation:
            states.append(State.STALE_RUNNING)
    if binary is not None and binary.on_disk != binary.probed:
        states.append(State.BINARY_CHANGED)
    return Finding(
        generation=desired.generation,
        states=tuple(states) or (State.IN_SYNC,),
        edits=edits,
        running=generation,
        binary=binary.on_disk if binary else "",
    )


def _edits(desired: Desired, disk: OnDisk) -> tuple[Edit, ...]:
    edits = [
        Edit(path, how, (found.sha256 or "") if found else "")
        for path, wanted in desired.files.items()
        if (how := _difference(wanted, found := disk.files.get(path))) is not None
    ]
    for path, target in desired.links.items():
        if disk.links.get(path) != target:
            edits.append(Edit(path, "link" if path in disk.links else "missing"))
    edits += [Edit(path, "added", mark.sha256 or "") for path, mark in disk.added.items()]
    return tuple(sorted(edits))


def _difference(wanted: Mark, found: Mark | None) -> How | None:
    if found is None:
        return "missing"
    if wanted.sha256 is not None and wanted.sha256 != found.sha256:
        return "edited"
    if wanted.mode is not None and wanted.mode != found.mode:
        return "mode"
    return None
