"""The documents of the admin API."""

import functools
import importlib.metadata
from typing import Literal

import msgspec

from headgate.engines.status import EngineStatus, LimitStoreStatus
from headgate.engines.types import UpstreamStatus
from headgate.kernel.diagnostics import Diagnostic
from headgate.node.agent.about import MasterStatus
from headgate.node.key_sets.about import KeySetStatus
from headgate.node.link import About
from headgate.node.remote.peer import LinkStatus
from headgate.node.results import ReloadResult
from headgate.node.rights import ProcessRights


@functools.cache
def version() -> str:
    """Returns the version of the package that was installed when this was first asked: the version
    that runs, though another one may be installed since."""
    try:
        return importlib.metadata.version("headgate")
    except importlib.metadata.PackageNotFoundError:
        return "0.0.0"


class QuarantinedObject(msgspec.Struct, frozen=True):
    """An object of a provider that is not served as it is written.

    `form` says what is served of it: `last good`, `closed` (requests get 503,
    connections are closed, datagrams are dropped) or `absent`.
    """

    kind: str
    name: str
    form: str
    why: str


class ConfigStatus(msgspec.Struct, frozen=True):
    """The config that is served, and the last reload; `digest` is hex, times are Unix seconds.

    `warnings` are about the config that is served, as `headgate check` gives them; they come a
    moment after it. `objects` is null where it is not known: beside a data plane without a
    control process.
    """

    sources: list[str]
    digest: str
    objects: int | None
    last_success_at: float
    last_reload: ReloadResult | None
    warnings: tuple[Diagnostic, ...] = ()
    quarantined: list[QuarantinedObject] = []


class ProcessStatus(msgspec.Struct, frozen=True):
    """The process that answers."""

    version: str
    pid: int
    uptime_s: float


class NodeStatus(msgspec.Struct, frozen=True):
    """`GET /status`. `engine` is what serves, in the same words for both engines; `supervisor` is
    null when gone.

    Where the planes of a node are apart, `link` is the control link; a data plane's side has a
    `gate` and no `control`, and on the other side `supervisor` and `engine` are those of the other
    host.
    """

    ready: bool
    reason: str
    control: ProcessStatus | None
    config: ConfigStatus
    supervisor: About | None
    engine: EngineStatus
    processes: list[ProcessRights] = []
    """The rights of each process; where nginx serves, its processes are not among them."""
    warnings: list[str] = []
    """Warnings of rights that a process has and does not need."""
    gate: ProcessStatus | None = None
    link: LinkStatus | None = None
    master: MasterStatus | None = None
    """An agent's state with its master; null on a node without a master."""
    key_sets: list[KeySetStatus] = []
    """The key sets of tokens that are fetched."""


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """`GET /health`: `ok`, `degraded` (an endpoint is not up, a key set of tokens could not be
    fetched, the store of limits across nodes is away) or `down` (no data plane).
    """

    status: str
    upstreams: list[UpstreamStatus]
    key_sets: list[KeySetStatus] = []
    limit_store: LimitStoreStatus | None = None


class PlanObjectDocument(msgspec.Struct, frozen=True):
    """One object of the plan that is served."""

    kind: str
    name: str
    digest: str
    value: msgspec.Raw


class ConfigDocument(msgspec.Struct, frozen=True):
    """`GET /config`: the plan that is served; key material is named by its hash.

    Texts that came from files or the environment are shown as `(secret)`.
    """

    digest: str
    objects: list[PlanObjectDocument]


class EndpointOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /endpoint`: what an operator orders for one endpoint."""

    upstream: str
    endpoint: str
    state: Literal["ready", "drain", "maintenance"]


class Problem(msgspec.Struct, frozen=True):
    """An error answer."""

    error: str


class Done(msgspec.Struct, frozen=True):
    """The answer to something that was begun."""

    ok: bool = True
