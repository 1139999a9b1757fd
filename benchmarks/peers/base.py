"""The interface of a peer: a proxy that can be given the same job as the other peers."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

Kind = Literal["plain", "hosts", "prefixes", "regex", "regex-free"]
Relay = Literal["", "tcp", "udp"]
Feature = Literal[
    "",
    "chain",
    "gzip",
    "br",
    "zstd",
    "forward-auth",
    "traces-1",
    "traces-100",
    "bandwidth",
    "limit",
    "limit-across",
    "response-buffer",
]
Upstream = Literal["http1", "h2c", "grpc"]


@dataclass(frozen=True)
class Setup:
    """The job, the same for every peer."""

    kind: Kind = "plain"
    """The way to tell requests apart: not at all, by host, by path prefix, by path regex with a
    literal prefix, or by one without."""
    count: int = 0
    """Hosts, prefixes or regexes."""
    tls_group: str = ""
    """TLS 1.3 on a second port, with this key exchange group only; empty = no TLS."""
    access_log: bool = False
    """JSON lines to a file."""
    version: int = 0
    """Above 0: sent in the header `x-v` of every answer."""
    first_version: int = 0
    """Above 0: instead of `version` in answers of the first route alone."""
    reloads: bool = False
    """The config will be changed while it runs."""
    unlike: bool = False
    """Routes differ in more than names: keys, numbers, middlewares. For headgate alone."""
    http2: bool = False
    """Clients speak HTTP/2, with TLS by ALPN and without it at once."""

    relay: Relay = ""
    """Layer 4 instead of HTTP: connections to the port are passed on unread; `udp`: datagrams to it
    too. Empty = HTTP."""

    upstream: Upstream = "http1"
    """The protocol to the upstream: HTTP/1.1, HTTP/2 without TLS on shared connections, or that
    for gRPC. A peer that knows HTTP/2 to upstreams for gRPC alone asks in HTTP/1.1 for `h2c`."""
    guarded: bool = False
    """Retries, a breaker, outlier detection and active checks are on. For headgate alone."""
    feature: Feature = ""
    """The feature of the route besides forwarding (`features.py`)."""

    def pattern(self, index: int) -> str:
        """The host, prefix or regex with this number; a regex matches a path to its end."""
        return {
            "plain": "",
            "hosts": f"h{index}.example",
            "prefixes": f"/r{index}/",
            "regex": f"/r{index}/[a-z0-9]+/b/[0-9]+",
            "regex-free": f"/[a-z0-9]+/r{index}/b/[0-9]+",
        }[self.kind]

    def target(self, index: int, path: str = "/b/13") -> tuple[str, str]:
        """Host and path of a request for it; `@` stands for a number that never repeats."""
        host = self.pattern(index) if self.kind == "hosts" else "bench.example"
        return host, {
            "plain": path,
            "hosts": path,
            "prefixes": f"/r{index}/abc{path}",
            "regex": f"/r{index}/a@{path}",
            "regex-free": f"/a@/r{index}{path}",
        }[self.kind]


@dataclass(frozen=True)
class Place:
    """The folder where a peer runs, and the ports and files that it uses."""

    folder: Path
    http_port: int
    tls_port: int
    backend_port: int
    cert: Path
    key: Path
    both: Path
    store_port: int = 6379
    """Of a Redis, for limits across nodes."""

    @property
    def access_log(self) -> Path:
        """The file of the access records."""
        return self.folder / "access.log"


@dataclass
class Processes:
    """A running peer's processes: those that carry traffic, and all of them."""

    data: list[int] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)


class Peer(Protocol):
    """A proxy that is measured."""

    name: str

    def missing(self) -> str:
        """Returns why it cannot be run here; empty if it can."""
        ...

    def version(self) -> str:
        """Returns the version that it reports."""
        ...

    def refuses(self, setup: Setup) -> str:
        """Returns why it cannot do that job; empty if it can."""
        ...

    def command(self, setup: Setup, place: Place) -> list[str]:
        """Writes the config and says how to start it; it stays in the foreground."""
        ...

    def config_text(self, setup: Setup, place: Place) -> str:
        """The config, for the report."""
        ...

    def processes(self, pid: int, place: Place) -> Processes:
        """Its processes, pinned where they belong."""
        ...

    def reload(self, pid: int, setup: Setup, place: Place) -> None:
        """Writes another config and has the running peer take it; does not wait."""
        ...
