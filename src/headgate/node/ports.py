"""Defines what the pipeline needs from its two ends, and what passes between them."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from headgate.compile.explanation import Locate as Places
from headgate.compile.located import Locate
from headgate.compile.quarantine import LastGood, Quarantined, Refusal
from headgate.compile.settings import NodeSettings
from headgate.engines.status import EngineStatus
from headgate.engines.types import TapChunk, TapFilter, UpstreamStatus
from headgate.kernel.diagnostics import Diagnostic
from headgate.kernel.ids import BlobId
from headgate.kernel.key_sets import KeySetUrl
from headgate.node.agent.about import MasterStatus
from headgate.node.link import About, DataPlane
from headgate.node.results import ReloadResult
from headgate.plan.kinds import Kind, ObjectKey
from headgate.plan.plan import Plan
from headgate.providers.file.disk import Reading


def _nowhere(_kind: Kind, _name: str, _path: str) -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A config that compiled and can be served.

    `blobs` holds the material that the plan names; `warnings` are diagnostics that refuse nothing,
    `locate` and `places` find what the user wrote. `secrets` are texts of the plan that nothing may
    show. `lints` checks every object for probable mistakes; call it only once the config is served.
    `quarantined` are objects of providers that are not served as written, `good` the last good form
    of each object once this config is served. `key_sets` are those that it needs from elsewhere,
    `key_set_contents` the digest of what was read of each, by their ids.
    """

    plan: Plan
    node: NodeSettings
    blobs: Mapping[BlobId, bytes]
    warnings: tuple[Diagnostic, ...]
    locate: Locate
    places: Places = _nowhere
    secrets: frozenset[str] = frozenset()
    lints: Callable[[], tuple[Diagnostic, ...]] = tuple
    quarantined: Mapping[ObjectKey, Quarantined] = field(default_factory=dict)
    good: LastGood = field(default_factory=LastGood)
    key_sets: tuple[KeySetUrl, ...] = ()
    key_set_contents: Mapping[str, BlobId | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A config that did not compile, with all its errors."""

    diagnostics: tuple[Diagnostic, ...]


class NothingYetError(Exception):
    """There is no config yet; the message says who will send it."""


class Source(Protocol):
    """The source of the config."""

    def load(self) -> Candidate | Rejected:
        """Reads and compiles the present config. Call it outside the loop, one call at a time.

        Raises NothingYetError while there is none.
        """
        ...

    def isolate(self, candidate: Candidate, verdict: "Verdict") -> Candidate | Rejected:
        """Returns the config that `candidate` is of, with what the engine refused in quarantine;
        rejected where people wrote it, or that does not help. Call it as `load`.
        """
        ...

    def reading(self) -> Reading | None:
        """Returns the file that `load` waits for now, if any; call it from another thread."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yields when the config may have changed; ends never, or at once if it cannot tell."""
        ...

    def names(self) -> list[str]:
        """Returns its names for people: file names."""
        ...


class MasterSide(Protocol):
    """A master, for the node that it drives."""

    async def run(self) -> None:
        """Holds the connection until cancelled; raises MasterRefusesError if there will be none."""
        ...

    async def keep_identity(self) -> None:
        """Enrols if need be and renews the certificate until cancelled, without a session; raises
        MasterRefusesError if the token is refused."""
        ...

    def happened(self, result: ReloadResult) -> None:
        """Hears of each run of the pipeline."""
        ...

    @property
    def fails_to_start(self) -> bool:
        """Says whether the last starts of this process did not last."""
        ...

    async def said_failing(self) -> None:
        """Returns once the master has heard that this node fails at each start, or does not answer
        soon: what ended the last starts may end this one, too."""
        ...

    def left(self) -> None:
        """Hears that this process ends because it was told to."""
        ...

    def status(self) -> MasterStatus:
        """Returns how the node stands with its master."""
        ...


class MasterRefusesError(Exception):
    """The master does not take this node; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of serving a config: with `errors` it is refused and nothing has changed.

    `waited_s`: how long the engine let it wait for other changes, to reload less often.
    `is_undone`: the engine had gone over to it, and went back. `refused` are the objects that the
    errors are about; empty if one is about none. `is_passing`: the cause is outside of the config.
    """

    errors: tuple[Diagnostic, ...] = ()
    changed: bool = False
    waited_s: float = 0.0
    is_undone: bool = False
    refused: tuple[Refusal, ...] = ()
    is_passing: bool = False


class Able(NamedTuple):
    """The version of an engine, as it names it, and the words for what it can do."""

    version: str
    words: tuple[str, ...] = ()


class Serving(Protocol):
    """An engine, with everything it needs to serve a whole config."""

    on_event: Callable[[str, str, str, dict[str, str]], None]
    """Receives events: level (error, warn, info), dotted kind, message, fields."""

    on_wanted: Callable[[], object]
    """Called when a config that could not be served is worth another try."""

    on_applied: Callable[[Candidate], None]
    """Called with a config that is in place once the engine was told, before it is proven to serve;
    not where that is one step."""

    def begin(self, about: About) -> None:
        """Takes over what the supervisor still holds for earlier control processes."""
        ...

    def announced(self, plane: DataPlane) -> None:
        """Takes notice of the supervisor's new data plane."""
        ...

    def ended(self, plane: DataPlane) -> None:
        """Takes notice that a data plane ended; the next one is announced."""
        ...

    def lost(self) -> None:
        """Takes notice that no data plane can be reached until the next one is announced."""
        ...

    @property
    def digest(self) -> str:
        """The digest (hex) of the plan that is served, as last heard; empty = unknown."""
        ...

    @property
    def listening(self) -> set[str]:
        """The open addresses."""
        ...

    def unready(self) -> str:
        """Returns why nothing can be served now; empty when it can."""
        ...

    async def serve(self, candidate: Candidate) -> Verdict:
        """Serves a candidate whole, or reports why not with nothing changed.

        Raises EngineUnavailableError or LinkError if no process can do it.
        """
        ...

    async def settle(self, settings: NodeSettings) -> None:
        """Does what may follow once a config is served."""
        ...

    async def upstreams(self) -> list[UpstreamStatus] | None:
        """Returns every endpoint's state; None while nothing serves."""
        ...

    async def set_endpoint(self, upstream: str, endpoint: str, state: str) -> str:
        """Gives an operator's order (`ready`, `drain`, `maintenance`) for an endpoint.

        Returns why it cannot, empty when done. Raises EngineUnavailableError if nothing serves.
        """
        ...

    def tap(self, wanted: TapFilter) -> AsyncGenerator[TapChunk, None]:
        """Yields the requests from now on as they end; the first chunk says that they are shown.

        Ends when what serves is replaced. Raises EngineUnavailableError if nothing serves, and
        TapRefusedError.
        """
        ...

    async def status(self) -> EngineStatus:
        """Returns how the engine is, also while none of its processes runs."""
        ...

    async def able(self, settings: NodeSettings) -> Able | None:
        """Returns what the engine can do where it runs with these settings; None: it cannot be
        asked. The first answer may take long.
        """
        ...

    async def metrics(self) -> bytes | None:
        """Returns the families about traffic; None while nothing serves."""
        ...

    def tasks(self) -> list[Coroutine[object, object, None]]:
        """Returns the task that runs beside the pipeline for the life of the node."""
        ...

    async def close(self, *, ends: bool) -> None:
        """Releases the engine. `ends`: the whole node ends, not only this process."""
        ...


class Sockets(Protocol):
    """Opens listeners: the supervisor."""

    async def listen(self, addresses: list[str], backlog: int) -> None:
        """Opens all of them or raises `headgate.node.link.BusyError`."""
        ...

    async def release(self, addresses: list[str]) -> None:
        """Closes them once their queues are empty."""
        ...

    async def workers(self, count: int | None) -> None:
        """Sets the number of workers; None = one per CPU."""
        ...


class Objection(NamedTuple):
    """An error in a setting of the node; `path` is its place below `[node]`, if it has one."""

    path: str
    message: str
    allowed: str


class Ours(Protocol):
    """The parts of the control process that change with a config: admin addresses, log level."""

    def prepare(self, settings: NodeSettings) -> list[Objection]:
        """Opens the new resources without using them; returns the errors, if any."""
        ...

    def commit(self) -> None:
        """Uses what was prepared, and closes what the config no longer names."""
        ...

    def abandon(self) -> None:
        """Closes the prepared resources."""
        ...
