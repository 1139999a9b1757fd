"""Defines the result of loading a config."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Protocol

from headgate.compile.quarantine import LastGood, Quarantined
from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import ConfigPath, Diagnostic, Severity
from headgate.kernel.ids import BlobId
from headgate.kernel.key_sets import KeySetUrl
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class Watched:
    """The files that a new load depends on: a change of one may change the result."""

    files: frozenset[PurePath]
    """Documents, certificates, secrets; unreadable ones, too."""
    globs: frozenset[PurePath]
    """Include patterns and directories' patterns: a new file that matches counts."""


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a document; line and column from 1, 0 in the environment."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class Origins(Protocol):
    """Finds the place of every entry; reads a document's text a second time on first use."""

    def place(self, kind: Kind, name: str, path: ConfigPath) -> Place | None:
        """Returns where an object, or something below it, is written; None if it is not."""
        ...


@dataclass(frozen=True, slots=True)
class Loaded:
    """The outcome of a load.

    `plan` and `node` are None exactly when a diagnostic is an error: one error refuses the whole
    config. `blobs` has the content of every blob that the plan names, by sha256.
    Diagnostics are in the order of file, line, column.
    """

    plan: Plan | None
    node: NodeSettings | None
    blobs: Mapping[BlobId, bytes]
    secrets: frozenset[str]
    """Texts of the plan that came from files or the environment: see `plan.redact.redacted`."""
    diagnostics: tuple[Diagnostic, ...]
    watched: Watched
    origins: Origins
    quarantined: Mapping[ObjectKey, Quarantined] = field(default_factory=dict)
    """Objects of providers that are not served as they are written."""
    good: LastGood = field(default_factory=LastGood)
    """The last good form of each object, once this config is served."""
    key_sets: tuple[KeySetUrl, ...] = ()
    """The key sets that its objects need from elsewhere."""
    key_set_contents: Mapping[str, BlobId | None] = field(default_factory=dict)
    """The digest that was read of each of them, by its id; None where nothing was there."""

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that refuse the config."""
        return tuple(d for d in self.diagnostics if d.severity is Severity.ERROR)

    def place(self, kind: Kind, name: str, *path: str | int) -> Place | None:
        """Returns where an object, or something below it, is written; None if it is not."""
        return self.origins.place(kind, name, path)
