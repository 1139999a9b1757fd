"""Defines the result of compiling one object: its plan node, its references, its problems."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from headgate.kernel.diagnostics import ConfigPath
from headgate.kernel.errors import Invalid
from headgate.kernel.ids import BlobId
from headgate.model.problems import Problem
from headgate.plan.codec import PlanObject
from headgate.plan.kinds import Kind

T = TypeVar("T")


class Ref(msgspec.Struct, frozen=True, gc=False):
    """A name of another object, and where below the referring object it stands."""

    kind: Kind
    name: str
    path: ConfigPath


@dataclass(slots=True)
class Resolved:
    """The outcome of one object; `value` is None when problems left nothing to plan."""

    value: PlanObject | None = None
    refs: list[Ref] = field(default_factory=list)
    blobs: list[BlobId] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def attempt(self, path: ConfigPath, act: Callable[[], T]) -> T | None:
        """Returns what `act` gives, or None and a problem at `path` when it raises `Invalid`."""
        try:
            return act()
        except Invalid as wrong:
            self.problems.append(Problem(path, wrong.what, wrong.allowed))
            return None
