"""Holds what all parts of a rendering share."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from headgate.engines.nginx.common.types import RenderedFile, Target
from headgate.engines.nginx.render import names
from headgate.engines.nginx.render.faults import RouteLines
from headgate.features.nginx import Findings, Shared
from headgate.kernel.ids import BlobId, ObjectName
from headgate.plan.kinds import SETTINGS_NAME, Kind, ObjectKey
from headgate.plan.middleware import Middleware
from headgate.plan.objects import Certificate, Host, Listener, Route, TlsPolicy, Upstream
from headgate.plan.plan import Plan
from headgate.plan.settings import Settings
from headgate.plan.tcp import TcpRoute
from headgate.plan.udp import UdpRoute

T = TypeVar("T")
R = TypeVar("R", Route, TcpRoute, UdpRoute)


@dataclass(slots=True)
class Context:
    """The plan by kind, the target, and what the parts leave for each other.

    `listeners` are those of HTTP. `within` is the block that is rendered: the other one has its own
    directives, variables and zones.
    """

    target: Target
    blobs: Mapping[BlobId, bytes]
    settings: Settings
    listeners: Mapping[str, Listener]
    hosts: Mapping[str, Host]
    routes: Mapping[str, Route]
    middlewares: Mapping[str, Middleware]
    upstreams: Mapping[str, Upstream]
    certificates: Mapping[str, Certificate]
    policies: Mapping[str, TlsPolicy]
    tcp_listeners: Mapping[str, Listener]
    tcp_routes: Mapping[str, TcpRoute]
    udp_listeners: Mapping[str, Listener]
    udp_routes: Mapping[str, UdpRoute]
    within: Literal["http", "stream"] = "http"
    findings: Findings = field(default_factory=Findings)
    shared: Shared = field(default_factory=Shared)
    fault_lines: RouteLines = field(default_factory=RouteLines)
    zones: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, RenderedFile] = field(default_factory=dict)
    trusting: tuple[str, ...] = field(init=False)
    """The listeners that trust some peers."""
    with_http2: dict[str, bool] = field(init=False, default_factory=dict)
    """The listeners whose clients may speak HTTP/2, or not, as far as known: all hosts count."""

    def __post_init__(self) -> None:
        """Tells the shared blocks what the target accepts."""
        self.shared.plain = self.plain
        self.trusting = tuple(n for n, one in self.listeners.items() if one.client_ip.trusted)

    @property
    def plain(self) -> str:
        """The beginning of an expression that nginx does not compile to machine code, which costs
        9 KiB; empty where that cannot be asked for.
        """
        return "(*NO_JIT)" if self.has("pcre_no_jit") else ""

    def has(self, snippet: str) -> bool:
        """Reports whether the target accepts a snippet."""
        return self.target.capabilities.has(snippet)

    def file(self, path: str, blob: BlobId, *, secret: bool = False) -> str:
        """Returns the path in the release of a file with a blob's bytes."""
        mode = 0o600 if secret else 0o640
        self.secrets[path] = RenderedFile(path, self.blobs[blob], mode)
        return self.release_path(path)

    def users(self, owner: str, content: bytes) -> str:
        """Returns the path in the release of a file of users, which workers read for each request.

        It is the same in each release, so that workers that are about to end read the newest one.
        """
        path = f"users/{names.slug(owner)}.htpasswd"
        self.secrets[path] = RenderedFile(path, content)
        return self.release_path(path)

    def release_path(self, path: str) -> str:
        """Returns a path of the release as rendered text names it:
        relative where nginx.conf is ours.
        """
        return f"{self.target.root}/current/{path}" if self.target.mode == "guest" else path

    @property
    def has_stream(self) -> bool:
        """True if anything of the plan belongs into `stream`."""
        return bool(self.tcp_listeners or self.udp_listeners)


def by_listener(routes: Mapping[str, R]) -> dict[str, dict[str, R]]:
    """Returns the routes of each listener that has any, in their order."""
    found: dict[str, dict[str, R]] = {}
    for name, route in routes.items():
        for listener in route.listeners:
            found.setdefault(listener, {})[name] = route
    return found


def context_of(plan: Plan, blobs: Mapping[BlobId, bytes], target: Target) -> Context:
    """Returns the plan by kind, objects in the order of their names."""

    def of(kind: Kind, node: type[T]) -> dict[str, T]:
        return dict(_objects(plan, kind, node))

    settings = plan.objects.get(ObjectKey("settings", SETTINGS_NAME))
    value = settings.value if settings is not None else None
    listeners = of("listener", Listener)
    return Context(
        target=target,
        blobs=blobs,
        settings=value if isinstance(value, Settings) else Settings(),
        listeners={name: one for name, one in listeners.items() if one.protocol == "http"},
        hosts=of("host", Host),
        routes=of("route", Route),
        middlewares=of("middleware", Middleware),
        upstreams=of("upstream", Upstream),
        certificates=of("certificate", Certificate),
        policies=of("tls_policy", TlsPolicy),
        tcp_listeners={name: one for name, one in listeners.items() if one.protocol == "tcp"},
        tcp_routes=of("tcp_route", TcpRoute),
        udp_listeners={name: one for name, one in listeners.items() if one.protocol == "udp"},
        udp_routes=of("udp_route", UdpRoute),
    )


def _objects(plan: Plan, kind: Kind, node: type[T]) -> Iterator[tuple[ObjectName, T]]:
    for key in sorted(key for key in plan.objects if key.kind == kind):
        value = plan.objects[key].value
        if isinstance(value, node):
            yield key.name, value
