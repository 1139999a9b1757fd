"""Gathers everything an nginx says: its logs, its status page, its processes.

Blocks for reads of files, sockets and /proc only; meant for a thread. Writes nothing.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from headgate.engines.nginx.common.types import Process
from headgate.engines.nginx.observe import families, status
from headgate.engines.nginx.observe.error_log import ErrorWatch, Told
from headgate.engines.nginx.observe.family import Family
from headgate.engines.nginx.observe.histogram import BOUNDS_S, LatencyWindow
from headgate.engines.nginx.observe.hits import JsonLines, Parser
from headgate.engines.nginx.observe.lines import Losses
from headgate.engines.nginx.observe.processes import DrainTimes, figures
from headgate.engines.nginx.observe.tail import Mark, TailReader
from headgate.engines.nginx.observe.traffic import Traffic

POLL_S: Final = 0.2
"""The interval at which logs are read; 10,000 requests/s are 1.3 MB in that time."""


@dataclass(frozen=True, slots=True)
class AccessLog:
    """An access log and the parser of its lines."""

    path: str
    parser: Parser = field(default_factory=JsonLines)


@dataclass(frozen=True, slots=True)
class Sources:
    """The sources to observe; the page leaves out what is empty.

    `stub_status` is `unix:/path:/uri` or a URL, `status_host` the Host to ask with (empty: the
    URL's), `generation_socket` a path; `processes` gives master and workers.
    """

    access_logs: Sequence[AccessLog] = ()
    error_logs: Sequence[str] = ()
    stub_status: str = ""
    status_host: str = ""
    generation_socket: str = ""
    processes: Callable[[], tuple[Process | None, Iterable[Process]]] | None = None


class Observer:
    """Follows one instance. `clock` gives monotonic seconds.

    `problems` says, by path, why a log is unreadable now. `bounds_s` are the upper bounds of the
    buckets of latencies; other ones count from the next `poll` on.
    """

    def __init__(
        self,
        sources: Sources,
        *,
        start: Mark | str = "end",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads access logs from `start`, error logs from their end."""
        self.sources = sources
        self.traffic = Traffic()
        self.errors = ErrorWatch()
        self.problems: dict[str, str] = {}
        self.bounds_s = BOUNDS_S
        self._clock = clock
        self._window = LatencyWindow()
        self._drains = DrainTimes()
        self._access = [(TailReader(one.path, start), one.parser) for one in sources.access_logs]
        self._errors = [TailReader(path) for path in sources.error_logs]

    def poll(self) -> list[Told]:
        """Reads what is new in the logs; returns what to report of the error log."""
        self.traffic.measure(self.bounds_s)
        for reader, parser in self._access:
            for block in self._read(reader):
                hits, unread = parser.hits(block)
                self.traffic.add(hits)
                self.traffic.unread += unread
        now_s = self._clock()
        return [
            told
            for reader in self._errors
            for block in self._read(reader)
            for told in self.errors.take(block, now_s)
        ]

    @property
    def losses(self) -> Losses:
        """Returns what was skipped, in all logs."""
        every = [reader.losses for reader in self._readers()]
        return Losses(
            skipped_bytes=sum(one.skipped_bytes for one in every),
            skips=sum(one.skips for one in every),
            truncations=sum(one.truncations for one in every),
        )

    def page(self, desired: int | None = None) -> Iterator[Family]:
        """Yields the metrics now; `desired` is the generation that should serve."""
        mean_ms, p99_ms = self._window.read(self._clock(), self.traffic.duration)
        yield from families.of_traffic(self.traffic, mean_ms, p99_ms)
        if self.sources.stub_status:
            found = self.connections()
            yield from families.of_connections(found) if found is not None else ()
        if self.sources.processes is not None:
            now = figures(*self.sources.processes())
            yield from families.of_processes(now, self._drains.oldest_s(now, self._clock()))
        yield from families.of_generation(desired, self.generation())
        yield from families.of_logs(self.traffic, self.losses, self.errors)

    def generation(self) -> status.RunningGeneration | None:
        """Returns the generation that a worker reports; None if none answers."""
        if not self.sources.generation_socket:
            return None
        try:
            found = status.generation(self.sources.generation_socket)
        except status.StatusError as error:
            self.problems["generation"] = str(error)
            return None
        self.problems.pop("generation", None)
        return found

    def connections(self) -> status.StubStatus | None:
        """Returns the figures of the status page; None without an answer."""
        if not self.sources.stub_status:
            return None
        host = self.sources.status_host or None
        try:
            found = status.stub_status(self.sources.stub_status, host=host)
        except status.StatusError as error:
            self.problems["stub_status"] = str(error)
            return None
        self.problems.pop("stub_status", None)
        return found

    def close(self) -> None:
        """Closes the logs."""
        for reader in self._readers():
            reader.close()

    def _readers(self) -> list[TailReader]:
        return [*(reader for reader, _ in self._access), *self._errors]

    def _read(self, reader: TailReader) -> Iterator[bytes]:
        try:
            yield from reader.read()
        except OSError as error:
            self.problems[reader.path] = error.strerror or str(error)
        else:
            self.problems.pop(reader.path, None)
