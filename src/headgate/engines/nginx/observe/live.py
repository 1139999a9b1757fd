"""Measures what an nginx does now: rates over a few seconds, from whatever it offers.

Access logs say most; `stub_status` says how many requests in all; without either /proc still says
how many connections are open and how busy the workers are.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal

import msgspec

from headgate.engines.nginx.instance.procfs import Procfs
from headgate.engines.nginx.observe.observer import POLL_S, Observer
from headgate.engines.nginx.observe.processes import InstanceFigures, figures
from headgate.engines.nginx.observe.status import StubStatus
from headgate.engines.nginx.observe.traffic import Served, Traffic

_ESTABLISHED: Final = "01"

Source = Literal["access_log", "stub_status", "none"]


class NameRate(msgspec.Struct, frozen=True):
    """The rates of one site, route, upstream or log; latencies None where not logged."""

    name: str
    requests: float
    status: dict[str, float]
    bytes_out: float
    p50_ms: float | None = None
    p99_ms: float | None = None


class BackendRate(msgspec.Struct, frozen=True):
    """Requests and failures of one endpoint, per second."""

    name: str
    requests: float
    failures: float


class Live(msgspec.Struct, frozen=True):
    """Rates per second over `seconds`; `source` is where `requests` comes from.

    `requests` is None without a source. `open_connections` is by /proc, of every listener; `cpu` is
    cores that master and workers used. `unread` log lines matched no format.
    """

    seconds: float
    source: Source
    requests: float | None
    status: dict[str, float]
    sites: tuple[NameRate, ...]
    upstreams: tuple[NameRate, ...]
    backends: tuple[BackendRate, ...]
    p50_ms: float | None
    p99_ms: float | None
    open_connections: int
    connections: StubStatus | None
    cpu: float
    unread: int
    errors: dict[str, int]


@dataclass(slots=True)
class Meter:
    """Measures one instance repeatedly; the observer must be fresh and read from the end.

    `ports` are those it listens on.
    """

    observer: Observer
    ports: frozenset[int]
    pid: int
    procfs: Procfs = field(default_factory=Procfs)
    clock: Callable[[], float] = time.monotonic
    wait: Callable[[float], None] = time.sleep

    def measure(self, seconds: float) -> Live:
        """Measures the next `seconds`."""
        observer = self.observer
        observer.poll()
        observer.traffic = Traffic()
        levels = dict(observer.errors.levels)
        stub, cpu, begin = observer.connections(), self._cpu(), self.clock()
        end = begin + seconds
        while (left := end - self.clock()) > 0:
            self.wait(min(left, POLL_S))
            observer.poll()
        took = max(self.clock() - begin, 1e-3)
        now = observer.connections()
        traffic = observer.traffic
        asked = (now.requests - stub.requests - 1) / took if now and stub else None
        source, requests = _requests(
            traffic, asked, took, has_logs=bool(observer.sources.access_logs)
        )
        return Live(
            seconds=round(took, 3),
            source=source,
            requests=requests,
            status=_status(traffic, took),
            sites=_names(traffic.sites, took),
            upstreams=_names(traffic.upstreams, took),
            backends=_backends(traffic, took),
            p50_ms=_ms(traffic.duration.quantile(0.5)),
            p99_ms=_ms(traffic.duration.quantile(0.99)),
            open_connections=open_connections(self.procfs, self.pid, self.ports),
            connections=now,
            cpu=round((self._cpu() - cpu) / took, 4),
            unread=traffic.unread,
            errors={
                level: count - levels.get(level, 0)
                for level, count in observer.errors.levels.items()
                if count > levels.get(level, 0)
            },
        )

    def _cpu(self) -> float:
        now = self.processes()
        own = now.master.cpu_s if now.master is not None else 0.0
        return own + sum(one.cpu_s for one in now.workers)

    def processes(self) -> InstanceFigures:
        """Returns the instance's processes now."""
        source = self.observer.sources.processes
        return figures(*source()) if source is not None else InstanceFigures(None, ())


def open_connections(procfs: Procfs, pid: int, ports: frozenset[int]) -> int:
    """Counts established TCP connections to these ports in the network namespace of a process."""
    wanted = {f"{port:04X}" for port in ports}
    count = 0
    for name in ("tcp", "tcp6"):
        try:
            lines = (procfs.path / str(pid) / "net" / name).read_text().splitlines()
        except OSError:
            continue
        for line in lines[1:]:
            fields = line.split(maxsplit=4)
            count += fields[3] == _ESTABLISHED and fields[1].rpartition(":")[2] in wanted
    return count


def _requests(
    traffic: Traffic, asked: float | None, took: float, *, has_logs: bool
) -> tuple[Source, float | None]:
    total = traffic.total()
    if total or (has_logs and asked is None):
        return "access_log", round(total / took, 3)
    if asked is not None:
        return "stub_status", round(max(asked, 0.0), 3)
    return "none", None


def _status(traffic: Traffic, took: float) -> dict[str, float]:
    counts: dict[str, int] = {}
    for (_, status, _), count in sorted(traffic.requests.items(), key=lambda item: item[0][1]):
        counts[status] = counts.get(status, 0) + count
    return {status: round(count / took, 3) for status, count in counts.items()}


def _names(table: dict[str, Served], took: float) -> tuple[NameRate, ...]:
    return tuple(
        NameRate(
            name,
            round(served.requests / took, 3),
            {kind: round(count / took, 3) for kind, count in served.by_class().items()},
            round(served.bytes_out / took, 1),
            _ms(served.latency.quantile(0.5)),
            _ms(served.latency.quantile(0.99)),
        )
        for name, served in sorted(table.items(), key=lambda item: (-item[1].requests, item[0]))
    )


def _backends(traffic: Traffic, took: float) -> tuple[BackendRate, ...]:
    return tuple(
        BackendRate(name, round(one.requests / took, 3), round(one.failures / took, 3))
        for name, one in sorted(traffic.backends.items())
    )


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)
