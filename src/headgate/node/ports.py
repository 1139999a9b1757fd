"""What the pipeline needs from its two ends, and what passes between them."""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from headgate.compile.explanation import Locate as Places
from headgate.compile.located import Locate
from headgate.compile.settings import NodeSettings
from headgate.kernel.diagnostics import Diagnostic
from headgate.kernel.ids import BlobId
from headgate.plan.kinds import Kind
from headgate.plan.plan import Plan


def _nowhere(_kind: Kind, _name: str, _path: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A config that compiled: what could be served.

    `blobs` holds the material that the plan names; `warnings` are diagnostics that refuse nothing,
    `locate` and `places` find what the user wrote. `secrets` are texts of the plan that nobody may
    be shown. `lints` looks at every object for what is hardly meant: not before it is served.
    """

    plan: Plan
    node: NodeSettings
    blobs: Mapping[BlobId, bytes]
    warnings: tuple[Diagnostic, ...]
    locate: Locate
    places: Places = _nowhere
    secrets: frozenset[str] = frozenset()
    lints: Callable[[], tuple[Diagnostic, ...]] = tuple


@dataclass(frozen=True, slots=True)
class Rejected:
    """A config that did not compile, with everything that is wrong with it."""

    diagnostics: tuple[Diagnostic, ...]


class Source(Protocol):
    """Where the config comes from."""

    def load(self) -> Candidate | Rejected:
        """Reads and compiles what is there now. Called off the loop, one call at a time."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yields when the config may have changed; ends never, or at once if it cannot tell."""
        ...

    def names(self) -> list[str]:
        """What people would call it: file names."""
        ...


class Sockets(Protocol):
    """Who opens listeners: the supervisor."""

    async def listen(self, addresses: list[str], backlog: int) -> None:
        """Opens all of them or raises `headgate.node.link.BusyError`."""
        ...

    async def release(self, addresses: list[str]) -> None:
        """Closes them once their queues are empty."""
        ...

    async def workers(self, count: int | None) -> None:
        """Has so many workers; None = one per CPU."""
        ...


class Ours(Protocol):
    """What the control process itself changes with a config: admin addresses, log level."""

    def prepare(self, settings: NodeSettings) -> list[str]:
        """Opens what is new without using it; what is wrong, empty when nothing is."""
        ...

    def commit(self) -> None:
        """Uses what was prepared and closes what is gone."""
        ...

    def abandon(self) -> None:
        """Closes what was prepared."""
        ...
