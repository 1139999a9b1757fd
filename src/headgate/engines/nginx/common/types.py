"""Types that the parts of the nginx engine pass to each other."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NewType, Protocol

import msgspec

Generation = NewType("Generation", int)
"""Counts applies of one instance from 1 up, never reused; the name a release goes by."""

Mode = Literal["full", "guest", "observe"]
"""The owner of `nginx.conf`: we, a person who includes us, or one whose nginx we only watch."""

SignalName = Literal["HUP", "QUIT", "TERM", "USR1", "USR2", "WINCH"]


class Capabilities(msgspec.Struct, frozen=True):
    """The snippets that one nginx binary with its modules accepts, as its own `-t` said.

    `binary_digest` is the sha256 (hex) of the binary, `build` the text of `-V`; both together are
    the key of the cache. `version` is for people: no code may decide by it. `accepted` holds names
    of `headgate.engines.nginx.capabilities.snippets`; `modules` maps what must load first to its
    file (`stream` → `/…/ngx_stream_module.so`), absent when built in.
    """

    binary_digest: str
    build: str
    version: str
    accepted: frozenset[str]
    modules: Mapping[str, str] = {}

    def has(self, name: str) -> bool:
        """Reports whether the snippet of this name was accepted."""
        return name in self.accepted


@dataclass(frozen=True, slots=True)
class Target:
    """The instance to render for. Paths are absolute, as its master sees them.

    `user` is None where the master is not root (workers then run as the master's user). `workers`
    is a count, None = `auto`. `root` is the folder that `current` is in. `system_roots` is the
    system's bundle of roots in PEM, None where it has none. `shutdown_timeout_s`: nginx cuts old
    workers' connections after it, 0 = never. `endpoints` "lua": they are in a table that workers
    share, where possible. `addresses`: what the names of endpoints resolve to, so that nginx starts
    without DNS; IPv6 in brackets. nginx resolves a missing name itself. `out`: the addresses of
    each upstream that take no requests now.
    """

    capabilities: Capabilities
    mode: Mode
    generation: Generation
    root: str
    pid_path: str
    status_socket: str
    access_log: str
    error_log: str
    user: str | None = None
    workers: int | None = None
    system_roots: str | None = None
    shutdown_timeout_s: float = 60.0
    endpoints: Literal["reload", "lua"] = "reload"
    addresses: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    out: Mapping[str, frozenset[str]] = field(default_factory=dict)


class RenderedFile(msgspec.Struct, frozen=True):
    """A file of a release: path relative to it, without `..`; `mode` 0o640 or, for keys, 0o600."""

    path: str
    content: bytes
    mode: int = 0o640


class ServedName(msgspec.Struct, frozen=True):
    """A TLS name on a listener and the sha256 (hex, of the DER) of the leaves that may serve it.

    `proxied`: the listener expects a PROXY header first.
    """

    address: str
    name: str
    leaves: tuple[str, ...]
    proxied: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    """A plan as nginx text.

    `listeners` are addresses (`127.0.0.1:80`, `[::1]:80`), TCP; `zones` map a shared zone's name to
    what must not change between two releases (key, path, size); `notes` are warnings for the user:
    what works differently here.
    """

    files: tuple[RenderedFile, ...]
    listeners: tuple[str, ...]
    zones: Mapping[str, str] = field(default_factory=dict)
    served_names: tuple[ServedName, ...] = ()
    notes: tuple[str, ...] = ()


class CannotExpress(msgspec.Struct, frozen=True):
    """A field that this nginx cannot express;
    `path` is the field in the object, as in diagnostics.
    """

    kind: str
    name: str
    path: str
    message: str


class Process(msgspec.Struct, frozen=True):
    """A process of an instance; `started` is its start time in clock ticks since boot.

    A pid alone is not an identity: pid and start time together are.
    """

    pid: int
    started: int
    shutting_down: bool = False


class Tested(msgspec.Struct, frozen=True):
    """The result of `nginx -t`; `ok`: it exits with 0 and reports nothing that counts as an error.

    `problems` are `[emerg]`, `[alert]`, `[crit]` lines and warnings that lose traffic (a
    duplicate server name); `warnings` the rest.
    """

    ok: bool
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


class RightMissingError(Exception):
    """We may not do this to the instance; says which right is missing and how to get it."""


class Instance(Protocol):
    """A real nginx: its processes, its binary and the world it sees. Everything may block."""

    def master(self) -> Process | None:
        """Returns the master process; None while there is none."""
        ...

    def workers(self) -> tuple[Process, ...]:
        """Returns its workers, those that shut down included."""
        ...

    def is_upgrading(self) -> bool:
        """Reports whether a second master runs (`.oldbin`): applies must wait."""
        ...

    def test(self, conf: str, *, from_disk: bool = False) -> Tested:
        """Runs the instance's own binary on this config, confined; `from_disk`: without DNS."""
        ...

    def signal(self, name: SignalName) -> None:
        """Signals the master; raises RightMissingError, or ProcessLookupError if there is none."""
        ...

    def start(self) -> None:
        """Starts nginx on `current` where we may; raises RightMissingError if not."""
        ...

    def holder(self, address: str) -> str | None:
        """Returns who, other than this nginx, holds a listening address,
        as `name (pid 1)`; from /proc.
        """
        ...

    def kept_from_workers(self, path: str) -> str | None:
        """Returns the path of what keeps the workers' user from reading this file: a folder on the
        way, or the file; None if nothing does.
        """
        ...
